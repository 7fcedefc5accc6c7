/**
 * Another program interferes between any two calls that a transaction makes of the file system, once: it replaces,
 * removes or makes something that the transaction is about. Whatever the moment, the transaction happens as a whole or
 * not at all beside that edit, what is not its business stays, nothing is left behind, and the store goes on.
 */

import { isStoreError, type StoreError } from '#src/errors.js';
import { type FileSystem } from '#src/files/file-system.js';
import { MemoryLog, MemoryLogState } from '#src/log/memory-log.js';
import type { Store } from '#src/store/store.js';
import type { Transaction } from '#src/store/transaction.js';
import { assert, FaultyFileSystem, SimulatedDisk, type SimulatedFileSystem, suite } from '@forewrit/testkit';
import { openTestStore } from './store-world.js';

const root = '/store';
const test = suite('edits at any moment', { timeoutMs: 300_000 });

interface Scenario {
  readonly name: string;
  readonly run: (tx: Transaction) => void | Promise<void>;
  /** What it is about: here the edits are made. With where it goes from there. */
  readonly paths: Readonly<Record<string, string>>;
}

const scenarios: readonly Scenario[] = [
  {
    name: 'replacing and making small files',
    run: (tx) => (void tx.writeFile('a', 'new a'), void tx.writeFile('n', 'new n')),
    paths: { a: 'a', n: 'n' },
  },
  {
    name: 'replacing a file by a large one',
    run: (tx) => (void tx.writeFile('a', 'A'.repeat(100_000)), void tx.writeFile('b', 'new b')),
    paths: { a: 'a', b: 'b' },
  },
  {
    name: 'appending and copying',
    run: (tx) => (void tx.appendFile('a', '+'), tx.copyFile('b', 'n')),
    paths: { a: 'a', b: 'n', n: 'n' },
  },
  {
    name: 'appending to a large file',
    run: (tx) => void tx.appendFile('large', '+'),
    paths: { large: 'large' },
  },
  {
    name: 'moving a file, and one onto another',
    run: (tx) => (tx.rename('a', 'n'), tx.rename('b', 'd/x')),
    paths: { a: 'n', b: 'd/x', n: 'n', 'd/x': 'd/x' },
  },
  {
    name: 'moving a directory',
    run: (tx) => (tx.rename('d', 'm'), void tx.writeFile('m/x', 'new x')),
    paths: { d: 'm', 'd/x': 'm/x', m: 'd' },
  },
  {
    name: 'removing a file and a directory',
    run: (tx) => (tx.rm('a'), tx.rm('d', { recursive: true })),
    paths: { a: 'a', d: 'd', 'd/x': 'd/x' },
  },
  {
    name: 'making directories',
    run: (tx) => (tx.mkdir('m'), void tx.writeFile('n/o/p', 'new p', { parents: true })),
    paths: { m: 'm', n: 'n', 'n/o': 'n/o' },
  },
];

interface Edit {
  readonly name: string;
  readonly make: (fileSystem: SimulatedFileSystem, path: string) => void;
}

const edits: readonly Edit[] = [
  { name: 'a file is put', make: (fileSystem, path) => (clear(fileSystem, path), put(fileSystem, path)) },
  { name: 'it is removed', make: clear },
  {
    name: 'a directory is put',
    make(fileSystem, path) {
      clear(fileSystem, path);
      if (fileSystem.lstat(parentOf(path))?.type !== 'directory') return;
      fileSystem.makeDirectory(path, 0o755);
      put(fileSystem, `${path}/edited`);
    },
  },
  {
    name: 'a link is put',
    make(fileSystem, path) {
      clear(fileSystem, path);
      if (fileSystem.lstat(parentOf(path))?.type === 'directory') fileSystem.symlink(`${root}/edited`, path);
    },
  },
];

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function put(fileSystem: FileSystem, path: string, text = 'edited'): void {
  if (fileSystem.lstat(parentOf(path))?.type !== 'directory') return;
  const descriptor = fileSystem.create(path, 0o644);
  fileSystem.write(descriptor, Buffer.from(text), 0);
  fileSystem.close(descriptor);
}

function clear(fileSystem: FileSystem, path: string): void {
  const type = fileSystem.lstat(path)?.type;
  if (type === undefined) return;
  if (type !== 'directory') {
    fileSystem.unlink(path);
    return;
  }
  for (const name of fileSystem.list(path)) clear(fileSystem, `${path}/${name}`);
  fileSystem.removeDirectory(path);
}

/** Everything below the root with its content, but for the store's own. Directories end with a slash. */
function treeOf(fileSystem: FileSystem, below = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of fileSystem.list(`${root}/${below}`.replace(/\/$/, '')).toSorted()) {
    if (below === '' && name === '.forewrit') continue;
    const path = `${below}${name}`;
    const stat = fileSystem.lstat(`${root}/${path}`)!;
    if (stat.type === 'directory') Object.assign(found, { [`${path}/`]: '' }, treeOf(fileSystem, `${path}/`));
    else if (stat.type === 'symlink') found[path] = `-> ${fileSystem.readlink(`${root}/${path}`)}`;
    else {
      const bytes = Buffer.alloc(stat.size);
      const descriptor = fileSystem.openRead(`${root}/${path}`);
      fileSystem.read(descriptor, bytes, 0);
      fileSystem.close(descriptor);
      found[path] = bytes.toString();
    }
  }
  return found;
}

interface World {
  readonly store: Store;
  readonly state: MemoryLogState;
  readonly outside: SimulatedFileSystem;
  /** Calls of the file system since it was armed; before the one of this number comes the edit. */
  arm(at: number, edit: () => void): void;
  readonly reached: boolean;
}

async function newWorld(): Promise<World> {
  const disk = new SimulatedDisk();
  const outside = disk.mount();
  outside.makeDirectory(root, 0o755);
  for (const directory of ['d', 'e']) outside.makeDirectory(`${root}/${directory}`, 0o755);
  for (const path of ['a', 'b', 'd/x', 'd/y', 'e/z']) put(outside, `${root}/${path}`, `old ${path}`);
  put(outside, `${root}/large`, 'L'.repeat(100_000));
  let left = Number.POSITIVE_INFINITY;
  let onReached = (): void => undefined;
  let reached = false;
  const fileSystem = new FaultyFileSystem(disk.mount(), {
    records: false,
    beforeCall: () => {
      if (left-- !== 0) return;
      reached = true;
      onReached();
    },
  });
  const state = new MemoryLogState();
  const store = await openTestStore(root, {
    fileSystem,
    log: new MemoryLog(state),
    clock: disk.clock,
    checkpointIntervalMs: 1e9,
  });
  return {
    store,
    state,
    outside,
    arm(at, edit) {
      left = at;
      onReached = edit;
    },
    get reached() {
      return reached;
    },
  };
}

/** What a transaction may answer to somebody's edit. */
const codes = new Set([
  'ERR_EXTERNAL_EDIT',
  'ERR_APPLY_ROLLED_BACK',
  'ERR_CONFLICT',
  'ERR_EXISTS',
  'ERR_IS_DIRECTORY',
  'ERR_NOT_DIRECTORY',
  'ERR_NOT_EMPTY',
  'ERR_NOT_FOUND',
  'ERR_INVALID_PATH',
]);

async function settle(action: () => Promise<unknown>): Promise<StoreError | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    assert.ok(isStoreError(error), String(error));
    return error as StoreError;
  }
}

/** Of what the edit is about, and what is below or above it, the edit decides. */
function concerns(edited: string, path: string): boolean {
  const name = path.replace(/\/$/, '');
  return name === edited || name.startsWith(`${edited}/`) || edited.startsWith(`${name}/`);
}

function differences(
  found: Readonly<Record<string, string>>,
  expected: Readonly<Record<string, string>>,
  isFree: (path: string) => boolean,
): string[] {
  return [...new Set([...Object.keys(found), ...Object.keys(expected)])].filter(
    (path) => found[path] !== expected[path] && !isFree(path),
  );
}

async function outcomeOf(scenario: Scenario): Promise<Record<string, string>> {
  const { store, outside } = await newWorld();
  await store.transact(scenario.run);
  await store.close();
  return treeOf(outside);
}

for (const scenario of scenarios) {
  test(`${scenario.name} happens as a whole or not at all beside an edit at any moment`, async () => {
    const after = await outcomeOf(scenario);
    let met = 0;
    for (const edit of edits) {
      for (const [path, goesTo] of Object.entries(scenario.paths)) {
        for (let at = 0; ; at += 1) {
          const world = await newWorld();
          const { store, outside, state } = world;
          const before = treeOf(outside);
          const what = `at call ${at}, where '${path}' was: ${edit.name}`;
          world.arm(at, () => edit.make(outside, `${root}/${path}`));
          const error = await settle(() => store.transact(scenario.run, { retries: 0 }));
          const { reached } = world;
          world.arm(Number.POSITIVE_INFINITY, () => undefined);
          if (error !== undefined)
            assert.ok(codes.has(error.code), `${what}: ${error.code} ${error.message}`);
          const expected = error === undefined ? after : before;
          const isFree = (each: string): boolean =>
            [path, goesTo, 'edited'].some((edited) => concerns(edited, each));
          const wrong = differences(treeOf(outside), expected, isFree).filter(
            (each) => error === undefined || !isEmptyDirectory(outside, each),
          );
          assert.equal(wrong, [], `${what}: ${error?.code ?? 'resolved'}`);
          assert.is(store.status, 'open', what);
          await store.checkpoint();
          assert.is(state.rows('log').range({ start: new Uint8Array(0) }).length, 0, what);
          assert.is(state.rows('locks').range({ start: new Uint8Array(0) }).length, 0, what);
          for (const place of ['staged', 'before']) {
            assert.equal(outside.list(`${root}/.forewrit/${place}`), [], `${what}: ${place}`);
          }
          await store.writeFile('afterwards', 'works');
          await store.close();
          if (!reached) break;
          met += 1;
        }
      }
    }
    assert.ok(met > 80, `${met} moments`);
  });
}

/** Parents that a transaction made may stay when it is rolled back. */
function isEmptyDirectory(fileSystem: FileSystem, path: string): boolean {
  const absolute = `${root}/${path.replace(/\/$/, '')}`;
  return fileSystem.lstat(absolute)?.type === 'directory' && fileSystem.list(absolute).length === 0;
}

test.run();
