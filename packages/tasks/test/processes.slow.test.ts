import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { type ProcessTable, systemProcessTable } from '@forewrit/core';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { Processes, sameStart } from '#src/shim/processes.js';
import { livingOrphan, stopOrphanTree } from '#src/supervision/orphan.js';
import { TaskTree, TreeStop } from '#src/shim/task-tree.js';
import { eventually, isDead, killIfThere, notLinux, TestTask } from './task-world.js';

const test = suite('processes of a task', { timeoutMs: 90_000 });

test.skipIf(notLinux, 'a process is the same here and in core', () => {
  const own = new Processes().identity();
  assert.equal(own, systemProcessTable().identity());
  const look = new Processes().look(process.pid)!;
  assert.is(look.parent, process.ppid);
  assert.not(look.zombie);
  assert.ok(new Processes().isAlive(own));
  assert.not(new Processes().isAlive({ pid: own.pid, startTime: '1' }));
  assert.ok(new Processes().list().some(({ pid }) => pid === process.pid));
});

test('unknown start times prove nothing', () => {
  assert.ok(sameStart('', '1'));
  assert.ok(sameStart('1', ''));
  assert.ok(sameStart('1', '1'));
  assert.not(sameStart('1', '2'));
});

test('a name with brackets and blanks does not shift the fields', () => {
  using directory = temporaryDirectory('proc');
  const proc = directory.path;
  symlinkSync(`${process.pid}`, `${proc}/self`);
  const fields = Array.from({ length: 50 }, (_, index) => index + 3);
  for (const [pid, state] of [
    ['41', 'S'],
    ['42', 'Z'],
  ] as const) {
    mkdirSync(`${proc}/${pid}`);
    writeFileSync(
      `${proc}/${pid}/stat`,
      `${pid} (a) b (c) ${state} ${fields.slice(1).join(' ').replace(' 20 ', ' 1 ')}\n`,
    );
  }
  const processes = new Processes({ platform: 'linux', proc });
  assert.equal(processes.look(41), {
    pid: 41,
    parent: 4,
    group: 5,
    session: 6,
    zombie: false,
    startTime: '22',
  });
  assert.is(processes.look(42)?.zombie, true);
  assert.is(processes.look(43), undefined);
  assert.equal(
    processes.list().map(({ pid }) => pid),
    [41, 42],
  );
});

test('a /proc of another pid namespace is not believed, nor are its start times in a time namespace', () => {
  using directory = temporaryDirectory('proc');
  symlinkSync('1', `${directory.path}/self`);
  assert.not(new Processes({ platform: 'linux', proc: directory.path }).seesTree);
  using other = temporaryDirectory('proc');
  const pid = `${process.pid}`;
  mkdirSync(`${other.path}/${pid}/ns`, { recursive: true });
  symlinkSync(pid, `${other.path}/self`);
  symlinkSync('time:[4026532999]', `${other.path}/${pid}/ns/time`);
  writeFileSync(
    `${other.path}/${pid}/stat`,
    `${pid} (x) S ${Array.from({ length: 50 }, (_, index) => index + 4).join(' ')}\n`,
  );
  const processes = new Processes({ platform: 'linux', proc: other.path });
  assert.is(processes.identity().startTime, '');
});

test.skipIf(notLinux, 'without /proc a command is ended by its group', async () => {
  const child = spawn('/bin/sh', ['-c', 'sleep 600 & sleep 600 & wait'], { detached: true, stdio: 'ignore' });
  const pid = child.pid!;
  try {
    const processes = new Processes({ platform: 'darwin' });
    assert.equal(processes.list(), []);
    assert.is(processes.identity().bootId, '');
    const tree = new TaskTree({ processes, nonce: 'none', command: { pid, startTime: '' } });
    assert.equal(tree.look({ thorough: true }), [{ pid, startTime: '' }]);
    const children = await eventually(async () => {
      const found = new Processes().list().filter(({ parent }) => parent === pid);
      return found.length === 2 ? found : undefined;
    });
    assert.equal(await new TreeStop(tree, { signal: 'SIGTERM', graceMs: 60_000 }).survivors, []);
    for (const entry of [...children, { pid }]) assert.ok(isDead(entry.pid));
  } finally {
    killIfThere(-pid);
  }
});

test.skipIf(
  notLinux,
  'without /proc an orphan is seen, and left alone: its number may be that of another',
  async () => {
    await using task = new TestTask();
    await task.launch('exec sleep 600');
    const running = await task.observe();
    if (running.state !== 'running') throw new Error(running.state);
    const { command } = running;
    const parts = { processes: new Processes({ platform: 'darwin' }), nonce: task.nonce, command };
    assert.equal(livingOrphan(parts), command);
    assert.equal(await stopOrphanTree(parts, { signal: 'SIGKILL', graceMs: 0 }), [command]);
    assert.not(isDead(command!.pid));
    const gone = { ...parts, command: { pid: 2 ** 22 + 1, startTime: '' } };
    assert.is(livingOrphan(gone), undefined);
    assert.equal(await stopOrphanTree(gone, { signal: 'SIGKILL', graceMs: 0 }), []);
    assert.is(livingOrphan({ ...gone, command: undefined }), undefined);
  },
);

test.skipIf(notLinux, 'an orphan whose start time is unknown is known by its nonce alone', async () => {
  await using task = new TestTask();
  await using stranger = new TestTask();
  await task.launch('exec sleep 600');
  await stranger.launch('exec sleep 600');
  const running = await stranger.observe();
  if (running.state !== 'running') throw new Error(running.state);
  const processes = new Processes();
  const parts = { processes, nonce: task.nonce, command: { pid: running.command!.pid, startTime: '' } };
  assert.is.not(livingOrphan(parts)?.pid, running.command!.pid);
  assert.equal(await stopOrphanTree(parts, { signal: 'SIGKILL', graceMs: 0 }), []);
  assert.is((await stranger.observe()).state, 'running');
  assert.equal(task.processes(), []);
});

/** As on macOS: a pid that was given away looks alive. */
function withoutStartTimes(): ProcessTable {
  const identity = { ...systemProcessTable().identity(), startTime: '', bootId: '' };
  return { identity: () => identity, look: () => ({ exists: true, zombie: false }) };
}

test.skipIf(notLinux, 'where start times are unknown the socket tells whether a shim lives', async () => {
  await using task = new TestTask({ supervisor: { processTable: withoutStartTimes() } });
  const shim = await task.launch('exec sleep 600');
  assert.is((await task.observe()).state, 'running');
  process.kill(shim.pid, 'SIGKILL');
  const observation = await task.until(({ state }) => state !== 'running');
  assert.is(observation.state, 'orphaned');
  assert.equal(await task.supervisor.stopOrphan(task.directory, task.nonce), []);
  assert.equal(await task.observe(), { state: 'lost', cause: 'shim-died' });
});

test.skipIf(
  notLinux,
  'in another pid namespace a living shim is known by its socket, and a dead one is lost',
  async () => {
    await using task = new TestTask();
    const shim = await task.launch('exec sleep 600');
    const identity = { ...systemProcessTable().identity(), pidNamespace: 'pid:[1]' };
    const table: ProcessTable = { identity: () => identity, look: () => ({ exists: false, zombie: false }) };
    await using elsewhere = new TestTask({ supervisor: { processTable: table } });
    const look = async (): Promise<string> =>
      (await elsewhere.supervisor.observe(task.directory, task.nonce)).state;
    assert.is(await look(), 'running');
    process.kill(shim.pid, 'SIGKILL');
    await eventually(async () => ((await look()) === 'lost' ? true : undefined));
  },
);

test.run();
