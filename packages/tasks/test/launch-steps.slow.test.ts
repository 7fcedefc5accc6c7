/** Every step of a launch and of an end, with a shim that is stopped or killed there, and whoever looks meanwhile. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { assert, suite, untilStopped } from '@forewrit/testkit';
import { type ShimFailpointName, shimFailpoints } from '#src/shim/failpoint.js';
import { DetachedSupervisor } from '#src/supervision/detached-supervisor.js';
import type { Observation } from '#src/supervision/supervisor.js';
import { assertNoneLeft, eventually, isDead, notLinux, sleep, TestTask } from './task-world.js';

const test = suite('the steps of a launch', { timeoutMs: 90_000 });

/** What is seen of a shim that stands still at a step, and of one that was killed there. */
const steps: Readonly<
  Record<ShimFailpointName, { stopped: Observation['state']; killed: Observation['state']; runs: boolean }>
> = {
  'order.after': { stopped: 'never-started', killed: 'never-started', runs: false },
  'claim.before': { stopped: 'never-started', killed: 'never-started', runs: false },
  'claim.after': { stopped: 'running', killed: 'lost', runs: false },
  'spawn.before': { stopped: 'running', killed: 'lost', runs: false },
  'spawn.after': { stopped: 'running', killed: 'orphaned', runs: true },
  'running.after': { stopped: 'running', killed: 'orphaned', runs: true },
  'exit.before': { stopped: 'running', killed: 'lost', runs: true },
  'exit.inside': { stopped: 'running', killed: 'lost', runs: true },
  'exit.after': { stopped: 'exited', killed: 'exited', runs: true },
};
const ends = new Set<ShimFailpointName>(['exit.before', 'exit.inside', 'exit.after']);

/** Leaves one line for each time that it runs. */
const command = (task: TestTask, rest: string): string => `echo ran >> ${task.root.path}/ran; ${rest}`;
const runs = (task: TestTask): number =>
  existsSync(`${task.root.path}/ran`) ? readFileSync(`${task.root.path}/ran`, 'utf8').length / 4 : 0;

async function shimOf(task: TestTask): Promise<number> {
  return await eventually(async () =>
    readdirSync('/proc')
      .map(Number)
      .find(
        (pid) => pid > 0 && commandLine(pid).includes(`shim/main.js\0${task.directory}\0`) && !isDead(pid),
      ),
  );
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

for (const name of shimFailpoints) {
  const { stopped, killed, runs: doesRun } = steps[name];

  test.skipIf(
    notLinux,
    `stopped at ${name} a launch is seen as ${stopped}, and goes on as that says`,
    async () => {
      await using task = new TestTask({ supervisor: { failpoint: { name, action: 'stop' } } });
      const launched = task.launch(command(task, 'exit 6')).then(
        () => 'launched',
        (error: { code: string }) => error.code,
      );
      const shim = await shimOf(task);
      await untilStopped(shim);
      assert.is((await task.observe()).state, stopped);
      // Whoever looks, and however often, it is the same.
      assert.is((await task.observe()).state, stopped);
      process.kill(shim, 'SIGCONT');
      if (stopped === 'never-started') {
        assert.is(await launched, 'ERR_CONFLICT');
        assert.is((await task.observe()).state, 'never-started');
        assert.is(runs(task), 0);
      } else {
        assert.is(await launched, 'launched');
        assert.is((await task.end()).exitCode, 6);
        assert.is(runs(task), 1);
      }
      await assertNoneLeft(task);
    },
  );

  test.skipIf(notLinux, `killed at ${name} a launch is seen as ${killed}`, async () => {
    await using task = new TestTask({ supervisor: { failpoint: { name, action: 'kill' } } });
    const rest = ends.has(name) ? 'exit 6' : 'exec sleep 600';
    const launched = task.launch(command(task, rest)).then(
      () => 'launched',
      (error: { code: string }) => error.code,
    );
    assert.is(await launched, ends.has(name) ? 'launched' : 'ERR_IO');
    const observation = await task.until(({ state }) => state !== 'running');
    assert.is(observation.state, killed);
    if (observation.state === 'exited') assert.is(observation.exit.exitCode, 6);
    if (observation.state === 'orphaned') {
      await eventually(async () => (runs(task) > 0 ? true : undefined));
      assert.equal(await task.supervisor.stopOrphan(task.directory, task.nonce), []);
      assert.equal(await task.observe(), { state: 'lost', cause: 'shim-died' });
    }
    assert.is(runs(task), doesRun ? 1 : 0);
    // It cannot be launched a second time.
    await assert.rejectsWithCode(
      new DetachedSupervisor().launch(task.directory, task.order('true')),
      'ERR_CONFLICT',
    );
    await assertNoneLeft(task);
  });
}

test.skipIf(
  notLinux,
  'a stop that comes before the command does is carried out when it is there',
  async () => {
    await using task = new TestTask({ supervisor: { failpoint: { name: 'claim.after', action: 'stop' } } });
    const launched = task.launch('exec sleep 600');
    const shim = await shimOf(task);
    await untilStopped(shim);
    const connecting = task.supervisor.connect(task.directory, task.nonce);
    const stopped = connecting.then((connection) => connection!.stop());
    // It is in the kernel's queue when the shim goes on.
    await sleep(50);
    process.kill(shim, 'SIGCONT');
    await launched;
    assert.is((await stopped).cause, 'user');
    await assertNoneLeft(task);
  },
);

test.skipIf(notLinux, 'of a shim and many observers at once only one decides', async () => {
  for (let round = 0; round < 5; round += 1) {
    await using task = new TestTask();
    const launched = task.launch(command(task, 'exit 6')).then(
      () => true,
      () => false,
    );
    const seen: Observation['state'][] = [];
    let settled = false;
    void launched.then(() => (settled = true));
    // Looks begin around the time of the claim.
    await eventually(async () =>
      existsSync(`${task.directory}/shim.json.new`) || settled ? true : undefined,
    );
    while (!settled) {
      await sleep(0);
      const states = await Promise.all([task.observe(), task.observe(), task.observe()]);
      seen.push(...states.map(({ state }) => state));
    }
    const ran = await launched;
    if (ran) assert.is((await task.end()).exitCode, 6);
    assert.is(runs(task), ran ? 1 : 0);
    assert.is(seen.includes('never-started'), !ran);
    await assertNoneLeft(task);
  }
});

test.skipIf(notLinux, 'a launch that was never made can be forbidden, and is refused then', async () => {
  await using task = new TestTask();
  assert.equal(await task.observe(), { state: 'never-started' });
  await assert.rejectsWithCode(task.launch(command(task, 'true')), 'ERR_CONFLICT');
  assert.equal(await task.observe(), { state: 'never-started' });
  assert.is(runs(task), 0);
  await assertNoneLeft(task);
});

test.skipIf(
  notLinux,
  'a shim that does not answer in time is given up, and its launch forbidden',
  async () => {
    await using task = new TestTask({
      supervisor: { failpoint: { name: 'claim.before', action: 'stop' }, answerTimeoutMs: 500 },
    });
    await assert.rejectsWithCode(task.launch(command(task, 'true')), 'ERR_IO');
    assert.equal(await task.observe(), { state: 'never-started' });
    process.kill(await shimOf(task), 'SIGCONT');
    await assertNoneLeft(task);
    assert.is(runs(task), 0);
  },
);

test.skipIf(
  notLinux,
  'a launch that is given no program to run, or no place, is refused and leaves nothing',
  async () => {
    await using task = new TestTask({ supervisor: { nodePath: '/no/such/node' } });
    await assert.rejectsWithCode(task.launch('true'), 'ERR_NOT_FOUND');
    await using other = new TestTask({ below: 'file/task' });
    const { writeFileSync } = await import('node:fs');
    writeFileSync(`${other.root.path}/file`, '');
    await assert.rejectsWithCode(other.launch('true'), 'ERR_NOT_DIRECTORY');
  },
);

test.run();
