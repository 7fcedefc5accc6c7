/**
 * Random transactions against a model: what a transaction sees of itself, and what it leaves, is what the operations do
 * one after the other. Also where the file system makes no hard links, and with a checkpoint in between or without.
 */

import { announceSeed, assert, Random, suite } from '@forewrit/testkit';
import { formatChecksum, hash64 } from '#src/record/checksum.js';
import type { Transaction } from '#src/store/transaction.js';
import { isStoreError } from '#src/errors.js';
import { type EngineWorld, engineWorld } from './engine-world.js';

const test = suite('random transactions', { timeoutMs: 120_000 });
const seed = announceSeed('random transactions');

/** Paths of directories (`undefined`) and files (their text). */
type Model = Map<string, string | undefined>;

const names = ['a', 'b', 'c', 'd'];
/** What one transaction cannot do, in the hints of these. */
const refusals = ['ERR_EXISTS', 'ERR_IS_DIRECTORY', 'ERR_NOT_DIRECTORY', 'ERR_INVALID_PATH'];

function randomPath(random: Random): string {
  const depth = random.below(3);
  return Array.from({ length: depth + 1 }, () => random.pick(names)).join('/');
}

const parentOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0));
const below = (model: Model, path: string): string[] =>
  [...model.keys()].filter((each) => each.startsWith(`${path}/`));

function canHold(model: Model, path: string): boolean {
  for (let at = parentOf(path); at !== ''; at = parentOf(at))
    if (model.has(at) && model.get(at) !== undefined) return false;
  return true;
}

function makeParents(model: Model, path: string): void {
  for (let at = parentOf(path); at !== ''; at = parentOf(at)) model.set(at, undefined);
}

/** One random operation, if the model allows it; does it to both. */
function step(random: Random, model: Model, tx: Transaction, serial: number): string | undefined {
  const path = randomPath(random);
  const isFile = model.get(path) !== undefined;
  const isDirectory = model.has(path) && !isFile;
  switch (random.below(7)) {
    case 0:
    case 1: {
      if (isDirectory || !canHold(model, path)) return undefined;
      const text = `${serial}${random.below(8) === 0 ? 'x'.repeat(70_000) : ''}`;
      void tx.writeFile(path, text);
      makeParents(model, path);
      model.set(path, text);
      return `write ${path}`;
    }
    case 2: {
      if (isDirectory || !canHold(model, path)) return undefined;
      void tx.appendFile(path, `+${serial}`);
      makeParents(model, path);
      model.set(path, `${model.get(path) ?? ''}+${serial}`);
      return `append ${path}`;
    }
    case 3: {
      const from = random.pick([...model.keys(), 'a']);
      const text = model.get(from);
      if (text === undefined || isDirectory || !canHold(model, path)) return undefined;
      tx.copyFile(from, path);
      makeParents(model, path);
      model.set(path, text);
      return `copy ${from} to ${path}`;
    }
    case 4: {
      const from = random.pick([...model.keys(), 'a']);
      if (!model.has(from) || from === path || !canHold(model, path) || path.startsWith(`${from}/`))
        return undefined;
      const text = model.get(from);
      if (text === undefined ? model.has(path) : isDirectory) return undefined;
      tx.rename(from, path);
      makeParents(model, path);
      for (const each of below(model, from)) {
        model.set(`${path}${each.slice(from.length)}`, model.get(each));
        model.delete(each);
      }
      model.delete(from);
      model.set(path, text);
      return `rename ${from} to ${path}`;
    }
    case 5: {
      const target = random.pick([...model.keys(), 'a']);
      if (!model.has(target)) return undefined;
      tx.rm(target, { recursive: true });
      for (const each of below(model, target)) model.delete(each);
      model.delete(target);
      return `rm ${target}`;
    }
    default: {
      if (model.has(path) || !canHold(model, path)) return undefined;
      tx.mkdir(path, { recursive: true });
      makeParents(model, path);
      model.set(path, undefined);
      return `mkdir ${path}`;
    }
  }
}

function treeOfModel(model: Model): Record<string, string> {
  const tree: Record<string, string> = {};
  for (const [path, text] of model) {
    if (text !== undefined) tree[path] = text;
    else if (below(model, path).length === 0) tree[`${path}/`] = '';
  }
  return Object.fromEntries(Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function treeOfTransaction(tx: Transaction): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  const paths = await tx.readdir('.', { recursive: true });
  for (const path of paths) {
    if ((await tx.stat(path)).type === 'file') tree[path] = await tx.readFile(path, 'utf8');
    else if (!paths.some((each) => each.startsWith(`${path}/`))) tree[`${path}/`] = '';
  }
  return Object.fromEntries(Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1)));
}

interface Outcome {
  readonly committed: number;
  readonly rolledBack: number;
}

async function run(
  world: EngineWorld,
  random: Random,
  { rounds, beforeCommit }: { rounds: number; beforeCommit?: () => void },
): Promise<Outcome> {
  const { store } = world;
  let model: Model = new Map();
  let committed = 0;
  let rolledBack = 0;
  for (let round = 0; round < rounds; round += 1) {
    const after: Model = new Map(model);
    const steps: string[] = [];
    const tx = await store.begin();
    for (let n = random.below(8) + 1; n > 0; n -= 1) {
      const done = step(random, after, tx, round * 100 + n);
      if (done !== undefined) steps.push(done);
    }
    const what = `seed ${seed}, round ${round}: ${steps.join('; ')}`;
    const look = random.below(3) === 0;
    try {
      if (look) assert.equal(await treeOfTransaction(tx), treeOfModel(after), `seen: ${what}`);
      beforeCommit?.();
      await tx.commit();
      model = after;
      committed += 1;
    } catch (error) {
      if (!isStoreError(error)) throw error;
      await tx.abort();
      if (error.code === 'ERR_APPLY_ROLLED_BACK' && beforeCommit !== undefined) rolledBack += 1;
      else assert.ok(refusals.includes(error.code), `${what}: ${error.code} ${String(error)}`);
    }
    // Parents that were made for a transaction stay when it is rolled back.
    if (rolledBack > 0)
      for (const path of Object.keys(world.tree()))
        if (path.endsWith('/')) model.set(path.slice(0, -1), undefined);
    if (rolledBack > 0) for (const path of model.keys()) makeParents(model, path);
    assert.equal(world.tree(), treeOfModel(model), what);
    if (random.below(4) === 0) await store.checkpoint();
    const files = [...model].filter(([, text]) => text !== undefined);
    for (const [path, text] of files) {
      assert.is(await store.readFile(path, 'utf8'), text, what);
      const { checksum } = await store.stat(path);
      assert.is(checksum, formatChecksum(hash64(Buffer.from(text!))), `${path}: ${what}`);
    }
  }
  await store.checkpoint();
  assert.equal(world.leftovers(), []);
  assert.equal(world.conflicts(), []);
  assert.is(world.rows('log'), 0);
  assert.is(world.rows('locks'), 0);
  return { committed, rolledBack };
}

test('a transaction does what its operations do one after the other', async () => {
  for (let world = 0; world < 6; world += 1) {
    await using each = await engineWorld({ inlineLimitBytes: 1000 });
    const { committed } = await run(each, new Random(seed + world), { rounds: 120 });
    assert.ok(committed > 60, `${committed} were committed`);
  }
});

test('so it does where the file system makes no hard links', async () => {
  for (const error of ['EPERM', 'ENOTSUP'] as const) {
    await using each = await engineWorld({
      inlineLimitBytes: 1000,
      faults: [{ error, sticky: true, at: ({ method }) => method === 'link' }],
    });
    const { committed } = await run(each, new Random(seed), { rounds: 100 });
    assert.ok(committed > 40, `${committed} were committed`);
  }
});

test('a transaction that fails at any of its renames, told truly or not, leaves everything as it was', async () => {
  for (const after of [false, true]) {
    const random = new Random(seed);
    let failAt = Number.POSITIVE_INFINITY;
    let renames = 0;
    await using each = await engineWorld({
      inlineLimitBytes: 1000,
      faults: [
        {
          error: 'EIO',
          after,
          sticky: true,
          at: ({ method, path, dest }) =>
            method === 'rename' &&
            !(path.includes('.forewrit') && dest!.includes('.forewrit')) &&
            renames++ === failAt,
        },
      ],
    });
    const outcome = await run(each, random, {
      rounds: 250,
      beforeCommit: () => {
        renames = 0;
        failAt = random.below(6);
      },
    });
    assert.ok(outcome.committed > 50 && outcome.rolledBack > 50, JSON.stringify(outcome));
  }
});

test.run();
