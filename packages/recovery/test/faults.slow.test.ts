/**
 * An error at every call that a transaction makes of the file system, of the checkpoint after it, and of the log: the
 * tree is all old or all new, the store goes on or says that it is poisoned, and nothing stays behind once it has been
 * opened again.
 */

import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import {
  isStoreError,
  MemoryLog,
  MemoryLogState,
  NodeFileSystem,
  type Store,
  type StoreError,
  type StoreOptions,
  type Transaction,
} from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { assert, type Fault, FaultyFileSystem, suite, temporaryDirectory } from '@forewrit/testkit';

interface Scenario {
  readonly name: string;
  readonly options?: StoreOptions;
  readonly run: (tx: Transaction) => void | Promise<void>;
}

const large = 'L'.repeat(100_000);

const scenarios: readonly Scenario[] = [
  {
    name: 'replace and create small files',
    run(tx) {
      void tx.writeFile('one', 'new one');
      void tx.writeFile('two', 'new two');
      void tx.writeFile('sub/three', 'new three');
      void tx.writeFile('fresh/four', 'new four');
    },
  },
  {
    name: 'replace with large content',
    async run(tx) {
      await tx.writeFile('one', large);
      void tx.writeFile('two', 'new two');
    },
  },
  { name: 'move a file onto another', run: (tx) => tx.rename('one', 'two') },
  { name: 'remove a file and a directory', run: (tx) => (tx.rm('one'), tx.rm('sub', { recursive: true })) },
  {
    name: 'move a directory',
    run: (tx) => (tx.rename('sub', 'moved/sub'), void tx.writeFile('two', 'new two')),
  },
  { name: 'make directories', run: (tx) => (tx.mkdir('made'), tx.mkdir('deep/er', { recursive: true })) },
  { name: 'append and copy', run: (tx) => (tx.copyFile('one', 'copy'), tx.appendFile('two', ' and more')) },
];

const failures: readonly object[] = [
  { error: 'EIO' },
  { error: 'ENOSPC' },
  { error: 'EACCES' },
  { error: 'EMFILE' },
  { error: 'EBUSY' },
  { error: 'EIO', sticky: true },
  { error: 'EIO', after: true },
  { shortWrite: 1 },
];

const codes = new Set([
  'ERR_IO',
  'ERR_NO_SPACE',
  'ERR_PERMISSION',
  'ERR_APPLY_ROLLED_BACK',
  'ERR_APPLY_BLOCKED',
  'ERR_STORE_POISONED',
]);

const test = suite('faults', { timeoutMs: 240_000 });

function treeOf(root: string): Record<string, string> {
  const tree: Record<string, string> = {};
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (name.startsWith('.forewrit')) continue;
    tree[name] = statSync(`${root}/${name}`).isDirectory() ? '' : readFileSync(`${root}/${name}`, 'utf8');
  }
  return tree;
}

function fill(root: string): void {
  mkdirSync(`${root}/sub`, { recursive: true });
  writeFileSync(`${root}/one`, 'old one');
  writeFileSync(`${root}/two`, 'old two');
  writeFileSync(`${root}/sub/three`, 'old three');
  writeFileSync(`${root}/sub/five`, 'old five');
}

function leftovers(root: string): string[] {
  return ['staged', 'before'].flatMap((place) =>
    readdirSync(`${root}/.forewrit/${place}`).map((name) => `${place}/${name}`),
  );
}

/** Parents that a transaction made may stay when it is rolled back. */
function withoutEmptyDirectories(tree: Record<string, string>): Record<string, string> {
  const names = Object.keys(tree);
  return Object.fromEntries(
    Object.entries(tree).filter(
      ([name, content]) => content !== '' || names.some((each) => each.startsWith(`${name}/`)),
    ),
  );
}

async function expectedTree(scenario: Scenario): Promise<Record<string, string>> {
  const directory = temporaryDirectory('expected');
  fill(directory.path);
  const store = await openStore(directory.path, { committer: 'inline' });
  await store.transact(scenario.run);
  await store.close();
  const tree = treeOf(directory.path);
  directory.remove();
  return tree;
}

interface Trap {
  armed: boolean;
  calls: number;
  at: number;
}

/** A store whose file system fails at call `trap.at` after it was armed. */
async function openTrapped(root: string, failure: object, trap: Trap): Promise<Store> {
  const at = (): boolean =>
    trap.armed && trap.calls++ >= trap.at && (trap.calls === trap.at + 1 || 'sticky' in failure);
  const fileSystem = new FaultyFileSystem(new NodeFileSystem(), {
    faults: [{ ...failure, sticky: true, at } as unknown as Fault],
    records: false,
  });
  return await openStore(root, { committer: 'inline', fileSystem, checkpointIntervalMs: 1e9 });
}

async function settle(action: () => Promise<unknown>): Promise<unknown> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return error;
  }
}

async function checkAfter(
  root: string,
  trees: readonly Record<string, string>[],
  what: string,
): Promise<void> {
  const store = await openStore(root, { committer: 'inline' });
  try {
    assert.equal(store.recovery.blocked, [], what);
    const tree = withoutEmptyDirectories(treeOf(root));
    const found = trees.some(
      (each) => JSON.stringify(sorted(withoutEmptyDirectories(each))) === JSON.stringify(sorted(tree)),
    );
    assert.ok(found, `${what}: ${JSON.stringify(tree).slice(0, 300)}`);
    await store.writeFile('afterwards', 'works');
  } finally {
    await store.close();
  }
  assert.equal(leftovers(root), [], what);
}

function sorted(tree: Record<string, string>): [string, string][] {
  return Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1));
}

for (const scenario of scenarios) {
  test(`${scenario.name}: an error at every call leaves all old or all new`, async () => {
    const after = await expectedTree(scenario);
    let hit = 0;
    for (const failure of failures) {
      for (let at = 0; ; at += 1) {
        const directory = temporaryDirectory('faults');
        const root = directory.path;
        fill(root);
        const before = treeOf(root);
        const trap: Trap = { armed: false, calls: 0, at };
        const store = await openTrapped(root, failure, trap);
        const what = `${JSON.stringify(failure)} at call ${at}`;
        trap.armed = true;
        const error = await settle(() => store.transact(scenario.run, { retries: 0 }));
        const reached = trap.calls > at;
        trap.armed = false;
        if (error !== undefined) {
          assert.ok(isStoreError(error), `${what}: ${String(error)}`);
          assert.ok(codes.has((error as StoreError).code), `${what}: ${(error as StoreError).code}`);
        }
        if (error === undefined) assert.equal(treeOf(root), after, what);
        await settle(() => store.close());
        const allowed = error === undefined ? [after] : isUnknown(error) ? [before, after] : [before];
        await checkAfter(root, allowed, what);
        directory.remove();
        if (!reached) break;
        hit += 1;
      }
    }
    assert.ok(hit > 50, `${hit} faults were met`);
  });
}

/** Where the outcome was unknown, or the transaction was left to recovery, both are right. */
function isUnknown(error: unknown): boolean {
  return isStoreError(error, 'ERR_STORE_POISONED') || isStoreError(error, 'ERR_APPLY_BLOCKED');
}

test('an error at every call of the checkpoint loses nothing', async () => {
  const after = await expectedTree(scenarios[0]!);
  let hit = 0;
  for (const failure of failures) {
    for (let at = 0; ; at += 1) {
      const directory = temporaryDirectory('faults');
      const root = directory.path;
      fill(root);
      const trap: Trap = { armed: false, calls: 0, at };
      const store = await openTrapped(root, failure, trap);
      await store.transact(scenarios[0]!.run);
      trap.armed = true;
      await settle(() => store.checkpoint());
      const reached = trap.calls > at;
      trap.armed = false;
      const what = `checkpoint, ${JSON.stringify(failure)} at call ${at}`;
      assert.equal(treeOf(root), after, what);
      const next = await settle(() => store.writeFile('next', 'x'));
      assert.ok(next === undefined || isStoreError(next, 'ERR_STORE_POISONED'), `${what}: ${String(next)}`);
      await settle(() => store.close());
      await checkAfter(root, [after, { ...after, next: 'x' }], what);
      directory.remove();
      if (!reached) break;
      hit += 1;
    }
  }
  assert.ok(hit > 30, `${hit} faults were met`);
});

for (const written of [false, true]) {
  test(`a flush that fails, ${written ? 'having' : 'not having'} written: poisoned, nothing deleted, reopening decides`, async () => {
    const directory = temporaryDirectory('faults');
    const root = directory.path;
    fill(root);
    const before = treeOf(root);
    const state = new MemoryLogState();
    let failing = false;
    const fail = (): void => {
      if (failing) throw Object.assign(new Error('flush'), { code: 'EIO' });
    };
    const log = new MemoryLog(state, written ? { onFlushed: fail } : { onFlush: fail });
    const store = await openStore(root, { committer: 'inline', log });
    failing = true;
    await assert.rejectsWithCode(store.transact(scenarios[0]!.run), 'ERR_STORE_POISONED');
    failing = false;
    assert.is(store.status, 'poisoned');
    assert.equal(treeOf(root), before);
    assert.ok(leftovers(root).length > 0, 'what was staged is still there');
    await assert.rejectsWithCode(store.writeFile('x', 'x'), 'ERR_STORE_POISONED');
    await store.close();
    const again = await openStore(root, { committer: 'inline', log: new MemoryLog(state) });
    assert.equal(treeOf(root), written ? await expectedTree(scenarios[0]!) : before);
    await again.close();
    assert.equal(leftovers(root), []);
    directory.remove();
  });
}

test.run();
