/** What the shim outlives, what it hides, and what it hands over byte for byte. */

import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { assert, prepareMount, suite, TestProcess, whyNoMount } from '@forewrit/testkit';
import type { LaunchingMessage } from './launching-child.js';
import { pattern } from './print-pattern.js';
import { assertNoneLeft, eventually, notLinux, sleep, TestTask } from './task-world.js';

const test = suite('the life of a shim', { timeoutMs: 90_000 });

const printer = fileURLToPath(new URL('print-pattern.js', import.meta.url));
const launchingChild = new URL('launching-child.js', import.meta.url);

function printing(bytes: number, pieceBytes: number): { file: string; args: string[] } {
  return { file: process.execPath, args: [printer, 'print', String(bytes), String(pieceBytes)] };
}

test.skipIf(notLinux, '10 MB on both streams are kept byte for byte, in the order of each', async () => {
  await using task = new TestTask();
  const bytes = 5 * 1024 * 1024;
  const exit = await task.run(printing(bytes, 40_000));
  assert.is(exit.outputBytes, 2 * bytes);
  assert.is(exit.droppedBytes, 0);
  assert.ok(exit.complete);
  assert.ok((await task.readAll('stdout')).equals(pattern('stdout', bytes)));
  assert.ok((await task.readAll('stderr')).equals(pattern('stderr', bytes)));
  assert.is((await task.readAll()).length, 2 * bytes);
  await assertNoneLeft(task);
});

test.skipIf(
  notLinux,
  'many small writes on both streams stay within the cap, switches included',
  async () => {
    await using task = new TestTask();
    const bytes = 300_000;
    const maxBytes = 200_000;
    const exit = await task.run(printing(bytes, 7), { output: { maxBytes, segmentBytes: 20_000 } });
    assert.is(exit.outputBytes, 2 * bytes);
    const onDisk = readdirSync(task.directory)
      .filter((name) => /^(?:output|streams|gap)\./.test(name))
      .reduce((sum, name) => sum + statSync(`${task.directory}/${name}`).size, 0);
    assert.ok(onDisk <= maxBytes, `${onDisk}`);
    for (const stream of ['stdout', 'stderr'] as const) {
      const tail = await task.readAll(stream);
      assert.ok(tail.length > 0 && tail.equals(pattern(stream, bytes).subarray(-tail.length)), stream);
    }
  },
);

for (const whom of ['process', 'process group'] as const) {
  test.skipIf(
    notLinux,
    `a task goes on when the ${whom} of its engine is killed, and loses no byte`,
    async () => {
      await using task = new TestTask();
      const bytes = 5 * 1024 * 1024;
      const order = task.order({
        file: '/bin/sh',
        args: ['-c', `"$0" "$1" print ${bytes} 1000; exit 8`, process.execPath, printer],
      });
      await using engine = new TestProcess<LaunchingMessage>(launchingChild, {
        request: { directory: task.directory, order },
        // So that it leads a group of its own.
        under: ['setsid'],
      });
      await engine.next('launched');
      await task.printed('stdout');
      process.kill(whom === 'process' ? engine.pid : -engine.pid, 'SIGKILL');
      await engine.ended;
      const exit = await task.end();
      assert.is(exit.exitCode, 8);
      assert.is(exit.droppedBytes, 0);
      assert.ok((await task.readAll('stdout')).equals(pattern('stdout', bytes)));
      assert.ok((await task.readAll('stderr')).equals(pattern('stderr', bytes)));
      await assertNoneLeft(task);
    },
  );
}

test.skipIf(notLinux, 'the output of a killed shim is kept, and each byte has its stream', async () => {
  await using task = new TestTask();
  const shim = await task.launch(printing(10 * 1024 * 1024, 5000), {
    output: { maxBytes: 1 << 30, segmentBytes: 1 << 18 },
  });
  await eventually(async () =>
    (await task.read({ maxBytes: 1 })).outputBytes > 1_000_000 ? true : undefined,
  );
  process.kill(shim.pid, 'SIGKILL');
  await task.until(({ state }) => state === 'orphaned' || state === 'lost');
  await sleep(50);
  for (const stream of ['stdout', 'stderr'] as const) {
    const found = await task.readAll(stream);
    assert.ok(found.length > 10_000 && found.equals(pattern(stream, found.length)), stream);
  }
});

test.skipIf(notLinux, 'secrets are nowhere on the disk, nor in what others see of the shim', async () => {
  await using task = new TestTask();
  const one = 'correct-horse-battery-staple';
  const other = 'pässwort-€-🔑-ßß';
  const short = 'tiny';
  const script = `
    const { ONE, OTHER, SHORT } = process.env;
    const print = (stream, ...pieces) => pieces.reduce((before, piece) =>
      before.then(() => new Promise((go) => process[stream].write(piece, () => setTimeout(go, 20)))), Promise.resolve());
    const bytes = Buffer.from(OTHER);
    Promise.all([
      print('stdout', 'a', ONE, 'b', ONE.slice(0, 5), ONE.slice(5), ' ', bytes.subarray(0, 3), bytes.subarray(3), '.', ONE.slice(0, 9)),
      print('stderr', ONE.slice(0, 5), 'x', OTHER + ONE, SHORT),
    ]).then(() => process.stdin.resume());`;
  const shim = await task.launch(
    { file: process.execPath, args: ['-e', script] },
    { secretEnv: { ONE: one, OTHER: other, SHORT: short }, stdin: 'pipe' },
  );
  await task.printed(short);
  const lookAtFiles = (): void => {
    for (const path of readdirSync(task.root.path, { recursive: true, withFileTypes: true })) {
      if (!path.isFile()) continue;
      const bytes = readFileSync(`${path.parentPath}/${path.name}`);
      for (const secret of [one, other]) assert.not(bytes.includes(secret), path.name);
    }
  };
  lookAtFiles();
  for (const name of ['environ', 'cmdline']) {
    const bytes = readFileSync(`/proc/${shim.pid}/${name}`);
    for (const secret of [one, other, short]) assert.not(bytes.includes(secret), name);
  }
  await using connection = await task.supervisor.connect(task.directory, task.nonce);
  await connection!.write(new Uint8Array(0), { end: true });
  const exit = await task.end();
  lookAtFiles();
  assert.is(exit.exitCode, 0);
  const stars = (text: string): string => '*'.repeat(Buffer.byteLength(text));
  assert.is(
    String(await task.readAll('stdout')),
    `a${stars(one)}b${stars(one)} ${stars(other)}.${one.slice(0, 9)}`,
  );
  assert.is(String(await task.readAll('stderr')), `${one.slice(0, 5)}x${stars(other)}${stars(one)}${short}`);
});

test.skipIf(notLinux, 'a command that prints more than it may is ended, if that is wanted', async () => {
  await using task = new TestTask();
  const exit = await task.run('yes', { output: { maxBytes: 100_000, overflow: 'kill' } });
  assert.is(exit.cause, 'overflow');
  assert.is(exit.signal, 'SIGTERM');
  assert.ok(exit.outputBytes > 100_000);
  assert.is(exit.outputBytes - exit.droppedBytes, 100_000);
  assert.is((await task.readAll()).toString(), 'y\n'.repeat(50_000));
  await assertNoneLeft(task);
});

test.skipIf(
  notLinux ?? whyNoMount('tmpfs'),
  'on a full disk the command goes on, what is lost is counted, and the end is recorded',
  async () => {
    await using task = new TestTask();
    mkdirSync(`${task.root.path}/disk`);
    const { path, under } = prepareMount('tmpfs', `${task.root.path}/disk`);
    const directory = `${path}/task`;
    const order = task.order('head -c 400000000 /dev/zero; echo; echo end; exit 9', {
      output: { maxBytes: 1 << 30, segmentBytes: 1 << 24 },
    });
    // The file system is seen by processes of that namespace alone: so one of them looks for us.
    await using engine = new TestProcess<LaunchingMessage>(launchingChild, {
      request: { directory, order },
      under,
    });
    const { pid } = await engine.next('launched');
    const inside = (name: string): string => `/proc/${engine.pid}/root${directory}/${name}`;
    const exit = await eventually(async () =>
      existsSync(inside('exit.json'))
        ? (JSON.parse(readFileSync(inside('exit.json'), 'utf8')) as Record<string, number>)
        : undefined,
    );
    assert.ok(pid > 0);
    assert.is(exit['exitCode'], 9);
    assert.is(exit['outputBytes'], 400_000_005);
    const kept = readdirSync(inside(''))
      .filter((name) => name.startsWith('output.'))
      .reduce((sum, name) => sum + statSync(inside(name)).size, 0);
    assert.is(exit['droppedBytes'], 400_000_005 - kept);
    assert.ok(kept > 100_000_000 && kept < 300_000_000, `${kept}`);
    await engine.kill();
    await assertNoneLeft(task);
  },
);

test.skipIf(notLinux, 'a command has the umask of its starter, and no descriptor but its three', async () => {
  await using task = new TestTask();
  const order = task.order('ls -l /proc/self/fd; umask; readlink /proc/self/fd/0; exec sleep 600');
  const left = `${task.root.path}/left-open`;
  await using engine = new TestProcess<LaunchingMessage>(launchingChild, {
    request: { directory: task.directory, order },
    under: ['sh', '-c', `umask 0027; exec "$@" 9>>'${left}'`, 'sh'],
  });
  const { pid } = await engine.next('launched');
  await task.printed('/dev/null\n');
  const { text } = await task.read();
  assert.match(text, /^0027$/m);
  // Its own, and the directory that ls reads.
  assert.equal(text.match(/ \d+ -> /g), [' 0 -> ', ' 1 -> ', ' 2 -> ', ' 3 -> ']);
  assert.ok(openFilesOf(engine.pid).includes(left));
  assert.not(openFilesOf(pid).includes(left));
});

function openFilesOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((name) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${name}`);
    } catch {
      return '';
    }
  });
}

test.run();
