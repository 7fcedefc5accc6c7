/** A store in a directory of its own, for the tests of staging. */

import { readdirSync, readFileSync } from 'node:fs';
import type { Store, StoreOptions } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { temporaryDirectory } from '@forewrit/testkit';

export interface TestStore extends AsyncDisposable {
  readonly root: string;
  readonly store: Store;
  open(options?: StoreOptions): Promise<Store>;
  text(path: string): string;
  /** Names in the staging areas, after a checkpoint. */
  leftovers(): Promise<string[]>;
}

export async function testStore(options: StoreOptions = {}): Promise<TestStore> {
  const directory = temporaryDirectory('staging');
  const root = `${directory.path}/root`;
  const stores: Store[] = [];
  const open = async (more: StoreOptions = {}): Promise<Store> => {
    const store = await openStore(root, { committer: 'inline', ...options, ...more });
    stores.push(store);
    return store;
  };
  const store = await open();
  return {
    root,
    store,
    open,
    text: (path) => readFileSync(`${root}/${path}`, 'utf8'),
    leftovers: async () => {
      const last = stores.findLast(({ status }) => status === 'open');
      await last?.checkpoint();
      return ['staged', 'before'].flatMap((place) => readdirSync(`${root}/.forewrit/${place}`));
    },
    async [Symbol.asyncDispose]() {
      for (const each of stores) await each.close();
      directory.remove();
    },
  };
}

/** Content that tells where it was cut: each line its number. */
export function numberedLines(bytesMin: number): string {
  const lines: string[] = [];
  for (let bytes = 0, line = 0; bytes < bytesMin; line += 1) {
    const text = `line ${line}, and some words that follow it – ünïcödé too\n`;
    lines.push(text);
    bytes += text.length;
  }
  return lines.join('');
}
