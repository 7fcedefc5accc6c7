import { assert, suite } from '@forewrit/testkit';
import { taskCollection } from '#src/task/index-rows.js';
import type { TaskEngine } from '#src/engine/task-engine.js';
import { assertNoProblems, EngineWorld } from './engine-world.js';

const test = suite('lists, and what is kept');

const dayMs = 86_400_000;

async function inWorld(body: (world: EngineWorld) => Promise<void>): Promise<void> {
  await using world = await EngineWorld.open();
  await body(world);
  assertNoProblems(world);
}

async function ended(
  world: EngineWorld,
  engine: TaskEngine,
  spec: Partial<Parameters<TaskEngine['start']>[0]> & { readonly printed?: string } = {},
): Promise<string> {
  const { printed = '', ...rest } = spec;
  const { id } = await engine.start({ command: `c${Math.random()}`, ...rest });
  await world.untilState(engine, id, 'running');
  const launch = world.machine.running.find(({ directory }) => directory.includes(id))!;
  world.machine.print(launch, printed);
  world.machine.end(launch);
  await world.untilState(engine, id, 'completed');
  return id;
}

async function idsOf(engine: TaskEngine): Promise<string[]> {
  return (await engine.list({ limit: 1000 })).tasks.map(({ id }) => id);
}

/** Rows of the index that name a task. */
async function rowsOf(world: EngineWorld, id: string): Promise<string[]> {
  const rows = await world.store.collection('tasks.index').range();
  return rows.map(([key]) => key).filter((key) => key.includes(id));
}

test('pages are the newest first and go on where the last one ended, for every filter', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine({ parallel: 3 });
    const ids: string[] = [];
    for (let n = 0; n < 12; n += 1) {
      const { id } = await engine.start({
        command: `c${n}`,
        group: n % 2 === 0 ? 'even/ä' : 'odd',
        tags: n % 3 === 0 ? ['three', 'x y'] : ['other'],
      });
      ids.unshift(id);
    }
    await world.until('six run', () => world.machine.running.length === 6);
    world.machine.end(world.machine.of('c0'));
    world.machine.end(world.machine.of('c1'), { exitCode: 1 });
    await world.until('two more run', () => world.machine.spawned.length === 8);
    await world.until(
      'it is known',
      async () => (await engine.list({ state: 'running' })).tasks.length === 6,
    );
    const all = async (options: Parameters<TaskEngine['list']>[0]): Promise<number[]> => {
      const found: number[] = [];
      let cursor: string | undefined;
      do {
        const page = await engine.list({ ...options, limit: 2, ...(cursor === undefined ? {} : { cursor }) });
        assert.ok(page.tasks.length <= 2);
        found.push(...page.tasks.map(({ command }) => Number(String(command).slice(1))));
        cursor = page.cursor;
      } while (cursor !== undefined);
      return found;
    };
    assert.equal(await all({}), [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert.equal(await all({ group: 'even/ä' }), [10, 8, 6, 4, 2, 0]);
    assert.equal(await all({ tag: 'x y' }), [9, 6, 3, 0]);
    assert.equal(await all({ tag: 'three', group: 'odd' }), [9, 3]);
    assert.equal(await all({ state: 'completed' }), [0]);
    assert.equal(await all({ state: ['completed', 'failed'] }), [1, 0]);
    assert.equal(await all({ state: ['running'] }), [7, 6, 5, 4, 3, 2]);
    assert.equal(await all({ state: ['pending', 'failed'] }), [11, 10, 9, 8, 1]);
    assert.equal(await all({ state: 'lost' }), []);
    assert.equal(await all({ group: 'none' }), []);
    assert.equal((await engine.list({ limit: 12 })).cursor, undefined);
    for (const options of [
      { limit: 0 },
      { limit: 1001 },
      { state: 'nonsense' },
      { tag: '' },
      { cursor: 7 },
    ]) {
      await assert.rejectsWithCode(engine.list(options as { limit: number }), 'ERR_INVALID_ARGUMENT');
    }
  }));

test('a task is removed with all that is written of it, and only after its end', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const id = await ended(world, engine, { group: 'g', tags: ['t'], idempotencyKey: 'k', ttlMs: dayMs });
    const runs = await engine.start({ command: 'runs' });
    await world.untilState(engine, runs.id, 'running');
    assert.ok((await rowsOf(world, id)).length >= 4);
    await assert.rejectsWithCode(engine.remove(runs.id), 'ERR_CONFLICT');
    await engine.remove(id);
    await assert.rejectsWithCode(engine.get(id), 'ERR_NOT_FOUND');
    assert.equal(await rowsOf(world, id), []);
    assert.is(await world.store.collection(taskCollection).get(id), undefined);
    assert.equal(
      world.machine.removed.map((path) => path.endsWith(id)),
      [true],
    );
  }));

test('by age, by number and by bytes the oldest go; what lives is never removed', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const runs = await engine.start({ command: 'runs' });
    await world.untilState(engine, runs.id, 'running');
    const ids: string[] = [];
    for (let n = 0; n < 6; n += 1) {
      ids.push(await ended(world, engine, { printed: 'x'.repeat(10) }));
      world.advance(60_000);
    }
    assert.equal((await engine.prune()).removed, []);
    assert.equal((await engine.prune({ maxCount: 5 })).removed, [ids[0]]);
    assert.equal(await engine.prune({ maxBytes: 35 }), { removed: [ids[2], ids[1]], bytes: 20 });
    assert.equal((await engine.prune({ maxAgeMs: 121_000 })).removed, [ids[3]]);
    assert.equal(await idsOf(engine), [ids[5]!, ids[4]!, runs.id]);
    world.advance(dayMs);
    assert.equal((await engine.prune()).removed, [ids[5], ids[4]]);
    assert.equal(await idsOf(engine), [runs.id]);
    for (const policy of [{ maxAgeMs: -1 }, { maxCount: Number.NaN }, null]) {
      await assert.rejectsWithCode(engine.prune(policy as { maxAgeMs: number }), 'ERR_INVALID_ARGUMENT');
    }
  }));

test('a task with a time to live goes by it, and others stay; by itself, without being asked', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine({ pruneIntervalMs: 60_000 });
    const short = await ended(world, engine, { ttlMs: 90_000 });
    const long = await ended(world, engine);
    const late = await engine.start({ command: 'late', ttlMs: 1 });
    await world.untilState(engine, late.id, 'running');
    await world.inTime('it goes', async () => !(await idsOf(engine)).includes(short));
    assert.equal(await idsOf(engine), [late.id, long]);
    world.machine.end(world.machine.of('late'));
    await world.inTime('it goes', async () => !(await idsOf(engine)).includes(late.id));
    await world.inTime('a day later', async () => {
      world.advance(dayMs / 10);
      return (await idsOf(engine)).length === 0;
    });
  }));

test('what an engine that died while removing left is swept at the next open, and directories of nobody', () =>
  inWorld(async (world) => {
    const first = await world.engine();
    const id = await ended(world, first.engine);
    const kept = await ended(world, first.engine);
    const removing = first.engine.remove(id);
    first.supervisor.die();
    await world.until('the tombstone is there', async () => (await rowsOf(world, id))[0] === `z/${id}`);
    first.die();
    void removing;
    await assert.rejectsWithCode(first.engine.get(id), 'ERR_NOT_FOUND');
    const stray = `${world.store.root}/.forewrit/tasks/${'0'.repeat(17)}/1`;
    world.machine.claim(stray, 'shim');
    const { engine } = await world.engine({ pruneIntervalMs: 60_000 });
    await world.inTime('it is swept', () => world.machine.removed.length === 2);
    await world.until('the tombstone is gone', async () => (await rowsOf(world, id)).length === 0);
    assert.equal(await idsOf(engine), [kept]);
    assert.ok(world.machine.removed.some((path) => path.endsWith('0'.repeat(17))));
  }));

test('a dependency may be removed: those that wait for it have been told', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine({ parallel: 1 });
    const id = await ended(world, engine);
    const after = await engine.start({ command: 'after', dependsOn: [{ id }] });
    await world.untilState(engine, after.id, 'running');
    await engine.remove(id);
    const record = await engine.get(after.id);
    assert.equal(record.dependsOn, [{ id, on: 'success' }]);
  }));

test('ids are in the order of creation, also when the clock goes back', () =>
  inWorld(async (world) => {
    const { engine } = await world.engine();
    const ids: string[] = [];
    for (let n = 0; n < 20; n += 1) ids.push((await engine.start({ command: 'c' })).id);
    assert.equal([...ids].sort(), ids);
    assert.is(new Set(ids).size, 20);
  }));

test('what an engine notes of tasks is not in the history of its store', async () => {
  await using world = await EngineWorld.open({ history: {} });
  const { engine } = await world.engine({ retention: { maxCount: 1 } });
  const ids = [await ended(world, engine), await ended(world, engine)];
  await engine.prune();
  assert.equal(await idsOf(engine), ids.slice(1));
  const { transaction } = await world.store.writeFile('a', 'a');
  const found: string[] = [];
  for await (const entry of world.store.history()) found.push(entry.transaction);
  assert.equal(found, [transaction]);
  assertNoProblems(world);
});

test.run();
