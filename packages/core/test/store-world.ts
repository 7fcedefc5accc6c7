/** A directory with a store in it, for the tests that go through the public surface. */

import { readdirSync, readFileSync } from 'node:fs';
import { openStoreWith } from '#src/store/open-store.js';
import type { StoreOptions } from '#src/store/options.js';
import type { Store } from '#src/store/store.js';
import { assert, temporaryDirectory } from '@forewrit/testkit';
import { noRecovery } from './no-recovery.js';

export type CommitterKind = 'inline' | 'worker';
/** `npm run test:quick` leaves out the thread: to start one takes longer than most tests. */
export const committers: readonly CommitterKind[] =
  process.env['FOREWRIT_TEST_QUICK'] === '1' ? ['inline'] : ['inline', 'worker'];

export function openTestStore(root: string, options: StoreOptions = {}): Promise<Store> {
  return openStoreWith(
    root,
    { committer: 'inline', ...options },
    {
      recoverer: noRecovery,
      committerEntry: new URL('./store-committer.js', import.meta.url),
      verify: () => ({ checked: 0, findings: [] }),
    },
  );
}

export interface StoreWorld extends AsyncDisposable {
  readonly root: string;
  readonly store: Store;
  /** Opens one more handle, closed with the world. */
  open(options?: StoreOptions): Promise<Store>;
  /** Closes every handle. */
  close(): Promise<void>;
  /** Straight from the disk. */
  text(path: string): string;
  /** Every file below the root but the store's own, with its text. */
  tree(): Record<string, string>;
  /** Names in the staging areas of the root. */
  leftovers(): string[];
}

export async function storeWorld(options: StoreOptions = {}): Promise<StoreWorld> {
  const directory = temporaryDirectory('store');
  const root = `${directory.path}/root`;
  const stores: Store[] = [];
  const open = async (more: StoreOptions = {}): Promise<Store> => {
    const store = await openTestStore(root, { ...options, ...more });
    stores.push(store);
    return store;
  };
  const close = async (): Promise<void> => {
    for (const each of stores) await each.close();
  };
  const store = await open();
  return {
    root,
    store,
    open,
    close,
    text: (path) => readFileSync(`${root}/${path}`, 'utf8'),
    tree: () => treeOf(root),
    leftovers: () => leftoversOf(root),
    async [Symbol.asyncDispose]() {
      await close();
      directory.remove();
    },
  };
}

/** Files with their text; an empty directory ends with a slash, a symbolic link is not followed. */
export function treeOf(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const walk = (relative: string): void => {
    const entries = readdirSync(`${root}/${relative}`, { withFileTypes: true });
    if (entries.length === 0 && relative !== '') found[relative] = '';
    for (const entry of entries) {
      const path = `${relative}${entry.name}`;
      if (entry.name.startsWith('.forewrit')) continue;
      if (entry.isDirectory()) walk(`${path}/`);
      else found[path] = entry.isFile() ? readFileSync(`${root}/${path}`, 'utf8') : '(not a file)';
    }
  };
  walk('');
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function leftoversOf(root: string, area = '.forewrit'): string[] {
  return ['staged', 'before'].flatMap((place) =>
    readdirSync(`${root}/${area}/${place}`).map((name) => `${place}/${name}`),
  );
}

/** Runs with a store of each kind of committer. */
export async function withStores(
  options: StoreOptions,
  body: (world: StoreWorld) => Promise<void>,
  kinds: readonly CommitterKind[] = committers,
): Promise<void> {
  for (const committer of kinds) {
    const world = await storeWorld({ ...options, committer });
    try {
      await body(world);
      await world.close();
      assert.equal(world.leftovers(), [], `${committer}: nothing is left staged`);
    } catch (error) {
      if (error instanceof Error) error.message = `${committer}: ${error.message}`;
      throw error;
    } finally {
      await world[Symbol.asyncDispose]();
    }
  }
}
