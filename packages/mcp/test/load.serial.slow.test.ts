import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { type Json, serve, type ServerProcess } from './mcp-world.js';

const test = suite('many calls', { timeoutMs: 180_000 });

const callsInRow = 1000;
const callsAtOnce = 50;
/** Far above what one call takes, far below what a leak of each would add up to. */
const handlesMore = 10;
const memoryMoreMib = 60;

test('a thousand calls one after another and fifty at once leave nothing behind', async () => {
  await using directory = temporaryDirectory('mcp-load');
  await using server = await serve(directory.path, { shell: true });
  await server.get('write_file', { path: 'read', content: 'x'.repeat(2000) });
  await calls(server, 200);
  const before = lookAt(server.pid);

  const tookMs = await calls(server, callsInRow);
  for (let round = 0; round < 4; round += 1) await atOnce(server, round);

  // What was written lately is kept open until its checkpoint.
  let after = lookAt(server.pid);
  for (const limitMs = performance.now() + 60_000; performance.now() < limitMs; after = lookAt(server.pid)) {
    if (after.handles <= before.handles + handlesMore) break;
    await delay(200);
  }
  assert.ok(after.handles <= before.handles + handlesMore, `${before.handles} to ${after.handles} handles`);
  assert.ok(
    after.memoryMib <= before.memoryMib + memoryMoreMib,
    `${before.memoryMib} to ${after.memoryMib} MiB`,
  );
  const status = await server.get<{ uploads: number }>('store_status');
  assert.is(status.uploads, 0);

  // What the limit of 3 ms is about. Nothing here depends on it: that is for a machine with nothing else to do.
  const reads = tookMs.sort((a, b) => a - b);
  console.log(
    `read_file over stdio: p50 ${reads[reads.length >> 1]!.toFixed(2)} ms, ` +
      `p99 ${reads[Math.floor(reads.length * 0.99)]!.toFixed(2)} ms of ${reads.length}; ` +
      `handles ${before.handles} to ${after.handles}, memory ${before.memoryMib} to ${after.memoryMib} MiB`,
  );
});

/** Nine of ten read; gives how long these took. */
async function calls(server: ServerProcess, count: number): Promise<number[]> {
  const tookMs: number[] = [];
  for (let index = 0; index < count; index += 1) {
    if (index % 10 === 9) {
      await server.get('write_file', { path: `written/${index % 50}`, content: `${index}` });
      continue;
    }
    const startMs = performance.now();
    const { content } = await server.get<{ content: string }>('read_file', { path: 'read' });
    tookMs.push(performance.now() - startMs);
    assert.is(content.length, 2000);
  }
  return tookMs;
}

async function atOnce(server: ServerProcess, round: number): Promise<void> {
  await Promise.all(
    Array.from({ length: callsAtOnce }, async (_, index): Promise<Json> => {
      const path = `at-once/${round}/${index}`;
      switch (index % 5) {
        case 0:
          return await server.get('read_files', { paths: ['read'] });
        case 1:
          return await server.get('append_file', { path: 'shared', content: '.' });
        case 2: {
          const { id } = await server.get('stage_begin', { path });
          await server.get('stage_append', { id, offset: 0, content: 'x' });
          return await server.get('stage_commit', { id });
        }
        case 3:
          return await server.get('list_directory', { path: '.' });
        default:
          return await server.get('write_file', { path, content: 'x' });
      }
    }),
  );
  const { content } = await server.get<{ content: string }>('read_file', { path: 'shared' });
  assert.is(content.length, (round + 1) * 10);
}

function lookAt(pid: number): { handles: number; memoryMib: number } {
  const rss = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { handles: readdirSync(`/proc/${pid}/fd`).length, memoryMib: Math.round(Number(rss) / 1024) };
}

test.run();
