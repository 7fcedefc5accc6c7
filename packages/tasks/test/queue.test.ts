import { assert, suite } from '@forewrit/testkit';
import { assertNoProblems, EngineWorld } from './engine-world.js';

const test = suite('the queue');

async function inWorld(body: (world: EngineWorld) => Promise<void>): Promise<void> {
  await using world = await EngineWorld.open();
  await body(world);
  assertNoProblems(world);
}

test('a group runs as many at once as it may, and the next ones as others end', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    assert.equal(await engine.group('g', { parallel: 2 }), {
      name: 'g',
      parallel: 2,
      paused: false,
      running: 0,
      pending: 0,
    });
    for (let n = 1; n <= 5; n += 1) await engine.start({ command: `c${n}`, group: 'g' });
    await world.until('two run', () => world.machine.running.length === 2);
    await world.quiet();
    assert.equal(world.machine.spawned, ['c1', 'c2']);
    world.machine.end(world.machine.of('c2'));
    await world.until('a third runs', () => world.machine.spawned.length === 3);
    assert.equal(world.machine.spawned, ['c1', 'c2', 'c3']);
    const status = await engine.group('g', { parallel: 4 });
    assert.is(status.parallel, 4);
    await world.until('all run', () => world.machine.running.length === 4);
    assert.equal((await engine.groups()).length, 1);
  }));

test('tasks without a group, and groups without a limit, have the one of the engine', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine({ parallel: 1 });
    for (const group of [undefined, undefined, 'a', 'a']) {
      await engine.start({ command: `in ${group}`, ...(group === undefined ? {} : { group }) });
    }
    await world.until('one of each', () => world.machine.running.length === 2);
    await world.quiet();
    assert.equal([...world.machine.spawned].sort(), ['in a', 'in undefined']);
  }));

test('higher priorities first, then the older ones', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine({ parallel: 1 });
    await engine.start({ command: 'first' });
    await world.until('it runs', () => world.machine.running.length === 1);
    for (const [command, priority] of [
      ['low', -5],
      ['a', 0],
      ['b', 0],
      ['urgent', 9],
      ['most urgent', 10],
    ] as const) {
      await engine.start({ command, priority });
    }
    for (let n = 1; n <= 5; n += 1) {
      world.machine.end(world.machine.running[0]!);
      await world.until('the next one runs', () => world.machine.spawned.length === n + 1);
    }
    assert.equal(world.machine.spawned, ['first', 'most urgent', 'urgent', 'a', 'b', 'low']);
  }));

test('a delayed task starts when its moment comes, not before', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const later = await engine.start({ command: 'later', startAfter: world.nowMs + 60_000 });
    const date = await engine.start({ command: 'date', startAfter: new Date(world.nowMs + 30_000) });
    const past = await engine.start({ command: 'past', startAfter: 5 });
    assert.is(later.state, 'pending');
    assert.is(later.startAfterMs, world.nowMs + 60_000);
    assert.is(past.startAfterMs, undefined);
    await world.until('the past has come', () => world.machine.spawned.includes('past'));
    world.advance(29_999);
    await world.quiet();
    assert.equal(world.machine.spawned, ['past']);
    world.advance(1);
    await world.untilState(engine, date.id, 'running');
    world.advance(30_000);
    await world.untilState(engine, later.id, 'running');
    assert.equal(world.machine.spawned, ['past', 'date', 'later']);
  }));

test('a delay longer than the longest timer is no delay of nothing', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const { id } = await engine.start({
      command: 'c',
      startAfter: world.nowMs + 2 ** 31 + 5,
      timeoutMs: 2 ** 32,
    });
    world.advance(2 ** 31);
    await world.quiet();
    assert.is(await world.state(engine, id), 'pending');
    world.advance(5);
    await world.untilState(engine, id, 'running');
    assert.is(world.machine.of('c').order.timeoutMs, 2 ** 32);
  }));

test('a task waits for what it depends on; a failure fails those that need success, and on from there', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const good = await engine.start({ command: 'good' });
    const bad = await engine.start({ command: 'bad' });
    const both = await engine.start({
      command: 'both',
      dependsOn: [{ id: good.id }, { id: bad.id, on: 'finish' }],
    });
    const needs = await engine.start({ command: 'needs', dependsOn: [{ id: bad.id }] });
    const chain = await engine.start({ command: 'chain', dependsOn: [{ id: needs.id }] });
    const after = await engine.start({ command: 'after', dependsOn: [{ id: chain.id, on: 'finish' }] });
    assert.equal([both.state, needs.state, chain.state], ['blocked', 'blocked', 'blocked']);
    await world.until('both run', () => world.machine.running.length === 2);
    world.machine.end(world.machine.of('good'));
    await world.untilState(engine, good.id, 'completed');
    assert.is(await world.state(engine, both.id), 'blocked');
    world.machine.end(world.machine.of('bad'), { exitCode: 1 });
    for (const id of [needs.id, chain.id]) {
      await world.untilState(engine, id, 'failed');
      const record = await engine.get(id);
      assert.is(record.cause, 'dependency-failed');
      assert.is(record.exitCode, undefined);
    }
    await world.untilState(engine, both.id, 'running');
    await world.untilState(engine, after.id, 'running');
    assert.not.ok(world.machine.spawned.includes('needs'));
    const late = await engine.start({ command: 'late', dependsOn: [{ id: bad.id }] });
    assert.equal([late.state, late.cause], ['failed', 'dependency-failed']);
    const fine = await engine.start({ command: 'fine', dependsOn: [{ id: good.id }] });
    assert.is(fine.state, 'pending');
    await assert.rejectsWithCode(
      engine.start({ command: 'x', dependsOn: [{ id: '0'.repeat(17) }] }),
      'ERR_NOT_FOUND',
    );
  }));

test('a failed attempt is made again after its pause, as often as it may', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const { id } = await engine.start({
      command: 'c',
      retry: { limit: 2, delayMs: 1000, factor: 3, jitter: 0.5 },
    });
    // Half of the random half: 0.75 of the whole pause.
    for (const [attempt, pauseMs] of [
      [1, 750],
      [2, 2250],
    ] as const) {
      await world.until('it runs', () => world.machine.running.length === 1);
      world.machine.end(world.machine.of('c'), { exitCode: 7 });
      await world.until('it waits', async () => (await world.state(engine, id)) === 'pending');
      const record = await engine.get(id);
      assert.is(record.attempt, attempt + 1);
      assert.is(record.startAfterMs, world.nowMs + pauseMs);
      world.advance(pauseMs - 1);
      await world.quiet();
      assert.is(world.machine.running.length, 0);
      world.advance(1);
    }
    await world.until('it runs', () => world.machine.running.length === 1);
    world.machine.end(world.machine.of('c'), { exitCode: 8 });
    await world.untilState(engine, id, 'failed');
    const { attempt, exitCode } = await engine.get(id);
    assert.equal([attempt, exitCode, world.machine.spawned.length], [3, 8, 3]);
    assert.equal(
      [...world.machine.launches.keys()].map((path) => path.slice(-20)),
      [`/${id}/1`, `/${id}/2`, `/${id}/3`].map((path) => path.slice(-20)),
    );
  }));

test('only what the policy names is tried again; never what somebody stopped', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const retry = { limit: 5, delayMs: 0 };
    const cases = [
      ['listed', { ...retry, onExitCodes: [3] }, { exitCode: 3 }, true],
      ['not listed', { ...retry, onExitCodes: [3] }, { exitCode: 4 }, false],
      ['success', retry, { exitCode: 0 }, false],
      ['signal', retry, { cause: 'signal', signal: 'SIGSEGV' }, true],
      ['timeout', retry, { cause: 'timeout' }, false],
      ['timeout, named', { ...retry, onTimeout: true }, { cause: 'timeout' }, true],
      ['spawn', retry, { cause: 'spawn-error' }, false],
      ['overflow', retry, { cause: 'overflow' }, false],
      ['user', retry, { cause: 'user' }, false],
    ] as const;
    for (const [command, policy, exit, again] of cases) {
      const { id } = await engine.start({ command, retry: policy });
      await world.untilState(engine, id, 'running');
      world.machine.end(world.machine.of(command), exit);
      await world.inTime('it ended', async () => {
        const { attempt, state } = await engine.get(id);
        return again ? attempt === 2 && state === 'running' : state !== 'running';
      });
      const count = world.machine.spawned.filter((each) => each === command).length;
      assert.is(count, again ? 2 : 1, command);
    }
  }));

test('a task that is lost is run again only where the policy says so', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    for (const onLost of [false, true]) {
      const command = `lost ${onLost}`;
      const { id } = await engine.start({ command, retry: { limit: 1, delayMs: 0, onLost } });
      await world.untilState(engine, id, 'running');
      world.machine.lose(world.machine.of(command), 'shim-died');
      await world.untilState(engine, id, onLost ? 'running' : 'lost');
      if (onLost) await world.inTime('again', () => world.machine.spawned.length === 3);
    }
  }));

test('a second start with the same key is answered with the first task, also when both come at once', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const { engine: other } = await world.engine();
    const started = await Promise.all(
      [engine, other, engine, other].map((each, n) =>
        each.start({ command: `c${n}`, idempotencyKey: 'deploy/7' }),
      ),
    );
    assert.is(new Set(started.map(({ id }) => id)).size, 1);
    await world.until('it runs', () => world.machine.spawned.length > 0);
    world.machine.end(world.machine.running[0]!);
    await world.untilState(engine, started[0]!.id, 'completed');
    assert.is((await other.start({ command: 'again', idempotencyKey: 'deploy/7' })).state, 'completed');
    await world.quiet();
    assert.is(world.machine.spawned.length, 1);
    await engine.remove(started[0]!.id);
    const fresh = await engine.start({ command: 'fresh', idempotencyKey: 'deploy/7' });
    assert.is.not(fresh.id, started[0]!.id);
  }));

test('thousands may be started at once', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine({ starts: false });
    const started = await Promise.all(
      Array.from({ length: 2000 }, (_, n) => engine.start({ command: `c${n}`, group: 'g' })),
    );
    assert.is(new Set(started.map(({ id }) => id)).size, 2000);
    assert.is((await engine.group('g')).pending, 2000);
  }));

test('a paused group starts nothing and lets go on what runs; its settings are durable', () =>
  inWorld(async (world) => {
    const first = await world.engine();
    await first.engine.start({ command: 'runs', group: 'g' });
    await world.until('it runs', () => world.machine.running.length === 1);
    await first.engine.group('g', { paused: true });
    await first.engine.start({ command: 'waits', group: 'g' });
    await world.quiet();
    await first.engine.close();
    const { engine } = await world.engine();
    await world.quiet();
    const { paused, running, pending } = await engine.group('g');
    assert.equal([paused, running, pending], [true, 1, 1]);
    assert.equal(world.machine.spawned, ['runs']);
    await engine.group('g', { paused: false });
    await world.until('it goes on', () => world.machine.spawned.length === 2);
  }));

test('what has not started is stopped at once and never starts', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine({ parallel: 1 });
    const runs = await engine.start({ command: 'runs' });
    const waits = await engine.start({ command: 'waits' });
    const blocked = await engine.start({ command: 'blocked', dependsOn: [{ id: waits.id, on: 'finish' }] });
    const delayed = await engine.start({ command: 'delayed', startAfter: world.nowMs + 1000 });
    for (const { id } of [blocked, waits, delayed]) {
      const { state, cause, startedAtMs } = await engine.stop(id);
      assert.equal([state, cause, startedAtMs], ['terminated', 'user', undefined]);
    }
    await world.untilState(engine, runs.id, 'running');
    assert.equal((await engine.stop(runs.id)).state, 'terminated');
    world.advance(5000);
    await world.quiet();
    assert.equal(world.machine.spawned, ['runs']);
  }));

test('a task that is stopped while it starts is stopped as soon as it runs', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    let spawn = (): void => {};
    world.machine.beforeSpawn = () =>
      new Promise((resolve) => {
        spawn = resolve;
      });
    const { id } = await engine.start({ command: 'c', retry: { limit: 3, delayMs: 0 } });
    await world.untilState(engine, id, 'starting');
    const stopping = engine.stop(id);
    await world.quiet();
    spawn();
    await world.inTime('it is stopped', async () => (await world.state(engine, id)) === 'terminated');
    assert.is((await stopping).cause, 'user');
    assert.is(world.machine.spawned.length, 1);
  }));

test('a launch that fails is made again with a new directory, and given up after the third', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    let failures = 2;
    world.machine.beforeSpawn = () => {
      if (failures === 0) return;
      failures -= 1;
      throw Object.assign(new Error('no more processes'), { code: 'EAGAIN' });
    };
    const lucky = await engine.start({ command: 'lucky' });
    await world.untilState(engine, lucky.id, 'running');
    assert.is((await engine.get(lucky.id)).attempt, 1);
    failures = 100;
    const unlucky = await engine.start({ command: 'unlucky' });
    await world.untilState(engine, unlucky.id, 'failed');
    const { cause, detail } = await engine.get(unlucky.id);
    assert.is(cause, 'spawn-error');
    assert.match(detail ?? '', /no more processes/);
    assert.is(failures, 97);
    world.problems.length = 0;
  }));

test('restart makes another attempt under the same id, whatever the task was', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const { id } = await engine.start({ command: 'c' });
    await world.untilState(engine, id, 'running');
    world.machine.print(world.machine.of('c'), 'one');
    const restarted = await engine.restart(id);
    assert.equal([restarted.id, restarted.attempt, restarted.state], [id, 2, 'pending']);
    await world.untilState(engine, id, 'running');
    world.machine.print(world.machine.of('c'), 'two');
    world.machine.end(world.machine.of('c'));
    await world.untilState(engine, id, 'completed');
    assert.is((await engine.read(id, { encoding: 'utf8' })).data, 'two');
    assert.is((await engine.restart(id)).attempt, 3);
  }));

test.run();
