import { assert, suite } from '@forewrit/testkit';
import { assertNoProblems, EngineWorld, type WorldEngine } from './engine-world.js';

const test = suite('engines that die, and engines side by side');

async function inWorld(body: (world: EngineWorld) => Promise<void>): Promise<void> {
  await using world = await EngineWorld.open();
  await body(world);
  assertNoProblems(world);
}

async function running(world: EngineWorld, { engine }: WorldEngine, command: string): Promise<string> {
  const { id } = await engine.start({ command });
  await world.untilState(engine, id, 'running');
  return id;
}

test('what runs on is adopted, what has ended is finished with its own end, each with its cause', () =>
  inWorld(async (world) => {
    const first = await world.engine();
    const ids: Record<string, string> = {};
    for (const command of ['runs', 'done', 'failed', 'killed', 'orphan', 'lost', 'rebooted']) {
      ids[command] = await running(world, first, command);
    }
    first.die();
    const { machine } = world;
    machine.end(machine.of('done'));
    machine.end(machine.of('failed'), { exitCode: 5 });
    machine.end(machine.of('killed'), { cause: 'signal', signal: 'SIGKILL' });
    machine.killShim(machine.of('orphan'));
    machine.lose(machine.of('lost'), 'shim-died');
    machine.lose(machine.of('rebooted'), 'reboot');
    const { engine } = await world.engine();
    const { adopted, finished, orphaned, lost } = engine.recovery;
    assert.equal(
      adopted.map(({ id, state }) => [id, state]),
      [[ids['runs'], 'running']],
    );
    assert.equal(
      finished.map(({ id, state, cause, exitCode, signal }) => [id, state, cause, exitCode, signal]),
      [
        [ids['done'], 'completed', 'exit', 0, undefined],
        [ids['failed'], 'failed', 'exit', 5, undefined],
        [ids['killed'], 'failed', 'signal', undefined, 'SIGKILL'],
      ],
    );
    assert.equal(
      orphaned.map(({ id, state }) => [id, state]),
      [[ids['orphan'], 'orphaned']],
    );
    assert.equal(
      lost.map(({ id, state, cause }) => [id, state, cause]),
      [
        [ids['lost'], 'lost', 'shim-died'],
        [ids['rebooted'], 'lost', 'reboot'],
      ],
    );
    machine.end(machine.of('runs'), { exitCode: 9 });
    await world.untilState(engine, ids['runs']!, 'failed');
    assert.is((await engine.stop(ids['orphan']!)).state, 'terminated');
    assert.is(machine.spawned.length, 7);
  }));

test('an engine that dies between the record and the launch: the task is launched once, by the next one', () =>
  inWorld(async (world) => {
    const first = await world.engine();
    world.machine.beforeSpawn = () => new Promise(() => {});
    const { id } = await first.engine.start({ command: 'c' });
    await world.untilState(first.engine, id, 'starting');
    first.die();
    world.machine.beforeSpawn = undefined;
    const { engine } = await world.engine();
    assert.equal(Object.values(engine.recovery).flat(), []);
    await world.untilState(engine, id, 'running');
    assert.equal(world.machine.spawned, ['c']);
    assert.is((await engine.get(id)).attempt, 1);
  }));

test('a task whose engines die again and again before they launch it is launched in the end', () =>
  inWorld(async (world) => {
    let id: string | undefined;
    world.machine.beforeSpawn = () => new Promise(() => {});
    for (let deaths = 0; deaths < 7; deaths += 1) {
      const doomed = await world.engine();
      id ??= (await doomed.engine.start({ command: 'c' })).id;
      await world.untilState(doomed.engine, id, 'starting');
      doomed.die();
    }
    world.machine.beforeSpawn = undefined;
    const { engine } = await world.engine();
    await world.untilState(engine, id!, 'running');
    assert.equal(world.machine.spawned, ['c']);
    assert.is((await engine.get(id!)).attempt, 1);
  }));

test('a launch that wakes up after another engine has taken the task over never runs the command', () =>
  inWorld(async (world) => {
    const first = await world.engine();
    let wake = (): void => {};
    world.machine.beforeSpawn = () =>
      new Promise((resolve) => {
        wake = resolve;
      });
    const { id } = await first.engine.start({ command: 'c' });
    await world.untilState(first.engine, id, 'starting');
    // It is stopped for longer than anybody would vouch for it.
    world.machine.beforeSpawn = undefined;
    const { engine } = await world.engine();
    assert.is(await world.state(engine, id), 'starting');
    await world.untilState(engine, id, 'running');
    wake();
    await world.quiet();
    assert.equal(world.machine.spawned, ['c']);
    assert.is(await world.state(engine, id), 'running');
    world.problems.length = 0;
  }));

test('an engine that died before it wrote that the command runs: it is adopted', () =>
  inWorld(async (world) => {
    const first = await world.engine();
    const { id } = await first.engine.start({ command: 'c' });
    await world.until('it is spawned', () => {
      if (world.machine.spawned.length === 0) return false;
      first.die();
      return true;
    });
    const { engine } = await world.engine();
    await world.untilState(engine, id, 'running');
    assert.equal(world.machine.spawned, ['c']);
  }));

test('two engines start all of a group between them: none twice, and never more than may run', () =>
  inWorld(async (world) => {
    const [one, two] = [await world.engine(), await world.engine()];
    await one.engine.group('g', { parallel: 3 });
    const ids: string[] = [];
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const { id } = await [one, two][n % 2]!.engine.start({ command: `c${n}`, group: 'g' });
        ids.push(id);
      }),
    );
    let most = 0;
    await world.inTime('all have run', () => {
      most = Math.max(most, world.machine.running.length);
      const [next] = world.machine.running;
      if (next !== undefined) world.machine.end(next);
      return world.machine.spawned.length === 20 && next === undefined;
    });
    assert.ok(most <= 3, `${most} at once`);
    assert.is(new Set(world.machine.spawned).size, 20);
    for (const id of ids) await world.untilState(two.engine, id, 'completed');
  }));

test('one starts and follows, the other lists and stops, and both hear of the end', () =>
  inWorld(async (world) => {
    const [one, two] = [await world.engine(), await world.engine()];
    const heard: string[] = [];
    one.engine.on('settled', ({ id }) => heard.push(`one ${id}`));
    two.engine.on('settled', ({ id }) => heard.push(`two ${id}`));
    const id = await running(world, one, 'c');
    world.machine.print(world.machine.of('c'), 'hello');
    const followed: string[] = [];
    const following = (async () => {
      for await (const { data } of one.engine.follow(id, { encoding: 'utf8' })) followed.push(data);
    })();
    const waiting = one.engine.wait(id);
    await world.inTime('the other one watches', () => world.machine.of('c').connections.size === 2);
    assert.equal(
      (await two.engine.list({ state: 'running' })).tasks.map((task) => task.id),
      [id],
    );
    assert.is((await two.engine.stop(id)).state, 'terminated');
    assert.is((await waiting).state, 'terminated');
    await following;
    assert.equal(followed, ['hello']);
    await world.inTime('both have heard', () => heard.length === 2);
    await world.quiet();
    assert.equal(heard.sort(), [`one ${id}`, `two ${id}`]);
  }));

test('an engine hears of the end of its task also when another one ran it, unseen', () =>
  inWorld(async (world) => {
    const one = await world.engine({ starts: false });
    const heard: string[] = [];
    one.engine.on('settled', ({ id, state }) => heard.push(`${id} ${state}`));
    const { id } = await one.engine.start({ command: 'c' });
    const gone = await one.engine.start({ command: 'gone' });
    const two = await world.engine();
    await world.until('both run', () => world.machine.running.length === 2);
    for (const launch of world.machine.running) world.machine.end(launch);
    for (const each of [id, gone.id]) {
      await world.until('it has ended', async () => (await world.state(two.engine, each)) === 'completed');
    }
    await two.engine.remove(gone.id);
    assert.equal(heard, []);
    await world.inTime('it is heard', () => heard.length > 0);
    world.advance(5000);
    await world.quiet();
    assert.equal(heard, [`${id} completed`]);
  }));

test('when one engine dies, the other one watches on and starts what is pending, within the limits', () =>
  inWorld(async (world) => {
    const [one, two] = [await world.engine({ parallel: 2 }), await world.engine({ parallel: 2 })];
    const ids = [];
    for (let n = 0; n < 6; n += 1) ids.push((await one.engine.start({ command: `c${n}` })).id);
    await world.until('two run', () => world.machine.running.length === 2);
    one.die();
    for (let ended = 0; ended < 6; ended += 1) {
      await world.inTime('one runs', () => world.machine.running.length > 0);
      assert.ok(world.machine.running.length <= 2);
      world.machine.end(world.machine.running[0]!);
    }
    for (const id of ids) await world.untilState(two.engine, id, 'completed');
    assert.is(world.machine.spawned.length, 6);
  }));

test('of two that write the end, the first one wins', () =>
  inWorld(async (world) => {
    const [one, two] = [await world.engine(), await world.engine()];
    const id = await running(world, one, 'c');
    await world.inTime('both watch', () => world.machine.of('c').connections.size === 2);
    const states: string[] = [];
    two.engine.on('state', ({ state }) => states.push(state));
    await Promise.all([one.engine.stop(id), two.engine.stop(id), one.engine.stop(id)]);
    world.advance(10_000);
    await world.quiet();
    assert.is(await world.state(one.engine, id), 'terminated');
    assert.equal(states, ['terminated']);
  }));

test('a task that cannot be looked at keeps no engine from opening, and is looked at again', () =>
  inWorld(async (world) => {
    const first = await world.engine();
    const id = await running(world, first, 'c');
    const other = await running(world, first, 'other');
    first.die();
    const { machine } = world;
    machine.end(machine.of('c'), { exitCode: 3 });
    machine.beforeObserve = (directory) => {
      if (directory.includes(id)) throw Object.assign(new Error('bad sector'), { code: 'EIO' });
    };
    const { engine } = await world.engine();
    assert.equal(
      engine.recovery.adopted.map((task) => task.id),
      [id, other],
    );
    machine.beforeObserve = undefined;
    await world.untilState(engine, id, 'failed');
    assert.ok(world.problems.length > 0 && world.problems.every((problem) => problem.includes('bad sector')));
    world.problems.length = 0;
  }));

test('an orphan whose command cannot be stopped is not said to have ended', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const { id } = await engine.start({ command: 'c' });
    await world.untilState(engine, id, 'running');
    world.machine.killShim(world.machine.of('c'));
    await world.untilState(engine, id, 'orphaned');
    world.machine.unstoppable = true;
    await assert.rejectsWithCode(engine.stop(id), 'ERR_IO');
    assert.is(await world.state(engine, id), 'orphaned');
    world.machine.unstoppable = false;
    assert.is((await engine.stop(id)).state, 'terminated');
  }));

test('an orphan whose time is up is stopped by whoever watches it', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const { id } = await engine.start({ command: 'c', timeoutMs: 60_000 });
    await world.untilState(engine, id, 'running');
    world.machine.killShim(world.machine.of('c'));
    await world.untilState(engine, id, 'orphaned');
    await world.untilState(engine, id, 'timeout');
    assert.is((await engine.get(id)).cause, 'timeout');
  }));

test('an orphan that ends by itself is lost: nobody saw its exit code', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const { id } = await engine.start({ command: 'c' });
    await world.untilState(engine, id, 'running');
    world.machine.print(world.machine.of('c'), 'four');
    world.machine.killShim(world.machine.of('c'));
    await world.untilState(engine, id, 'orphaned');
    world.machine.lose(world.machine.of('c'), 'shim-died');
    await world.untilState(engine, id, 'lost');
    const { cause, exitCode, outputBytes, complete } = await engine.get(id);
    assert.equal([cause, exitCode, outputBytes, complete], ['shim-died', undefined, 4, false]);
  }));

test('a pending task with secrets whose engine is gone ends with a hint; with them it runs again', () =>
  inWorld(async (world) => {
    const first = await world.engine({ parallel: 1 });
    await running(world, first, 'runs');
    const { id } = await first.engine.start({ command: 'c', secretEnv: { TOKEN: 'tops3cret' } });
    const kept = await first.engine.start({ command: 'kept', env: { PLAIN: 'x' } });
    first.die();
    const { engine } = await world.engine();
    await world.untilState(engine, id, 'failed');
    const { cause, detail, envNames } = await engine.get(id);
    assert.is(cause, 'spawn-error');
    assert.match(detail ?? '', /TOKEN.*restart/);
    assert.equal(envNames, ['TOKEN']);
    await assert.rejectsWithCode(engine.restart(id), 'ERR_INVALID_ARGUMENT');
    await assert.rejectsWithCode(
      engine.restart(id, { secretEnv: { TOKEN: 'x', MORE: 'y' } }),
      'ERR_INVALID_ARGUMENT',
    );
    await engine.restart(id, { secretEnv: { TOKEN: 'an0ther one' } });
    await world.untilState(engine, id, 'running');
    assert.equal(world.machine.of('c').order.secretEnv, { TOKEN: 'an0ther one' });
    await world.untilState(engine, kept.id, 'running');
    assert.is(world.machine.of('kept').order.env['PLAIN'], 'x');
    assert.is(world.machine.of('kept').order.env['PATH'], '/bin');
  }));

test('an engine that closes leaves what runs, and ends what only it could start', () =>
  inWorld(async (world) => {
    const first = await world.engine({ parallel: 1 });
    const runs = await running(world, first, 'runs');
    const secret = await first.engine.start({ command: 'secret', secretEnv: { TOKEN: 'tops3cret' } });
    const never = await first.engine.start({ command: 'never', survive: 'never' });
    const plain = await first.engine.start({ command: 'plain' });
    await first.engine.close();
    await assert.rejectsWithCode(first.engine.get(runs), 'ERR_STORE_CLOSED');
    const { engine } = await world.engine({ parallel: 1 });
    assert.is(await world.state(engine, runs), 'running');
    assert.is((await engine.get(secret.id)).cause, 'spawn-error');
    assert.equal(
      [(await engine.get(never.id)).state, (await engine.get(never.id)).cause],
      ['terminated', 'engine-died'],
    );
    assert.is(await world.state(engine, plain.id), 'pending');
    world.machine.end(world.machine.of('runs'));
    await world.untilState(engine, plain.id, 'running');
  }));

test('closing with stop ends what this engine started, and what nobody alive did; no one else’s', () =>
  inWorld(async (world) => {
    const [dead, other, closing] = [await world.engine(), await world.engine(), await world.engine()];
    const ofDead = await running(world, dead, 'of the dead');
    const ofOther = await running(world, other, 'of another');
    const own = await running(world, closing, 'own');
    dead.die();
    await closing.engine.close({ running: 'stop' });
    assert.is(await world.state(other.engine, own), 'terminated');
    assert.is(await world.state(other.engine, ofDead), 'terminated');
    assert.is(await world.state(other.engine, ofOther), 'running');
  }));

test('an engine that only watches starts nothing, and sees and stops everything', () =>
  inWorld(async (world) => {
    const watching = await world.engine({ starts: false });
    const { id } = await watching.engine.start({ command: 'c' });
    world.advance(5000);
    await world.quiet();
    assert.is(await world.state(watching.engine, id), 'pending');
    const other = await world.engine();
    await world.untilState(other.engine, id, 'running');
    assert.is((await watching.engine.stop(id)).state, 'terminated');
  }));

test('a blocked task whose dependency settled while nobody looked goes on at the next open', () =>
  inWorld(async (world) => {
    const first = await world.engine();
    const id = await running(world, first, 'c');
    const blocked = await first.engine.start({ command: 'after', dependsOn: [{ id }] });
    first.die();
    world.machine.end(world.machine.of('c'));
    const { engine } = await world.engine();
    await world.untilState(engine, blocked.id, 'running');
  }));

test.run();
