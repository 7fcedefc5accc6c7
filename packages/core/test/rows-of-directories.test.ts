/** Rows say what was at a path; a directory that comes there, made or moved, is what counts. */

import { assert, suite } from '@forewrit/testkit';
import { engineWorld } from './engine-world.js';

const test = suite('rows of directories');

test('a directory that moves to where files were removed brings what it holds', async () => {
  await using world = await engineWorld();
  const { store } = world;
  await store.writeFiles({ 'c/d': 'old', 'd/x': 'kept' });
  await store.mkdir('d/d');
  await store.rm('c', { recursive: true });
  await store.rename('d', 'c');
  assert.is((await store.stat('c/d')).type, 'directory');
  assert.is(await store.readFile('c/x', 'utf8'), 'kept');
  await store.writeFile('c/d/y', 'new');
  await store.checkpoint();
  assert.equal(world.tree(), { 'c/d/y': 'new', 'c/x': 'kept' });
});

test('so does one that takes the place of another, moved away in the same transaction', async () => {
  await using world = await engineWorld();
  const { store } = world;
  await store.writeFiles({ 'a/x/file': 'a', 'b/x': 'b' });
  await store.transact((tx) => {
    tx.rename('b', 'c');
    tx.rename('a', 'b');
  });
  assert.is((await store.stat('b/x')).type, 'directory');
  assert.is(await store.readFile('c/x', 'utf8'), 'b');
  assert.equal(world.tree(), { 'b/x/file': 'a', 'c/x': 'b' });
});

test('a parent that is made where a file was removed is a directory at once', async () => {
  await using world = await engineWorld();
  const { store } = world;
  await store.writeFile('b/c', 'old');
  await store.rm('b', { recursive: true });
  await store.transact((tx) => {
    tx.mkdir('b');
    void tx.writeFile('b/c/d', 'new');
  });
  assert.is((await store.stat('b/c')).type, 'directory');
  assert.is(await store.readFile('b/c/d', 'utf8'), 'new');
});

test('a directory that moves out of one that is removed and made again', async () => {
  await using world = await engineWorld();
  const { store } = world;
  await store.writeFiles({ 'a/d/x': 'kept', 'a/y': 'gone' });
  await store.transact((tx) => {
    tx.rename('a/d', 'b/c');
    tx.rm('a', { recursive: true });
    tx.mkdir('a/e', { recursive: true });
  });
  assert.equal(world.tree(), { 'a/e/': '', 'b/c/x': 'kept' });
  await store.checkpoint();
  assert.equal(world.leftovers(), []);
});

test('what was read as absent conflicts with a directory that brings it', async () => {
  await using world = await engineWorld();
  const { store } = world;
  await store.writeFile('d/x', 'brought');
  await store.checkpoint();
  const tx = await store.begin();
  assert.is(await tx.exists('c/x'), false);
  void tx.writeFile('answer', 'there is no c/x');
  await store.rename('d', 'c');
  await assert.rejectsWithCode(tx.commit(), 'ERR_CONFLICT');
});

test.run();
