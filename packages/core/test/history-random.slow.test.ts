/** Random transactions, each undone again, the newest first: the tree and the entries are as they were before each. */

import { lstatSync, readdirSync, readlinkSync, symlinkSync } from 'node:fs';
import type { HistoryEntry } from '#src/history/history-entry.js';
import type { Store } from '#src/store/store.js';
import { announceSeed, assert, Random, suite } from '@forewrit/testkit';
import { isStoreError } from '#src/errors.js';
import type { Transaction } from '#src/store/transaction.js';
import { engineWorld } from './engine-world.js';

const test = suite('random undos', { timeoutMs: 120_000 });

const names = ['a', 'b', 'd', 'e', 'd/a', 'd/b', 'e/d', 'e/d/a', 'n/o/p', 'l', 'd/k', 'm', 'm/b'];
const directories = ['d', 'e', 'e/d', 'n', 'n/o', 'm'];
/** Of these some are directories, in some. */
const below = ['a', 'b', 'd', 'd/a', 'k', 'o'];
const programs = 60;
const transactionsMax = 12;
const operationsMax = 3;
const large = 'LARGE '.repeat(20);

/** Whether it has changed entries. */
async function operate(tx: Transaction, random: Random): Promise<boolean> {
  const kind = random.below(12);
  if (kind < 10) {
    await operateOnFiles(tx, random, kind);
    return false;
  }
  if (kind === 10) await tx.writeFile(random.pick(names), 'with entries');
  tx.put('numbers', `${random.below(3)}`, random.below(100));
  if (random.chance(0.3)) tx.delete('numbers', `${random.below(3)}`);
  return true;
}

async function operateOnFiles(tx: Transaction, random: Random, kind: number): Promise<void> {
  const [path, other] = [random.pick(names), random.pick(names)];
  switch (kind) {
    case 0:
    case 1:
      return await tx.writeFile(path, random.chance(0.3) ? large : `${random.below(1000)}`);
    case 2:
      return await tx.appendFile(path, `${random.below(10)}`);
    case 3:
      return tx.copyFile(path, other);
    case 4:
      return tx.rename(path, other);
    case 5:
      return tx.rm(path, { recursive: true });
    case 6:
    case 7:
      return await rotate(tx, random, random.pick([other, 'x', 'y/z']));
    case 8:
      return replace(tx, random, random.pick(directories));
    default:
      return tx.mkdir(path);
  }
}

/** A directory takes the place of another one, of which something may have left before. */
function replace(tx: Transaction, random: Random, directory: string): void {
  if (random.chance(0.4)) tx.rename(`${directory}/${random.pick(below)}`, random.pick([...names, 'x']));
  tx.rm(directory, { recursive: true });
  tx.rename(random.pick(directories), directory);
}

/** A directory makes room for another one of its name, or for a file. */
async function rotate(tx: Transaction, random: Random, aside: string): Promise<void> {
  const directory = random.pick(directories);
  tx.rename(directory, aside);
  if (random.chance(0.2)) tx.rename(`${aside}/${random.pick(below)}`, random.pick(names));
  if (random.chance(0.3)) tx.mkdir(directory);
  for (const name of below) if (random.chance(0.4)) await tx.writeFile(`${directory}/${name}`, `new ${name}`);
  if (random.chance(0.2)) tx.rename(`${aside}/${random.pick(below)}`, `${directory}/${random.pick(below)}`);
}

/** `undefined` if it was refused: that is as it may be. */
async function transact(store: Store, random: Random): Promise<string | undefined> {
  const tx = await store.begin();
  try {
    let changesEntries = false;
    for (let left = 1 + random.below(operationsMax); left > 0; left -= 1)
      changesEntries = (await operate(tx, random)) || changesEntries;
    const { transaction, paths } = await tx.commit();
    // One that comes to nothing is not in history.
    return paths.length === 0 && !changesEntries ? undefined : transaction;
  } catch (error) {
    await tx.abort();
    if (!isStoreError(error)) throw error;
    return undefined;
  }
}

async function entryOf(store: Store, transaction: string): Promise<HistoryEntry> {
  for await (const entry of store.history()) if (entry.transaction === transaction) return entry;
  throw new Error(`${transaction} is not in history`);
}

/** A directory has moved, and something else is in its place. */
function isTaken({ paths }: HistoryEntry): boolean {
  return paths.some(({ did, from }) => did === 'directory-moved' && paths.some(({ path }) => path === from));
}

/** Where each symbolic link leads. */
function linksOf(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('.forewrit') && lstatSync(`${root}/${name}`).isSymbolicLink())
    .map((name) => `${name} → ${readlinkSync(`${root}/${name}`)}`)
    .sort();
}

test('undoing all of it, the newest first, leads back through every state', async () => {
  const random = new Random(announceSeed('random undos'));
  let [undone, taken] = [0, 0];
  for (let program = 0; program < programs; program += 1) {
    await using world = await engineWorld({ history: {}, inlineLimitBytes: 64 });
    const { store } = world;
    await store.writeFiles({ a: 'a', b: large, 'd/a': 'd', 'e/d/a': 'e' });
    symlinkSync('a', `${world.root}/l`);
    symlinkSync('../nowhere', `${world.root}/d/k`);
    symlinkSync('d', `${world.root}/m`);
    const entries = store.collection('numbers');
    const state = async (): Promise<unknown> => [world.tree(), linksOf(world.root), await entries.range()];
    const done: { transaction: string; before: unknown; after: unknown }[] = [];
    for (let left = 1 + random.below(transactionsMax); left > 0; left -= 1) {
      const before = await state();
      const transaction = await transact(store, random);
      if (transaction !== undefined) done.push({ transaction, before, after: await state() });
      else if (JSON.stringify(await state()) !== JSON.stringify(before)) done.length = 0;
    }
    for (const { transaction, before, after } of done.toReversed()) {
      const what = `program ${program}, ${transaction}`;
      const entry = await entryOf(store, transaction);
      if (isTaken(entry)) taken += 1;
      assert.equal([entry.undoable, entry.obstacle], [true, undefined], what);
      const undo = await store.undo(transaction);
      assert.equal(await state(), before, what);
      undone += 1;
      if (random.chance(0.5)) {
        assert.is((await entryOf(store, undo.transaction)).undoable, true, what);
        const redo = await store.undo(undo.transaction);
        assert.equal(await state(), after, `${what}, redone`);
        await store.undo(redo.transaction);
        assert.equal(await state(), before, `${what}, redone and undone`);
      }
    }
    assert.equal(world.conflicts(), []);
  }
  const what = `${undone} were undone; in ${taken} of them the place of a directory was taken`;
  assert.ok(undone > programs && taken > 2, what);
  console.log(what);
});

test.run();
