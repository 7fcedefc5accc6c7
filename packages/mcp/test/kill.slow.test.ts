import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { openStore } from '@forewrit/recovery';
import { announceSeed, assert, Random, suite, temporaryDirectory } from '@forewrit/testkit';
import { type Json, serve, serveUntil, type ServerProcess } from './mcp-world.js';

const test = suite('a server that is killed', { timeoutMs: 120_000 });

const paths = ['set/a', 'set/b', 'set/c', 'set/d'];
// One does not fit into the log.
const sizes = [10, 1000, 20_000, 200_000];

const setOf = (version: string) => ({
  files: paths.map((path, index) => ({ path, content: `${version}\n`.padEnd(sizes[index]!, '.') })),
});

/** Which version it is; fails if it is a mixture. */
async function versionIn(server: ServerProcess): Promise<string> {
  const { files } = await server.get<{ files: { content: string }[] }>('read_files', { paths });
  const versions = new Set(files.map(({ content }) => content.split('\n')[0]!));
  assert.is(versions.size, 1, [...versions].join());
  assert.equal(
    files.map(({ content }) => content.length),
    sizes,
  );
  return [...versions][0]!;
}

/** `undefined` if the server went before it could answer. */
async function answered(call: Promise<unknown>): Promise<boolean> {
  return await call.then(
    () => true,
    () => false,
  );
}

// Up to the flush of the commit nothing has happened; after it everything has.
const places: readonly (readonly [failpoint: string, outcome: 'old' | 'new'])[] = [
  ['stage.after', 'old'],
  ['log.inside', 'old'],
  ['log.after', 'new'],
  ['apply.target', 'new'],
  ['apply.after', 'new'],
  ['applied.after', 'new'],
  ['checkpoint.trim', 'new'],
];

for (const [name, outcome] of places) {
  test(`killed at ${name} during write_files, all files are ${outcome}`, async () => {
    await using directory = temporaryDirectory('mcp-kill');
    const before = await openStore(directory.path);
    await before.writeFiles(setOf('old').files.map(({ path, content }) => [path, content]));
    await before.close();

    const killed = await serveUntil(directory.path, { name, action: 'kill' });
    const wasAnswered = await answered(killed.get('write_files', setOf('new')));
    await killed.ended;

    await using after = await serve(directory.path);
    const found = await versionIn(after);
    assert.is(found, outcome);
    if (wasAnswered) assert.is(found, 'new');
    const { recovery } = await after.get<{ recovery: { blocked: number; conflicts: number } }>(
      'store_status',
    );
    assert.equal([recovery.blocked, recovery.conflicts], [0, 0]);
    await after.get('write_files', setOf('next'));
    assert.is(await versionIn(after), 'next');
  });
}

test('killed at random moments, no set is mixed and no acknowledged one is lost', async () => {
  const random = new Random(announceSeed('killed during write_files'));
  await using directory = temporaryDirectory('mcp-kill');
  let server = await serve(directory.path);
  let asked = 0;
  let acknowledged = 0;
  for (let round = 0; round < 6; round += 1) {
    const end = delay(random.below(150)).then(() => server.kill());
    do asked += 1;
    while (
      await answered(server.get('write_files', setOf(String(asked))).then(() => (acknowledged = asked)))
    );
    await end;
    server = await serve(directory.path);
    if (acknowledged === 0) continue;
    const found = Number(await versionIn(server));
    assert.ok(found >= acknowledged && found <= asked, `${found} of ${acknowledged} to ${asked}`);
    acknowledged = found;
  }
  await server.close();
  assert.ok(acknowledged > 0);
});

test('killed during an upload, it goes on behind everything that was acknowledged', async () => {
  const random = new Random(announceSeed('killed during an upload'));
  await using directory = temporaryDirectory('mcp-kill');
  const whole = Array.from({ length: 60_000 }, (_, index) => `${index} ünd so weiter\n`).join('');
  const bytes = Buffer.from(whole);
  let server = await serve(directory.path);
  const { id } = await server.get<{ id: string }>('stage_begin', { path: 'big', total_bytes: bytes.length });
  let acknowledged = 0;
  let kills = 0;
  let isDone = false;
  while (!isDone) {
    const ending = kills < 4 ? delay(random.below(120)).then(() => server.kill()) : undefined;
    try {
      for (;;) {
        if (acknowledged === bytes.length) {
          await server.get('stage_commit', { id });
          isDone = true;
          break;
        }
        const piece = bytes.subarray(acknowledged, acknowledged + 1 + random.below(120_000));
        const answer = await server.get<{ next_offset: number }>('stage_append', {
          id,
          offset: acknowledged,
          content: piece.toString('base64'),
          encoding: 'base64',
        });
        assert.is(answer.next_offset, acknowledged + piece.length);
        acknowledged = answer.next_offset;
      }
    } catch (error) {
      if (ending === undefined) throw error;
    }
    if (ending === undefined) break;
    await ending;
    kills += 1;
    server = await serve(directory.path);
    const { uploads } = await server.get<{ uploads: Json[] }>('stage_list');
    const found = uploads.find((upload) => upload['id'] === id)!;
    const next = found['next_offset'] as number;
    assert.ok(next >= acknowledged, `${next} durable of ${acknowledged} acknowledged`);
    assert.is(found['state'] === 'completed' || !isDone, true);
    acknowledged = next;
  }
  assert.ok(kills > 0);
  assert.is(readFileSync(`${directory.path}/big`, 'utf8'), whole);
  assert.is((await server.get('stage_commit', { id }))['bytes'], bytes.length);
  await server.close();
});

test('killed while commands run, the next one finds them with their output and exit codes', async () => {
  await using directory = temporaryDirectory('mcp-kill');
  const killed = await serve(directory.path, { shell: true });
  const command = 'echo begin; until [ -e go ]; do sleep 0.05; done; echo end; exit 5';
  const { task_id } = await killed.get<{ task_id: string }>('run_shell', { command, background: true });
  const foreground = answered(killed.call('run_shell', { command, label: 'foreground' }));
  let labelled: Json | undefined;
  while (labelled?.['state'] !== 'running') {
    await delay(30);
    const { tasks } = await killed.get<{ tasks: Json[] }>('task_list');
    labelled = tasks.find(({ label }) => label === 'foreground');
  }
  await killed.kill();
  assert.is(await foreground, false);

  await using after = await serve(directory.path, { shell: true });
  const { tasks } = await after.get<{ tasks: { adopted: number; lost: number } }>('store_status');
  assert.equal([tasks.adopted, tasks.lost], [2, 0]);
  await after.get('write_file', { path: 'go', content: '' });
  for (const id of [task_id, labelled['task_id']]) {
    const ran = await after.get('task_wait', { task_id: id });
    assert.equal([ran['state'], ran['exit_code'], ran['output']], ['failed', 5, 'begin\nend\n']);
  }
});

test('a client that goes without a word leaves the commands of its calls alone', async () => {
  await using directory = temporaryDirectory('mcp-kill');
  const first = await serve(directory.path, { shell: true });
  const command = 'until [ -e go ]; do sleep 0.05; done; echo end';
  const call = answered(first.call('run_shell', { command }));
  const running = async (server: ServerProcess): Promise<Json[]> =>
    (await server.get<{ tasks: Json[] }>('task_list', { state: 'running' })).tasks;
  while ((await running(first)).length === 0) await delay(30);
  await first.close();
  assert.is(await call, false);
  await using second = await serve(directory.path, { shell: true });
  const [task] = await running(second);
  await second.get('write_file', { path: 'go', content: '' });
  assert.is((await second.get('task_wait', { task_id: task!['task_id'] }))['output'], 'end\n');
});

test.run();
