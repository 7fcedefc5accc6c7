import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isStoreError } from '@forewrit/core';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { bytesIn, fileNames, fill, managerOf, openTestStore, wholeVersion } from './context-world.js';

const test = suite('two managers of one context', { timeoutMs: 60_000 });

test('the later save of stale data is a conflict; loading resolves it', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const [one, two] = [managerOf(store), managerOf(store)];
  fill(one, 1);
  await one.save();
  await two.load();
  fill(two, 2);
  await two.save();
  const saved = bytesIn(join(root.path, 'context'));

  fill(one, 3);
  const { last_updated: stampBefore } = one.metadata;
  const error = await assert.rejectsWithCode(one.save(), 'ERR_CONFLICT');
  assert.ok(isStoreError(error));
  assert.is(error.op, 'save');
  assert.is(error.path, 'context/messages.json');
  assert.equal(bytesIn(join(root.path, 'context')), saved);
  assert.is(one.state.version, 3, 'what was not saved is still in memory');
  assert.is(one.metadata.last_updated, stampBefore);
  await assert.rejectsWithCode(one.save(), 'ERR_CONFLICT');

  assert.is(await one.load(), true);
  assert.is(wholeVersion(one), 2);
  fill(one, 3);
  await one.save();
  await assert.rejectsWithCode(two.save(), 'ERR_CONFLICT');
});

test('neither having loaded, the later first save is a conflict', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const [one, two] = [managerOf(store), managerOf(store)];
  fill(one, 1);
  fill(two, 2);
  const outcomes = await Promise.allSettled([one.save(), two.save()]);
  assert.equal(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
  await two.load();
  assert.is(wholeVersion(two), 1);
});

test('force writes over what is there', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const [one, two] = [managerOf(store), managerOf(store)];
  fill(one, 1);
  await one.save();
  fill(two, 2);
  await two.save({ force: true });
  fill(two, 3);
  await two.save();
  await one.load();
  assert.is(wholeVersion(one), 3);
});

test('a manager whose data another one has restored is not stale', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const manager = managerOf(store);
  fill(manager, 1);
  await manager.save();
  const paths = fileNames.map((name) => `context/${name}`);
  const original = await store.readFiles(paths);
  await store.writeFiles(paths.map((path) => [path, '{}'] as const));
  await assert.rejectsWithCode(manager.save(), 'ERR_CONFLICT');
  await store.writeFiles(original);
  fill(manager, 2);
  await manager.save();
});

for (const name of fileNames) {
  test(`an edit of ${name} by a program that knows nothing of the store is not written over`, async () => {
    using root = temporaryDirectory();
    await using store = await openTestStore(root.path);
    const manager = managerOf(store);
    fill(manager, 1);
    await manager.save();
    const path = join(root.path, 'context', name);
    appendFileSync(path, ' ');
    const edited = readFileSync(path, 'utf8');
    fill(manager, 2);
    const error = await assert.rejectsWithCode(manager.save(), 'ERR_CONFLICT');
    assert.ok(isStoreError(error));
    assert.is(error.path, `context/${name}`);
    assert.is(readFileSync(path, 'utf8'), edited);
    await manager.load();
    assert.is(wholeVersion(manager), 1);
    fill(manager, 2);
    await manager.save();
    await manager.load();
    assert.is(wholeVersion(manager), 2);
  });
}

test('a context that another program wrote is not written over unread', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  writeFileSync(join(root.path, 'state.json'), '{}');
  const manager = managerOf(store, { directory: '.' });
  fill(manager, 1);
  const error = await assert.rejectsWithCode(manager.save(), 'ERR_CONFLICT');
  assert.ok(isStoreError(error));
  assert.is(error.path, 'state.json');
});

for (const committer of ['inline', 'worker'] as const) {
  test(`of many that save, load and save without pause, no save is lost (${committer})`, async () => {
    using root = temporaryDirectory();
    await using store = await openTestStore(root.path, { committer });
    await using another = await openTestStore(root.path, { committer });
    const managers = [managerOf(store), managerOf(store), managerOf(another), managerOf(another)];
    const incrementsEach = 15;
    let conflicts = 0;
    await Promise.all(
      managers.map(async (manager) => {
        for (let done = 0; done < incrementsEach; ) {
          await manager.load();
          fill(manager, manager.messages.length === 0 ? 1 : wholeVersion(manager) + 1);
          try {
            await manager.save();
            done += 1;
          } catch (error) {
            if (!isStoreError(error, 'ERR_CONFLICT')) throw error;
            conflicts += 1;
          }
        }
      }),
    );
    await managers[0]!.load();
    assert.is(wholeVersion(managers[0]!), managers.length * incrementsEach);
    assert.ok(conflicts > 0, 'there was contention');
  });
}

test('of one global context and different directories do not conflict while it stays as it is', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path, { committer: 'worker' });
  const globalContextPath = 'global_context.json';
  const first = managerOf(store, { directory: 'agent-0', globalContextPath });
  fill(first, 1);
  await first.save();
  const managers = [1, 2, 3, 4, 5].map((index) =>
    managerOf(store, { directory: `agent-${index}`, globalContextPath }),
  );
  await Promise.all(
    managers.map(async (manager) => {
      await manager.load();
      for (let version = 2; version < 12; version += 1) {
        fill(manager, version);
        manager.globalContext = { version: 1 };
        await manager.save();
      }
    }),
  );
  first.globalContext = { version: 2 };
  await first.save();
  const error = await assert.rejectsWithCode(managers[0]!.save(), 'ERR_CONFLICT');
  assert.ok(isStoreError(error));
  assert.is(error.path, globalContextPath);
});

test.run();
