import { rmSync, existsSync, writeFileSync, readdirSync } from 'node:fs';
import { type Operation, StagingManager, type StateName } from '#src/index.js';
import { mayBecome } from '#src/operation.js';
import { assert, suite } from '@forewrit/testkit';
import { numberedLines, testStore } from './staging-store.js';

const test = suite('StagingManager');
const content = numberedLines(50_000);

function statesOf(manager: StagingManager): Map<string, StateName[]> {
  const states = new Map<string, StateName[]>();
  manager.on('state', ({ id, state }) => states.set(id, [...(states.get(id) ?? []), state]));
  return states;
}

test('an operation goes through its states, and tells of each', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store);
  const states = statesOf(manager);
  await manager.write('a', content, { id: 'done', metadata: { title: 'A' } });
  const cancelled = await manager.open('b', { id: 'cancelled' });
  await cancelled.write(content);
  await cancelled.cancel();
  await assert.rejectsWithCode(
    manager.write('c', content, { id: 'failed', expectedChecksum: 'abc' }),
    'ERR_INTEGRITY',
  );
  assert.equal(Object.fromEntries(states), {
    done: ['in_progress', 'completed'],
    cancelled: ['in_progress', 'cancelled'],
    failed: ['in_progress', 'failed'],
  });
  const done = (await manager.get('done')) as Extract<Operation, { state: 'completed' }>;
  assert.is(done.state, 'completed');
  assert.equal(done.metadata, { title: 'A' });
  assert.is(done.bytes, Buffer.byteLength(content));
  assert.is(done.checksum, (await world.store.stat('a')).checksum);
  const { completed, failed, cancelled: given, bytesWritten, running } = await manager.stats();
  assert.equal([completed, failed, given, running], [1, 1, 1, 0]);
  assert.is(bytesWritten, Buffer.byteLength(content));
  assert.is(await manager.cancel('failed'), true, 'what it has staged can be continued, or given up');
  assert.is(await manager.cancel('nobody'), false);
  assert.equal(await world.leftovers(), []);
});

test('states follow each other as they may, and no other way', () => {
  assert.is(mayBecome('pending', 'in_progress'), true);
  assert.is(mayBecome('pending', 'completed'), false);
  assert.is(mayBecome('completed', 'in_progress'), false);
  assert.is(mayBecome('in_progress', 'cleaning_up'), true);
  assert.is(mayBecome('cleaning_up', 'cancelled'), true);
  assert.is(mayBecome('cleaning_up', 'completed'), false);
});

test('an operation with an id is continued by another manager, in the next store', async () => {
  await using world = await testStore();
  const half = content.length / 2;
  {
    await using manager = new StagingManager(world.store);
    const writer = await manager.open('doc', { id: 'doc', metadata: { by: 'agent' } });
    await writer.write(content.slice(0, half));
    await assert.rejectsWithCode(manager.open('doc', { id: 'doc' }), 'ERR_CONFLICT');
    await assert.rejectsWithCode(manager.resume('doc'), 'ERR_CONFLICT');
    const other = new StagingManager(world.store);
    await assert.rejectsWithCode(other.resume('doc'), 'ERR_CONFLICT');
    await other.close();
  }
  await world.store.close();
  const store = await world.open();
  await using manager = new StagingManager(store);
  const [found] = await manager.list();
  assert.is(found?.state, 'in_progress');
  assert.equal(found?.metadata, { by: 'agent' });
  assert.is(found?.path, 'doc');
  await assert.rejectsWithCode(manager.open('doc', { id: 'doc' }), 'ERR_CONFLICT');
  const writer = await manager.resume('doc');
  const bytes = Buffer.from(content);
  assert.is(writer.offset, Buffer.byteLength(content.slice(0, half)));
  await writer.write(bytes.subarray(writer.offset));
  await writer.commit();
  assert.is(world.text('doc'), content);
  assert.equal(
    (await manager.list()).map(({ id, state }) => [id, state]),
    [['doc', 'completed']],
  );
  await store.close();
  // Who comes back and does not know whether it was committed is told.
  const next = await world.open();
  await using later = new StagingManager(next);
  assert.is((await later.get('doc'))?.state, 'completed');
  await assert.rejectsWithCode(later.resume('doc'), 'ERR_NOT_FOUND');
  await assert.rejectsWithCode(later.resume('unheard-of'), 'ERR_NOT_FOUND');
  // The id may be used again.
  await later.write('doc', 'anew', { id: 'doc' });
  assert.is(world.text('doc'), 'anew');
});

test('so many at once, the others in their order', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store, { maxConcurrentOperations: 2 });
  const order: number[] = [];
  const first = await manager.open('0');
  const second = await manager.open('1');
  const waiting = [2, 3, 4, 5].map(async (number) => {
    const writer = await manager.open(`${number}`);
    order.push(number);
    await writer.write('content');
    await writer.commit();
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(order, []);
  const { running, waiting: queued } = await manager.stats();
  assert.equal([running, queued], [2, 4]);
  await first.cancel();
  await second.cancel();
  await Promise.all(waiting);
  assert.equal(order, [2, 3, 4, 5]);
  assert.is((await manager.stats()).running, 0);
});

test('an operation that waits can be given up', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store, { maxConcurrentOperations: 1 });
  const first = await manager.open('0');
  const waiting = manager.open('1', { id: 'waits' });
  const aborting = new AbortController();
  const other = manager.open('2', { signal: aborting.signal });
  waiting.catch(() => undefined);
  while ((await manager.get('waits')) === undefined) await new Promise((resolve) => setImmediate(resolve));
  assert.is((await manager.get('waits'))?.state, 'pending');
  assert.is(await manager.cancel('waits'), true);
  await assert.rejectsWithCode(waiting, 'ERR_ABORTED');
  assert.is((await manager.get('waits'))?.state, 'cancelled');
  aborting.abort();
  await assert.rejectsWithCode(other, 'ERR_ABORTED');
  await first.write('content');
  await first.commit();
  await manager.write('3', 'content');
});

test('what is too large for the manager is refused', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store, { maxFileSizeBytes: 1000 });
  await assert.rejectsWithCode(manager.open('a', { totalBytes: 5 * 2 ** 30 }), 'ERR_TOO_LARGE');
  await assert.rejectsWithCode(manager.write('a', content), 'ERR_TOO_LARGE');
  await assert.rejectsWithCode(manager.write('a', content, { maxBytes: 10 ** 9 }), 'ERR_TOO_LARGE');
  await manager.write('a', 'x'.repeat(1000));
  await using large = new StagingManager(world.store, { maxFileSizeBytes: 2 ** 53 });
  await assert.rejectsWithCode(large.open('b', { totalBytes: 2 ** 52 }), 'ERR_NO_SPACE');
  assert.equal(await world.leftovers(), []);
});

test('what is old is removed, on demand and from time to time', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store, { maxStagingAgeMs: 0, cleanupIntervalMs: 5 });
  const writer = await manager.open('a', { id: 'old' });
  await writer.write(content);
  await writer.close();
  await manager.write('b', 'content', { id: 'done' });
  const kept = await world.store.stage('somebody-elses');
  await kept.close();
  await new Promise<void>((resolve) => {
    const look = (): void => {
      void manager.list().then((all) => (all.length === 0 ? resolve() : undefined));
    };
    manager.on('cleaned', look);
  });
  assert.equal(
    (await world.store.staged()).map(({ id }) => id),
    ['somebody-elses'],
  );
  const { discarded, forgotten } = await manager.cleanUp();
  assert.equal([discarded, forgotten], [[], 0]);
  assert.is(await world.store.discardStaged('somebody-elses'), true);
  assert.equal(await world.leftovers(), []);
});

test('what is being written is not removed, however old it is', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store, { maxStagingAgeMs: 0 });
  const writer = await manager.open('a', { id: 'x', ttlMs: 0 });
  await writer.write(content);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal((await manager.cleanUp()).discarded, []);
  await writer.commit();
  assert.is(world.text('a'), content);
});

test('health tells what is in the way', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store, { maxFileSizeBytes: 1 });
  const { status, problems, space } = await manager.health();
  assert.equal([status, problems], ['healthy', []]);
  assert.ok(space.totalBytes > 0);
  await using greedy = new StagingManager(world.store, { maxFileSizeBytes: 2 ** 53 });
  assert.is((await greedy.health()).status, 'degraded');
  await world.store.close();
  await assert.rejectsWithCode(manager.health(), 'ERR_STORE_CLOSED');
});

test('estimates follow what was measured', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store);
  const guessed = manager.estimate({ bytes: 1_000_000 });
  assert.is(guessed.measurements, 0);
  assert.ok(guessed.durationMs > 0 && guessed.spaceBytes >= 1_000_000);
  await manager.write('a', Buffer.alloc(2_000_000));
  await manager.write('b', 'small');
  const { measurements, durationMs } = manager.estimate({ bytes: 10_000_000, files: 10 });
  assert.is(measurements, 2);
  assert.ok(durationMs > manager.estimate({ bytes: 1000 }).durationMs);
});

test('ids and options are checked', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store);
  for (const id of ['', '../x', '.x', 'a b', 'x'.repeat(129)]) {
    await assert.rejectsWithCode(manager.open('a', { id }), 'ERR_INVALID_ARGUMENT');
    await assert.rejectsWithCode(manager.resume(id), 'ERR_INVALID_ARGUMENT');
    await assert.rejectsWithCode(manager.cancel(id), 'ERR_INVALID_ARGUMENT');
  }
  for (const options of [
    { maxConcurrentOperations: 0 },
    { cleanupIntervalMs: -1 },
    { maxFileSizeBytes: 'x' as never },
  ])
    assert.throwsWithCode(() => new StagingManager(world.store, options), 'ERR_INVALID_ARGUMENT');
  await manager.close();
  await assert.rejectsWithCode(manager.open('a'), 'ERR_INVALID_ARGUMENT');
});

test('what is damaged is not continued, and can be given up', async () => {
  await using world = await testStore();
  await using manager = new StagingManager(world.store);
  const writer = await manager.open('a', { id: 'x' });
  await writer.write(content);
  await writer.close();
  const directory = `${world.root}/.forewrit/staged`;
  for (const name of readdirSync(directory)) writeFileSync(`${directory}/${name}`, 'x'.repeat(60_000));
  const problems = async (): Promise<string[]> =>
    (await world.store.verify()).findings.map(({ problem }) => problem);
  assert.equal(await problems(), ['damaged']);
  await assert.rejectsWithCode(manager.resume('x'), 'ERR_INTEGRITY');
  for (const name of readdirSync(directory)) rmSync(`${directory}/${name}`);
  assert.equal(await problems(), ['missing']);
  await assert.rejectsWithCode(manager.resume('x'), 'ERR_INTEGRITY');
  assert.is(existsSync(`${world.root}/a`), false);
  assert.is(await manager.cancel('x'), true);
  assert.equal(await world.leftovers(), []);
});

test('what is forgotten of an operation keeps nobody from its undo, and is not in history', async () => {
  await using world = await testStore({ history: {} });
  await using manager = new StagingManager(world.store, { maxStagingAgeMs: 0 });
  await world.store.writeFile('a', 'before');
  await manager.write('a', content, { id: 'done' });
  const completed = (await manager.get('done')) as Extract<Operation, { state: 'completed' }>;
  await new Promise((resolve) => {
    setTimeout(resolve, 5);
  });
  assert.is((await manager.cleanUp()).forgotten > 0, true);
  const { transaction } = await world.store.undo(completed.transaction);
  assert.is(world.text('a'), 'before');
  const found: string[] = [];
  for await (const entry of world.store.history()) found.push(entry.transaction);
  assert.equal(found.slice(0, 2), [transaction, completed.transaction]);
});

test.run();
