/** Random transactions, each undone again, the newest first: the tree and the entries are as they were before each. */

import { lstatSync, readdirSync, readlinkSync, symlinkSync } from 'node:fs';
import type { Store } from '#src/store/store.js';
import { announceSeed, assert, Random, suite } from '@forewrit/testkit';
import { isStoreError } from '#src/errors.js';
import type { Transaction } from '#src/store/transaction.js';
import { engineWorld } from './engine-world.js';

const test = suite('random undos', { timeoutMs: 120_000 });

const names = ['a', 'b', 'd', 'e', 'd/a', 'd/b', 'e/d', 'e/d/a', 'n/o/p', 'l', 'd/k', 'm', 'm/b'];
const programs = 60;
const transactionsMax = 12;
const operationsMax = 3;
const large = 'LARGE '.repeat(20);

/** Whether it has changed entries. */
async function operate(tx: Transaction, random: Random): Promise<boolean> {
  const kind = random.below(9);
  if (kind < 7) {
    await operateOnFiles(tx, random, kind);
    return false;
  }
  if (kind === 7) await tx.writeFile(random.pick(names), 'with entries');
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
    default:
      return tx.mkdir(path);
  }
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

/** Where each symbolic link leads. */
function linksOf(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('.forewrit') && lstatSync(`${root}/${name}`).isSymbolicLink())
    .map((name) => `${name} → ${readlinkSync(`${root}/${name}`)}`)
    .sort();
}

test('undoing all of it, the newest first, leads back through every state', async () => {
  const random = new Random(announceSeed('random undos'));
  let undone = 0;
  for (let program = 0; program < programs; program += 1) {
    await using world = await engineWorld({ history: {}, inlineLimitBytes: 64 });
    const { store } = world;
    await store.writeFiles({ a: 'a', b: large, 'd/a': 'd', 'e/d/a': 'e' });
    symlinkSync('a', `${world.root}/l`);
    symlinkSync('../nowhere', `${world.root}/d/k`);
    symlinkSync('d', `${world.root}/m`);
    const entries = store.collection('numbers');
    const state = async (): Promise<unknown> => [world.tree(), linksOf(world.root), await entries.range()];
    const done: { transaction: string; before: unknown }[] = [];
    for (let left = 1 + random.below(transactionsMax); left > 0; left -= 1) {
      const before = await state();
      const transaction = await transact(store, random);
      if (transaction !== undefined) done.push({ transaction, before });
      else if (JSON.stringify(await state()) !== JSON.stringify(before)) done.length = 0;
    }
    for (const { transaction, before } of done.toReversed()) {
      try {
        await store.undo(transaction);
      } catch (error) {
        // Something was put where a directory had been: there is no one transaction that takes that back.
        if (!isStoreError(error, 'ERR_INVALID_PATH')) throw error;
        break;
      }
      assert.equal(await state(), before, `program ${program}, ${transaction}`);
      undone += 1;
    }
    assert.equal(world.conflicts(), []);
  }
  assert.ok(undone > programs);
});

test.run();
