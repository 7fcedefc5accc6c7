import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { systemProcessTable } from '@forewrit/core';
import { assert, suite, untilStopped } from '@forewrit/testkit';
import { type ProcessEntry, Processes } from '#src/shim/processes.js';
import { TaskTree, TreeStop } from '#src/shim/task-tree.js';
import { assertNoneLeft, eventually, isDead, killIfThere, notLinux, sleep, TestTask } from './task-world.js';

const test = suite('stopping', { timeoutMs: 90_000 });

/** A command, a child, a grandchild, one in a session of its own, and one of that whose parent is gone. */
const tree = `
  sh -c 'sh -c "echo grandchild \\$\\$; exec sleep 600" & echo child $$; wait' &
  setsid sh -c 'echo setsid $$; exec sleep 600' &
  setsid sh -c 'sh -c "echo left \\$\\$; exec sleep 600" & exit' &
  echo command $$
  wait; wait; sleep 600`;

async function pidsOf(task: TestTask, names: readonly string[]): Promise<number[]> {
  for (const name of names) await task.printed(`${name} `);
  const { text } = await eventually(async () => {
    const page = await task.read();
    return page.text.endsWith('\n') ? page : undefined;
  });
  return names.map((name) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]));
}

const treeNames = ['command', 'child', 'grandchild', 'setsid', 'left'];

test.skipIf(notLinux, 'a stop ends the whole tree, also what has left the group', async () => {
  await using task = new TestTask();
  await task.launch(tree);
  const pids = await pidsOf(task, treeNames);
  await using connection = await task.supervisor.connect(task.directory, task.nonce);
  const exit = await connection!.stop();
  assert.is(exit.cause, 'user');
  assert.is(exit.signal, 'SIGTERM');
  assert.equal(exit.survivors, []);
  assert.ok(exit.complete);
  for (const [index, pid] of pids.entries()) assert.ok(isDead(pid), treeNames[index]);
  assert.equal(await task.observe(), { state: 'exited', exit });
  await assertNoneLeft(task);
});

test.skipIf(
  notLinux,
  'who ignores SIGTERM is killed after the grace, and so is who ignores it elsewhere',
  async () => {
    await using task = new TestTask();
    await task.launch(`trap '' TERM; setsid sh -c 'trap "" TERM; echo setsid $$; while :; do sleep 1; done' &
    echo command $$; while :; do sleep 1; done`);
    const pids = await pidsOf(task, ['command', 'setsid']);
    await using connection = await task.supervisor.connect(task.directory, task.nonce);
    const exit = await connection!.stop({ graceMs: 100 });
    assert.is(exit.cause, 'user');
    assert.is(exit.signal, 'SIGKILL');
    assert.equal(exit.survivors, []);
    for (const pid of pids) assert.ok(isDead(pid));
    await assertNoneLeft(task);
  },
);

test.skipIf(
  notLinux,
  'one who has left group, session and nonce is found as long as its parent lives',
  async () => {
    await using task = new TestTask();
    await task.launch(
      `setsid env -i sh -c 'trap "" TERM; echo away $$; while :; do sleep 1; done' & echo command $$; wait`,
    );
    const [, away] = await pidsOf(task, ['command', 'away']);
    await using connection = await task.supervisor.connect(task.directory, task.nonce);
    const exit = await connection!.stop({ graceMs: 100 });
    assert.is(exit.signal, 'SIGTERM');
    assert.ok(isDead(away!));
    assert.equal(exit.survivors, []);
  },
);

test.skipIf(notLinux, 'what cannot be killed is reported when the stop ends', async () => {
  const immortal = { pid: 2 ** 22 + 1, startTime: '7' };
  /** Shows a process that no signal reaches, as one that waits for a dead disk. */
  class WithImmortal extends Processes {
    override list(): ProcessEntry[] {
      return [...super.list(), { ...immortal, parent: 1, group: 2, session: 2, zombie: false }];
    }
    override look(pid: number): ProcessEntry | undefined {
      return pid === immortal.pid ? this.list().at(-1) : super.look(pid);
    }
    override hasNonce(pid: number, nonce: string): boolean {
      return pid === immortal.pid || super.hasNonce(pid, nonce);
    }
  }
  await using task = new TestTask();
  const shim = await task.launch('exec sleep 600');
  process.kill(shim.pid, 'SIGKILL');
  const orphan = await task.until(({ state }) => state === 'orphaned');
  if (orphan.state !== 'orphaned') throw new Error(orphan.state);
  const tree = new TaskTree({ processes: new WithImmortal(), nonce: task.nonce, command: orphan.command });
  assert.equal(await new TreeStop(tree, { signal: 'SIGTERM', graceMs: 50 }).survivors, [immortal]);
  assert.ok(isDead(orphan.command.pid));
});

test.skipIf(notLinux, 'a command that ends by itself when asked keeps its exit code', async () => {
  await using task = new TestTask();
  await task.launch(`trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done`);
  await task.printed('ready');
  await using connection = await task.supervisor.connect(task.directory, task.nonce);
  const exit = await connection!.stop();
  assert.is(exit.cause, 'user');
  assert.is(exit.exitCode, 7);
  assert.match((await task.read()).text, 'bye');
});

test.skipIf(notLinux, 'another signal may be sent, and a stopped command goes on to take it', async () => {
  await using task = new TestTask();
  await task.launch(`trap 'exit 9' INT; echo ready; read line`, { stdin: 'pipe' });
  await task.printed('ready');
  const observation = await task.observe();
  if (observation.state !== 'running') throw new Error(observation.state);
  process.kill(-observation.command!.pid, 'SIGSTOP');
  await untilStopped(observation.command!.pid);
  await using connection = await task.supervisor.connect(task.directory, task.nonce);
  assert.is((await connection!.stop({ signal: 'SIGINT' })).exitCode, 9);
});

test.skipIf(
  notLinux,
  'a second stop with less patience hastens the first, and both get the end',
  async () => {
    await using task = new TestTask();
    await task.launch(`trap '' TERM; echo ready; while :; do sleep 1; done`);
    await task.printed('ready');
    await using one = await task.supervisor.connect(task.directory, task.nonce);
    await using other = await task.supervisor.connect(task.directory, task.nonce);
    const first = one!.stop({ graceMs: 3_600_000 });
    const second = other!.stop({ graceMs: 0 });
    assert.is((await first).signal, 'SIGKILL');
    assert.equal(await second, await first);
  },
);

test.skipIf(notLinux, 'a stop overtakes a write that the command does not read', async () => {
  await using task = new TestTask();
  await task.launch('sleep 600', { stdin: 'pipe' });
  await using connection = await task.supervisor.connect(task.directory, task.nonce);
  const written = connection!.write(Buffer.alloc(4 * 1024 * 1024));
  const rejected = assert.rejectsWithCode(written, 'ERR_IO');
  assert.is((await connection!.stop()).signal, 'SIGTERM');
  await rejected;
});

test.skipIf(notLinux, 'a command beyond its time is ended, even if it ignores SIGTERM', async () => {
  await using task = new TestTask();
  const exit = await task.run(`trap '' TERM; while :; do sleep 1; done`, {
    timeoutMs: 200,
    killGraceMs: 200,
  });
  assert.is(exit.cause, 'timeout');
  assert.is(exit.signal, 'SIGKILL');
  assert.ok(exit.endedAtMs - exit.startedAtMs! >= 390);
  await assertNoneLeft(task);
});

test.skipIf(notLinux, 'a time limit beyond what timers can hold is none', async () => {
  for (const timeoutMs of [2 ** 31, 2 ** 53, Infinity]) {
    await using task = new TestTask();
    assert.is((await task.run('sleep 0.2; exit 4', { timeoutMs, killGraceMs: timeoutMs })).exitCode, 4);
  }
});

test.skipIf(
  notLinux,
  'a grandchild that holds the pipes does not keep the end from being recorded',
  async () => {
    await using task = new TestTask();
    const exit = await task.run('sleep 600 & echo begun; exit 5');
    assert.is(exit.exitCode, 5);
    assert.is(exit.cause, 'exit');
    assert.not(exit.complete);
    assert.is((await task.read()).text, 'begun\n');
    // The rest of the tree is let be: nobody has asked for its end.
    await eventually(async () => (task.processes().length <= 1 ? true : undefined));
    assert.is(task.processes().length, 1);
  },
);

test.skipIf(
  notLinux,
  'a stop after the end of the command ends what it has left behind, and the wait for it',
  async () => {
    await using task = new TestTask();
    const { pid } = await task.launch(
      `env -i sh -c 'echo child $$; while sleep 0.05; do echo .; done' & echo command $$; read line; exit 4`,
      { stdin: 'pipe' },
    );
    const [command, child] = await pidsOf(task, ['command', 'child']);
    await using connection = await task.supervisor.connect(task.directory, task.nonce);
    await connection!.write(Buffer.from('go\n'));
    // Then the shim has taken note of its end.
    await eventually(async () => (existsSync(`/proc/${command}`) ? undefined : true));
    const exit = await connection!.stop();
    assert.is(exit.cause, 'exit');
    assert.is(exit.exitCode, 4);
    assert.ok(exit.complete);
    await eventually(async () => (isDead(child!) && isDead(pid) ? true : undefined));
  },
);

test.skipIf(notLinux, 'a shim that is asked to end by SIGTERM ends its command and records it', async () => {
  await using task = new TestTask();
  const shim = await task.launch('exec sleep 600');
  process.kill(shim.pid, 'SIGHUP');
  process.kill(shim.pid, 'SIGINT');
  process.kill(shim.pid, 'SIGTERM');
  const exit = await task.end();
  assert.is(exit.cause, 'user');
  assert.is(exit.signal, 'SIGTERM');
  await assertNoneLeft(task);
});

test.skipIf(notLinux, 'a killed shim leaves an orphan that can be stopped, and is lost then', async () => {
  await using task = new TestTask();
  const shim = await task.launch(tree);
  const pids = await pidsOf(task, treeNames);
  process.kill(shim.pid, 'SIGKILL');
  const observation = await task.until(({ state }) => state !== 'running');
  if (observation.state !== 'orphaned') throw new Error(observation.state);
  assert.is(observation.command.pid, pids[0]);
  assert.is(await task.supervisor.connect(task.directory, task.nonce), undefined);
  assert.equal(await task.supervisor.stopOrphan(task.directory, task.nonce), []);
  for (const [index, pid] of pids.entries()) assert.ok(isDead(pid), treeNames[index]);
  assert.equal(await task.observe(), { state: 'lost', cause: 'shim-died' });
  // Again, there is nothing to stop.
  assert.equal(await task.supervisor.stopOrphan(task.directory, task.nonce), []);
  await assertNoneLeft(task);
});

test.skipIf(notLinux, 'what is left of the group of a dead command is an orphan, too', async () => {
  await using task = new TestTask();
  const shim = await task.launch(`sh -c 'echo child $$; exec sleep 600' & echo command $$; wait`);
  const [command, child] = await pidsOf(task, ['command', 'child']);
  process.kill(shim.pid, 'SIGKILL');
  process.kill(command!, 'SIGKILL');
  const observation = await task.until((now) => now.state === 'orphaned' && now.command.pid === child);
  assert.is(observation.state, 'orphaned');
  assert.equal(await task.supervisor.stopOrphan(task.directory, task.nonce, { signal: 'SIGKILL' }), []);
  assert.ok(isDead(child!));
  assert.is((await task.observe()).state, 'lost');
});

test.skipIf(notLinux, 'when shim and command are killed, the task is lost', async () => {
  await using task = new TestTask();
  const shim = await task.launch('exec sleep 600');
  const running = await task.observe();
  if (running.state !== 'running') throw new Error(running.state);
  process.kill(shim.pid, 'SIGKILL');
  process.kill(running.command!.pid, 'SIGKILL');
  assert.equal(await task.until(({ state }) => state === 'lost'), { state: 'lost', cause: 'shim-died' });
});

test.skipIf(notLinux, 'after another boot it is lost, though processes with its pids live', async () => {
  await using task = new TestTask();
  await task.launch('exec sleep 600');
  await using later = new TestTask({ supervisor: { bootId: 'another-boot' } });
  const lost = await later.supervisor.observe(task.directory, task.nonce);
  assert.equal(lost, { state: 'lost', cause: 'reboot' });
  assert.equal(await later.supervisor.stopOrphan(task.directory, task.nonce), []);
  // Nobody was hurt.
  assert.is((await task.observe()).state, 'running');
});

test.skipIf(
  notLinux,
  'a pid that was given to another process is neither shim nor command, and is left alone',
  async () => {
    await using task = new TestTask();
    const shim = await task.launch('exec sleep 600');
    const running = await task.observe();
    if (running.state !== 'running') throw new Error(running.state);
    for (const pid of [shim.pid, running.command!.pid]) killIfThere(pid);
    await task.until(({ state }) => state === 'lost');
    // As if both pids were those of a process that has started since.
    await using stranger = new TestTask();
    await stranger.launch('exec sleep 600');
    const strange = await stranger.observe();
    if (strange.state !== 'running') throw new Error(strange.state);
    for (const name of ['claim', 'shim.json']) {
      const path = `${task.directory}/${name}`;
      const record = JSON.parse(readFileSync(path, 'utf8')) as Record<string, { pid: number }>;
      for (const part of [record['shim'], record['command']])
        if (part !== undefined) part.pid = strange.command!.pid;
      writeFileSync(path, JSON.stringify(record));
    }
    assert.equal(await task.observe(), { state: 'lost', cause: 'shim-died' });
    assert.equal(await task.supervisor.stopOrphan(task.directory, task.nonce), []);
    assert.is((await stranger.observe()).state, 'running');
  },
);

test.skipIf(notLinux, 'a command that must not outlive a process is stopped when that dies', async () => {
  await using engine = new TestTask();
  const { pid, startTime, bootId } = await engine.launch('exec sleep 600');
  await using task = new TestTask();
  await task.launch('sleep 600', { diesWith: { pid, startTime, bootId } });
  // Longer than between two looks.
  await sleep(400);
  assert.is((await task.observe()).state, 'running');
  process.kill(pid, 'SIGKILL');
  const exit = await task.end();
  assert.is(exit.cause, 'parent-died');
  assert.is(exit.signal, 'SIGTERM');
  await assertNoneLeft(task);
});

test.skipIf(notLinux, 'a command whose parent in life is dead before it starts does not go on', async () => {
  await using task = new TestTask();
  const own = systemProcessTable().identity();
  const exit = await task.run('sleep 600', {
    diesWith: { pid: own.pid, startTime: '1', bootId: own.bootId },
  });
  assert.is(exit.cause, 'parent-died');
});

test.run();
