/** When the committer does what: closing, giving up, and errors that nobody expects. */

import { StoreError } from '#src/errors.js';
import { MemoryLog } from '#src/log/memory-log.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { pathKey, u32Key } from '#src/record/key.js';
import { lockRow } from '#src/record/rows.js';
import { assert, SimulatedClock, suite } from '@forewrit/testkit';
import { engineWorld } from './engine-world.js';

const test = suite('committer loop');
const large = 'L'.repeat(100_000);

test('a checkpoint that is asked for while the store closes is refused or done, never forgotten', async () => {
  await using world = await engineWorld();
  const { store } = world;
  await store.writeFiles({ a: '1', b: large });
  const asked = [store.checkpoint(), store.checkpoint(), store.checkpoint()];
  const closing = store.close();
  const results = await Promise.allSettled(asked);
  await closing;
  for (const result of results) {
    if (result.status === 'rejected') assert.is((result.reason as StoreError).code, 'ERR_STORE_CLOSED');
  }
  assert.is(world.rows('log'), 0);
  await assert.rejectsWithCode(store.checkpoint(), 'ERR_STORE_CLOSED');
});

test('an error before anything is staged poisons the store, for nobody knows how far it has come', async () => {
  await using world = await engineWorld({ failpoint: { name: 'stage.before', action: 'throw', skip: 1 } });
  const { store } = world;
  await store.writeFile('a', '1');
  const results = await Promise.allSettled([store.writeFile('a', '2'), store.writeFile('b', '2')]);
  assert.ok(results.every(({ status }) => status === 'rejected'));
  assert.is(store.status, 'poisoned');
  assert.equal(world.tree(), { a: '1' });
  await assert.rejectsWithCode(store.writeFile('a', '3'), 'ERR_STORE_POISONED');
});

test('who has waited too long for those before him is refused, and nothing of his is written', async () => {
  const clock = new SimulatedClock();
  await using world = await engineWorld({
    clock,
    lockTimeoutMs: 100,
    logOptions: { onFlushed: () => clock.advance(1000) },
  });
  const { store } = world;
  const saves = await Promise.allSettled([store.writeFile('a', 'first'), store.writeFile('a', 'second')]);
  assert.is(saves[0].status, 'fulfilled');
  assert.is(saves[1].status === 'rejected' && (saves[1].reason as StoreError).code, 'ERR_STORE_LOCKED');
  assert.equal(world.tree(), { a: 'first' });
  assert.equal(
    world.leftovers().filter((name) => name.includes('1-2')),
    [],
  );
});

test('a checkpoint of ours that a transaction needs first is no waiting, however long it takes', async () => {
  const clock = new SimulatedClock();
  await using world = await engineWorld({ clock, lockTimeoutMs: 100 });
  const { store } = world;
  world.onCall = ({ method }) => {
    if (method === 'sync' || method === 'syncDirectory') clock.advance(1000);
  };
  await store.writeFile('d/a', '1');
  await store.rm('d', { recursive: true });
  await store.writeFile('d/a', '2');
  // One that is under way already.
  const [checkpoint] = await Promise.all([store.checkpoint(), store.rename('d', 'e')]);
  assert.ok(checkpoint.transactions > 0);
  assert.equal(world.tree(), { 'e/a': '2' });
});

test('a store that cannot write its log any more closes all the same, and says that it is not clean', async () => {
  let full = false;
  await using world = await engineWorld({
    logOptions: {
      onReserve: () => {
        if (full) throw new StoreError('ERR_NO_SPACE', 'full', { op: 'commit' });
      },
    },
  });
  const { store } = world;
  await store.writeFiles({ a: '1', b: large });
  full = true;
  await store.close();
  assert.is(store.status, 'closed');
  assert.ok(world.logged.filter(({ level }) => level === 'warn').length > 0);
  assert.ok(world.rows('log') > 0, 'recovery has what it needs');
  assert.equal(world.tree(), { a: '1', b: large });
});

test('a poisoned store recovers nobody', async () => {
  await using world = await engineWorld({ failpoint: { name: 'log.after', action: 'throw' } });
  const { store } = world;
  await assert.rejectsWithCode(store.writeFile('a', '1'), 'ERR_STORE_POISONED');
  const key = pathKey('b', { caseInsensitive: false, normalizing: false });
  const log = new MemoryLog(world.state);
  const locked = { what: 'b', transaction: { owner: 9, counter: 1 }, blocked: false };
  log.commit((batch) => batch.put('locks', key, lockRow.encode(key, locked)));
  new NodeFileSystem().close(new NodeFileSystem().create(`${world.root}/b`, 0o644));
  const reading = store.readFile('b', 'utf8');
  setTimeout(() => log.commit((batch) => batch.delete('locks', key)), 30);
  assert.is(await reading, '');
  assert.is(
    log.view((view) => view.get('owners', u32Key(1))),
    undefined,
    'its own row is gone',
  );
});

test('options that are null are as good as none', async () => {
  await using world = await engineWorld();
  const { store } = world;
  const none = null as never;
  await store.writeFile('a', '1', none);
  await store.writeFiles({ b: '1' }, none);
  await store.appendFile('a', '2', none);
  await store.copyFile('a', 'c', none);
  await store.rename('c', 'd', none);
  await store.mkdir('e', none);
  await store.transact(async (tx) => {
    await tx.writeFile('f', '1', none);
    void tx.appendFile('f', '2', none);
    tx.copyFile('f', 'g', none);
    tx.rename('g', 'h', none);
    tx.mkdir('i', none);
    tx.rm('d', none);
    assert.equal(await tx.readdir('.', none), ['a', 'b', 'e', 'f', 'h', 'i']);
    tx.put('c', 'k', 1);
    assert.equal(await tx.range('c', none), [['k', 1]]);
  }, none);
  await store.rm('h', none);
  const tx = await store.begin(none);
  await tx.abort();
  assert.equal(await store.readdir('.', none), ['a', 'b', 'e', 'f', 'i']);
  assert.equal(Buffer.from(await store.readFile('f', none)), Buffer.from('12'));
  await store.snapshot(async (view) => {
    assert.equal(await view.readdir('.', none), ['a', 'b', 'e', 'f', 'i']);
  });
});

test('a checkpoint that comes to its end while the store closes has its report', async () => {
  await using world = await engineWorld();
  await world.store.writeFile('a', '1');
  const asked = world.store.checkpoint();
  await world.store.close();
  assert.is((await asked).transactions, 1);
});

test.run();
