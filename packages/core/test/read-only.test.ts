/** A store that is only looked at: nothing is made, nothing written, and what is pending is read as recovery would. */

import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { MemoryLog, MemoryLogState } from '#src/log/memory-log.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { openTestStore, treeOf } from './store-world.js';

const test = suite('store that is only read');

function namesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted();
}

test('it reads everything and refuses to write', async () => {
  using directory = temporaryDirectory('read-only');
  const root = `${directory.path}/root`;
  const writer = await openTestStore(root);
  await writer.writeFiles({ a: '1', 'd/b': '2' });
  await writer.collection('c').put('k', { value: 3 });
  // Beside the one that writes, and when that is gone.
  for (const round of ['beside', 'alone']) {
    if (round === 'alone') await writer.close();
    const before = namesBelow(root);
    const store = await openTestStore(root, { readOnly: true });
    assert.is(await store.readFile('a', 'utf8'), '1');
    assert.equal([...(await store.readFiles(['a', 'd/b'], 'utf8')).values()], ['1', '2']);
    assert.equal(await store.collection('c').get('k'), { value: 3 });
    assert.equal(await store.readdir('.', { recursive: true }), ['a', 'd', 'd/b']);
    assert.is(await store.snapshot((view) => view.readFile('d/b', 'utf8')), '2');
    assert.is((await store.stat('a')).size, 1);
    assert.is(await store.exists('n'), false);
    assert.is((await store.verify()).findings.length, 0);
    assert.is(store.stats().commits, 0);
    assert.equal(store.recovery.redone, []);
    await assert.rejectsWithCode(store.writeFile('a', 'x'), 'ERR_PERMISSION');
    await assert.rejectsWithCode(store.begin(), 'ERR_PERMISSION');
    await assert.rejectsWithCode(store.checkpoint(), 'ERR_PERMISSION');
    await store.close();
    await assert.rejectsWithCode(store.readFile('a'), 'ERR_STORE_CLOSED');
    if (round === 'alone') assert.equal(namesBelow(root), before);
  }
});

test('what was committed and not applied is read from the log', async () => {
  using directory = temporaryDirectory('read-only');
  const root = directory.path;
  const state = new MemoryLogState();
  writeFileSync(`${root}/b`, 'old b');
  const writer = await openTestStore(root, {
    log: new MemoryLog(state),
    failpoint: { name: 'log.after', action: 'throw' },
  });
  const saved = writer.writeFiles({ a: 'new a', b: 'new b', c: 'L'.repeat(100_000) });
  await assert.rejectsWithCode(saved, 'ERR_STORE_POISONED');
  assert.equal(treeOf(root), { b: 'old b' });
  const store = await openTestStore(root, { log: new MemoryLog(state), readOnly: true });
  const read = await store.readFiles(['a', 'b', 'c'], 'utf8');
  assert.equal([...read.values()], ['new a', 'new b', 'L'.repeat(100_000)]);
  await store.close();
});

test('what is done to content that was read does not show when it is read again', async () => {
  using directory = temporaryDirectory('read-only');
  const state = new MemoryLogState();
  const writer = await openTestStore(directory.path, {
    log: new MemoryLog(state),
    failpoint: { name: 'log.after', action: 'throw' },
  });
  await assert.rejectsWithCode(writer.writeFile('a', 'from the log'), 'ERR_STORE_POISONED');
  const store = await openTestStore(directory.path, { log: new MemoryLog(state), readOnly: true });
  (await store.readFile('a')).fill(0);
  assert.is(await store.readFile('a', 'utf8'), 'from the log');
  await store.close();
  await writer.close();
});

test('there must be a store, and it is not made', async () => {
  using directory = temporaryDirectory('read-only');
  await assert.rejectsWithCode(openTestStore(`${directory.path}/none`, { readOnly: true }), 'ERR_NOT_FOUND');
  mkdirSync(`${directory.path}/empty`);
  await assert.rejectsWithCode(openTestStore(`${directory.path}/empty`, { readOnly: true }), 'ERR_NOT_FOUND');
  assert.equal(readdirSync(`${directory.path}/empty`), []);
  const store = await openTestStore(`${directory.path}/torn`);
  await store.close();
  rmSync(`${directory.path}/torn/.forewrit/log`, { recursive: true });
  await assert.rejectsWithCode(
    openTestStore(`${directory.path}/torn`, { readOnly: true }),
    'ERR_STORE_MISMATCH',
  );
});

test('the log of another store is refused, as when the store is opened to write', async () => {
  using directory = temporaryDirectory('read-only');
  for (const name of ['one', 'other']) {
    const store = await openTestStore(`${directory.path}/${name}`);
    await store.writeFile('a', name);
    await store.close();
  }
  const log = '.forewrit/log/data.mdb';
  copyFileSync(`${directory.path}/one/${log}`, `${directory.path}/other/${log}`);
  for (const readOnly of [true, false]) {
    await assert.rejectsWithCode(
      openTestStore(`${directory.path}/other`, { readOnly }),
      'ERR_STORE_MISMATCH',
    );
  }
});

test.run();
