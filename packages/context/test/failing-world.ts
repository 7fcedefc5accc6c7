/** A context in a store whose file system fails where the test says. */

import { join } from 'node:path';
import { NodeFileSystem, type Store, type StoreOptions } from '@forewrit/core';
import {
  assert,
  type Fault,
  type FaultCode,
  FaultyFileSystem,
  type FileSystemCall,
  temporaryDirectory,
} from '@forewrit/testkit';
import { bytesIn, fill, leftovers, managerOf, openTestStore, type TestContext } from './context-world.js';

export type Failure =
  | { readonly error: FaultCode }
  /** Writes so many bytes and says so. */
  | { readonly shortWrite: number };

export interface Trap {
  readonly failure: Failure;
  readonly at: (call: FileSystemCall) => boolean;
  /** At every such call, not only the first. */
  readonly sticky?: boolean;
}

/** How content reaches the disk depends on its size. */
export const contentSizes = [
  { how: 'small, written by way of the log', messages: 3 },
  { how: 'larger, fsynced under a staged name', messages: 400 },
  { how: 'of megabytes, staged ahead of the commit', messages: 4000 },
] as const;

const codes: readonly FaultCode[] = ['EIO', 'ENOSPC', 'EACCES', 'EDQUOT', 'EMFILE', 'EROFS'];
const shortWrites = [0, 1, 100] as const;

export class FailingWorld implements AsyncDisposable {
  readonly root = temporaryDirectory('context').path;
  readonly #options: StoreOptions;
  #store: Store | undefined;
  #trap: Trap | undefined;
  #hits = 0;

  private constructor(options: StoreOptions) {
    this.#options = options;
  }

  static async open(options: StoreOptions = {}): Promise<FailingWorld> {
    const world = new FailingWorld(options);
    await world.reopen();
    return world;
  }

  get store(): Store {
    assert.ok(this.#store);
    return this.#store;
  }

  /** Closes the store, if it is open, and opens it again: recovery included. */
  async reopen(): Promise<void> {
    await this.#store?.close();
    const faults = [
      ...codes.map((error): Fault => ({ error, sticky: true, at: (call) => this.#isHit({ error }, call) })),
      ...shortWrites.map(
        (shortWrite): Fault => ({
          shortWrite,
          sticky: true,
          at: (call) => this.#isHit({ shortWrite }, call),
        }),
      ),
    ];
    const fileSystem = new FaultyFileSystem(new NodeFileSystem(), { faults, records: false });
    this.#store = await openTestStore(this.root, { ...this.#options, fileSystem });
  }

  manager(directory: string): TestContext {
    return managerOf(this.store, { directory });
  }

  /** A manager of a context that was saved as version 1, or of none yet. */
  async begin(directory: string, isSaved: boolean): Promise<TestContext> {
    const manager = this.manager(directory);
    if (!isSaved) return manager;
    fill(manager, 1);
    await manager.save();
    return manager;
  }

  filesOf(directory: string): Record<string, string> {
    return bytesIn(join(this.root, directory));
  }

  leftovers(): string[] {
    return leftovers(this.root);
  }

  /** Saves with the trap set. How often it was hit is in the answer; the error, if there was one, too. */
  async saveTrapped(
    manager: TestContext,
    trap: Trap,
  ): Promise<{ readonly hits: number; readonly error: unknown }> {
    // What earlier saves still hold in the staging areas is not what this one leaves.
    await this.store.checkpoint();
    this.#trap = trap;
    this.#hits = 0;
    let error: unknown;
    try {
      await manager.save();
    } catch (thrown) {
      error = thrown;
    } finally {
      this.#trap = undefined;
    }
    return { hits: this.#hits, error };
  }

  #isHit(failure: Failure, call: FileSystemCall): boolean {
    const trap = this.#trap;
    if (trap === undefined || !isSame(trap.failure, failure)) return false;
    if ('shortWrite' in failure && call.method !== 'write') return false;
    if (this.#hits > 0 && trap.sticky !== true) return false;
    if (!trap.at(call)) return false;
    this.#hits += 1;
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store?.close();
  }
}

function isSame(one: Failure, other: Failure): boolean {
  if ('error' in one) return 'error' in other && one.error === other.error;
  return 'shortWrite' in other && one.shortWrite === other.shortWrite;
}

/** The writes into the file that is the nth (from 0) to be written in a save. */
export function writesOfFile(nth: number): (call: FileSystemCall) => boolean {
  const written: string[] = [];
  return ({ method, path }) => {
    if (method !== 'write') return false;
    if (!written.includes(path)) written.push(path);
    return written.indexOf(path) === nth;
  };
}

/** The rename that puts a file in its place. */
export function renameTo(name: string): (call: FileSystemCall) => boolean {
  return ({ method, dest }) => method === 'rename' && dest?.endsWith(`/${name}`) === true;
}

/** The nth call, from 0, whatever it is. */
export function nthCall(nth: number): (call: FileSystemCall) => boolean {
  let count = 0;
  return () => count++ === nth;
}
