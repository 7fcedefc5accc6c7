/**
 * What a task costs in memory, and that it stays so however much it prints. `FOREWRIT_FLOOD_MIB` says how much (200;
 * 2048 for the long run).
 */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { assert, suite } from '@forewrit/testkit';
import { assertNoneLeft, eventually, notLinux, sleep, TestTask } from './task-world.js';

const floodBytes = Number(process.env['FOREWRIT_FLOOD_MIB'] ?? 200) * 1024 * 1024;
const maxBytes = 16 * 1024 * 1024;

const test = suite('memory of a shim', { timeoutMs: 60_000 + floodBytes / 5000 });

/** In MiB, as /proc/<pid>/smaps_rollup has them. */
function memoryOf(pid: number): { resident: number; privateDirty: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const field = (name: string): number =>
      Number(new RegExp(`^${name}: *(\\d+) kB`, 'm').exec(text)![1]) / 1024;
    return { resident: field('Rss'), privateDirty: field('Private_Dirty') };
  } catch {
    return undefined;
  }
}

test.skipIf(notLinux, 'a quiet shim has at most 55 MiB resident, and 12 MiB private and dirty', async () => {
  await using task = new TestTask();
  const shim = await task.launch('exec sleep 600');
  await using connection = await task.supervisor.connect(task.directory, task.nonce);
  await sleep(1000);
  const memory = memoryOf(shim.pid)!;
  console.log(`quiet: ${JSON.stringify(memory)}`);
  assert.ok(memory.resident <= 55, JSON.stringify(memory));
  assert.ok(memory.privateDirty <= 12, JSON.stringify(memory));
  await connection!.stop();
  await assertNoneLeft(task);
});

for (const [what, source] of [
  ['one stream', (bytes: number) => `head -c ${bytes} /dev/zero`],
  [
    'both streams',
    (bytes: number) => `head -c ${bytes / 2} /dev/zero >&2 & head -c ${bytes / 2} /dev/zero; wait`,
  ],
] as const) {
  test.skipIf(
    notLinux,
    `a flood on ${what} leaves at most 120 MiB, its tail, and a count of the rest`,
    async () => {
      await using task = new TestTask();
      const shim = await task.launch(`${source(floodBytes)}; echo; echo the end`, {
        output: { maxBytes, segmentBytes: 1024 * 1024 },
      });
      // As the engine would: it hears of the output, and does not read it.
      await using connection = await task.supervisor.connect(task.directory, task.nonce);
      let heard = false;
      connection!.onEvent((event) => (heard ||= event === 'output'));
      let residentMax = 0;
      let looks = 0;
      await eventually(
        async () => {
          const memory = memoryOf(shim.pid);
          if (memory !== undefined) {
            residentMax = Math.max(residentMax, memory.resident);
            looks += 1;
          }
          return (await task.observe()).state === 'exited' ? true : undefined;
        },
        60_000 + floodBytes / 5000,
      );
      console.log(
        `flood of ${floodBytes} bytes on ${what}: ${residentMax} MiB resident at most, in ${looks} looks`,
      );
      assert.ok(looks > 1);
      assert.ok(residentMax <= 120, `${residentMax}`);
      const exit = await task.end();
      assert.is(exit.outputBytes, floodBytes + 9);
      const onDisk = readdirSync(task.directory)
        .filter((name) => /^(?:output|streams)\./.test(name))
        .reduce((sum, name) => sum + statSync(`${task.directory}/${name}`).size, 0);
      assert.ok(onDisk <= maxBytes && onDisk > maxBytes / 2, `${onDisk}`);
      assert.is(exit.droppedBytes, exit.outputBytes - keptBytes(task.directory));
      assert.is((await task.read({ tailLines: 1 })).text, 'the end\n');
      await assertNoneLeft(task);
      assert.ok(heard);
    },
  );
}

function keptBytes(directory: string): number {
  return readdirSync(directory)
    .filter((name) => name.startsWith('output.'))
    .reduce((sum, name) => sum + statSync(`${directory}/${name}`).size, 0);
}

test.run();
