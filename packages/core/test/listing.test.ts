/** Names in directories while saves are under way: all names of a save, or none. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { assert, suite } from '@forewrit/testkit';
import { engineWorld } from './engine-world.js';
import { openTestStore, storeWorld, withStores } from './store-world.js';

const test = suite('listings');

test('what is committed and not carried out is listed as it will be', async () => {
  await using world = await storeWorld();
  const { store, root } = world;
  await store.writeFiles({ 'd/old': '1', 'd/same': '1', 'gone/a': '1' });
  await store.checkpoint();
  // It has committed, and gets no further; its process lives.
  const stopped = await openTestStore(root, { failpoint: { name: 'log.after', action: 'throw' } });
  await assert.rejectsWithCode(
    stopped.transact(async (tx) => {
      await tx.writeFile('d/new', '2');
      await tx.writeFile('d/same', '2');
      await tx.writeFile('d/e/f/deep', '2');
      tx.rm('d/old');
    }),
    'ERR_STORE_POISONED',
  );
  writeFileSync(`${root}/d/by-hand`, 'edited');
  const readOnly = await openTestStore(root, { readOnly: true });
  for (const each of [store, readOnly]) {
    assert.equal(await each.readdir('d'), ['by-hand', 'e', 'new', 'same']);
    assert.equal(await each.readdir('d', { recursive: true }), [
      'by-hand',
      'e',
      'e/f',
      'e/f/deep',
      'new',
      'same',
    ]);
    assert.equal(await each.readdir('d/e'), ['f']);
    const seen = await each.snapshot(async (view) => {
      const names = await view.readdir('.', { recursive: true });
      const contents = await Promise.all(
        ['d/new', 'd/same', 'd/e/f/deep'].map((path) => view.readFile(path, 'utf8')),
      );
      return [names.includes('d/old'), ...contents];
    });
    assert.equal(seen, [false, '2', '2', '2']);
    await assert.rejectsWithCode(each.readdir('d/new'), 'ERR_NOT_DIRECTORY');
    await assert.rejectsWithCode(each.readdir('d/old'), 'ERR_NOT_FOUND');
  }
  await readOnly.close();
  await stopped.close();
});

test('a listing of a snapshot belongs to its moment, or the snapshot runs again', async () => {
  await withStores({}, async ({ store }) => {
    await store.writeFiles({ a: '1', 'd/one': '1' });
    let runs = 0;
    const read = await store.snapshot(async (view) => {
      runs += 1;
      const a = await view.readFile('a', 'utf8');
      if (runs === 1) await store.writeFiles({ a: '2', 'd/two': '2' });
      return [a, ...(await view.readdir('d'))];
    });
    assert.equal(read, ['2', 'one', 'two']);
    assert.is(runs, 2);
    runs = 0;
    const listed = await store.snapshot(async (view) => {
      runs += 1;
      const names = await view.readdir('d');
      if (runs === 1) await store.writeFiles({ a: '3', 'd/three': '3' });
      return [...names, await view.readFile('a', 'utf8')];
    });
    assert.equal(listed, ['one', 'three', 'two', '3']);
    assert.is(runs, 2);
    // Names elsewhere, and contents, do not matter.
    runs = 0;
    await store.snapshot(async (view) => {
      runs += 1;
      await view.readdir('d');
      await store.writeFiles({ 'e/new': '4', 'd/one': '4' });
      await view.readdir('d');
      await view.readdir('e');
    });
    assert.is(runs, 1);
  });
});

test('while files come and go together, a listing has all of them or none', async () => {
  await withStores({}, async ({ store, open }) => {
    const other = await open();
    const names = ['a', 'b', 'c', 'd'];
    await store.mkdir('d');
    let stops = false;
    const writer = (async () => {
      while (!stops) {
        await store.writeFiles(Object.fromEntries(names.map((name) => [`d/${name}`, name])));
        await store.transact((tx) => {
          for (const name of names) tx.rm(`d/${name}`);
        });
      }
    })();
    const seen = new Set<string>();
    for (let n = 0; n < 60; n += 1) {
      await pause(n % 5);
      for (const each of [store, other]) {
        seen.add((await each.readdir('d')).join(' '));
        const listed = await each.snapshot(async (view) => [
          ...(await view.readdir('d')),
          String(await view.exists('d/d')),
        ]);
        assert.ok([`${names.join(' ')} true`, 'false'].includes(listed.join(' ')), listed.join(' '));
      }
    }
    stops = true;
    await writer;
    assert.equal([...seen].sort(), ['', names.join(' ')]);
  });
});

test('a snapshot is of one moment, also where what has gone since has no row any more', async () => {
  for (const isKnown of [true, false]) {
    await using w = await engineWorld();
    const { store } = w;
    if (isKnown) await store.writeFile('e/a', 'a');
    else {
      mkdirSync(`${w.root}/e`);
      writeFileSync(`${w.root}/e/a`, 'a');
    }
    await store.checkpoint();
    let runs = 0;
    const found = await store.snapshot(async (view) => {
      const before = await view.exists('d/a');
      if (runs++ === 0) {
        await store.rename('e', 'd');
        for (const text of ['1', '2']) {
          await store.checkpoint();
          await store.writeFile('k', text);
        }
        assert.not.ok(w.fileRows().some(({ path }) => path === 'e/a'));
      }
      return [before, await view.exists('e/a'), await view.exists('d/a')];
    });
    assert.equal(found, [true, false, true]);
    assert.is(runs, 2);
  }
});

test('a file that came with a directory since is not of the moment', async () => {
  await using w = await engineWorld();
  mkdirSync(`${w.root}/e`);
  writeFileSync(`${w.root}/e/a`, 'a');
  let runs = 0;
  const found = await w.store.snapshot(async (view) => {
    const before = await view.readFile('e/a', 'utf8').catch(() => undefined);
    if (runs++ === 0) await w.store.rename('e', 'd');
    return [before, await view.exists('d/a')];
  });
  assert.equal(found, [undefined, true]);
});

test.run();
