/** Stores in the states that the command is there for, made by real processes. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { temporaryDirectory } from '@forewrit/testkit';
import { TestProcess } from '@forewrit/testkit/child-process';
import { openStore } from '#src/index.js';
import type { SavingMessage, SavingRequest } from './saving-child.js';

export class StoreWorld implements AsyncDisposable {
  readonly root: string;
  readonly #directory = temporaryDirectory();
  readonly #processes: TestProcess<SavingMessage>[] = [];

  /** The store is in a directory of its own where it is given a name. */
  constructor(name?: string) {
    this.root = name === undefined ? this.#directory.path : `${this.#directory.path}/${name}`;
  }

  /** Beside the store. */
  get directory(): string {
    return this.#directory.path;
  }

  /** An orderly end of an ordinary use. */
  async save(files: Readonly<Record<string, string>>): Promise<void> {
    const store = await openStore(this.root);
    await store.writeFiles(files);
    await store.close();
  }

  /** A process that has saved, and lives on with the store open. */
  async keepOpen(files: Readonly<Record<string, string>>): Promise<TestProcess<SavingMessage>> {
    const child = this.#start({ root: this.root, saves: [files] });
    await child.next('saved');
    return child;
  }

  /** A process that dies at a named place of the protocol. */
  async die(request: Omit<SavingRequest, 'root'>): Promise<void> {
    const end = await this.#start({ root: this.root, ...request }).end();
    if (end.signal !== 'SIGKILL') throw new Error(`the process ended with ${end.code}, not at its failpoint`);
  }

  /**
   * Saves large content over what is there; is killed after the first of its targets was applied; then bytes of the
   * second one's staged content rot, so that it can be carried out no more.
   */
  async block(files: Readonly<Record<string, string>>): Promise<void> {
    await this.die({
      saves: [files],
      failpoint: { name: 'apply.target', action: 'kill', skip: 1 },
      inlineLimitBytes: 1,
    });
    const second = this.names('staged').find((name) => name.endsWith('-1'));
    if (second === undefined) throw new Error('there is no second target');
    writeFileSync(`${this.#own('staged')}/${second}`, 'rotten');
  }

  /** What any program reads; `undefined` where there is nothing. */
  read(path: string): string | undefined {
    try {
      return readFileSync(`${this.root}/${path}`, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The names in a directory of the store's own. */
  names(directory: 'staged' | 'before' | 'conflicts'): string[] {
    return readdirSync(this.#own(directory)).sort();
  }

  /** The sockets of whoever has the store open, or did not close it. */
  witnesses(): string[] {
    return readdirSync(this.#own('log')).filter((name) => name.startsWith('witness-'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#processes) await child[Symbol.asyncDispose]();
    this.#directory.remove();
  }

  #own(name: string): string {
    return `${this.root}/.forewrit/${name}`;
  }

  #start(request: SavingRequest): TestProcess<SavingMessage> {
    const child = new TestProcess<SavingMessage>(new URL('./saving-child.js', import.meta.url), { request });
    this.#processes.push(child);
    return child;
  }
}
