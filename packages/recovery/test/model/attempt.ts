/** A transaction of a program as it is asked for: what of it is possible now, through the public surface. */

import { setTimeout as pause } from 'node:timers/promises';
import { isStoreError, type Store, type StoreError, type Transaction } from '@forewrit/core';
import { assert } from '@forewrit/testkit';
import type { Member } from './member.js';
import { type Oracle, type Read, type Undo, violation } from './oracle.js';
import { type Action, counterFile, counterKey, placeName, type TransactionSpec } from './program.js';
import { type Change, changed, isDirectory, isFile, isPossible, type State } from './state.js';

export const collection = 'c';
const turnsAtOnce = 1000;
const turnsMax = 20_000;

export interface Attempt {
  readonly name: string;
  readonly changes: Change[];
  readonly reads: Read[];
  stage: 'begun' | 'asked' | 'committed' | 'undone' | 'acknowledged' | 'refused';
  revision: number | undefined;
  undo: Undo | undefined;
  error: unknown;
  /** Settles when the user has an answer; never rejects. */
  answer: Promise<void>;
}

export function newAttempt(name: string): Attempt {
  return {
    name,
    changes: [],
    reads: [],
    stage: 'begun',
    revision: undefined,
    undo: undefined,
    error: undefined,
    answer: Promise.resolve(),
  };
}

class Given extends Error {
  override readonly name = 'GivenUp';
}

export interface Asking {
  readonly member: Member;
  readonly oracle: Oracle;
  readonly nextText: () => string;
  /** Everything is in its place: what is read now is what the oracle has. */
  readonly isQuiet: boolean;
}

/** On return the committer has it, or it has come to nothing. */
export async function ask(asking: Asking, spec: TransactionSpec, name: string): Promise<Attempt> {
  const { member, oracle } = asking;
  const attempt = newAttempt(name);
  member.asking = attempt;
  const body = async (tx: Transaction): Promise<void> => {
    const script = new Script(asking, { attempt, tx, draft: oracle.now });
    await script.perform(spec.actions);
    if (spec.aborts) throw new Given('on purpose');
  };
  attempt.answer = member.store
    .transact(body, { retries: 0, materialize: spec.defers === true ? 'deferred' : 'immediate' })
    .then(
      () => undefined,
      (error: unknown) => {
        attempt.error ??= error;
        if (attempt.stage === 'begun') attempt.stage = 'refused';
      },
    );
  for (let turn = 0; attempt.stage === 'begun'; turn += 1) {
    assert.ok(turn < turnsMax, 'the transaction is never asked for');
    // It may wait for another owner, who is not let on meanwhile, until it has enough of that.
    await (turn < turnsAtOnce ? nextTurn() : pause(1));
  }
  member.asking = undefined;
  return attempt;
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export function isGivenUp(error: unknown): boolean {
  return error instanceof Given;
}

class Script {
  readonly #asking: Asking;
  readonly #attempt: Attempt;
  readonly #tx: Transaction;
  /** Reads that stand only as long as what they guard is asked for. */
  readonly #guards = new Set<Read>();
  readonly #before: State;
  #draft: State;

  constructor(
    asking: Asking,
    parts: { readonly attempt: Attempt; readonly tx: Transaction; readonly draft: State },
  ) {
    this.#asking = asking;
    this.#attempt = parts.attempt;
    this.#tx = parts.tx;
    this.#before = parts.draft;
    this.#draft = parts.draft;
  }

  async perform(actions: readonly Action[]): Promise<void> {
    for (const action of actions) await this.#perform(action);
  }

  async #perform(action: Action): Promise<void> {
    const tx = this.#tx;
    switch (action.do) {
      case 'write':
        await this.#write(action);
        break;
      case 'append': {
        const content = this.#text();
        if (this.#can({ type: 'append', path: action.path, content }))
          await tx.appendFile(action.path, content);
        break;
      }
      case 'copy':
        if (action.from !== action.path && this.#can({ type: 'copy', from: action.from, path: action.path }))
          tx.copyFile(action.from, action.path);
        break;
      case 'move':
        if (action.from !== action.path && this.#can({ type: 'move', from: action.from, path: action.path }))
          tx.rename(action.from, action.path);
        break;
      case 'replace':
        this.#replace(action.from, action.path);
        break;
      case 'trade places':
        await this.#tradePlaces(action.path);
        break;
      case 'swap':
        this.#swap(action.from, action.path);
        break;
      case 'remove':
        if (this.#can({ type: 'remove', path: action.path })) tx.rm(action.path, { recursive: true });
        break;
      case 'mkdir':
        if (this.#can({ type: 'mkdir', path: action.path })) tx.mkdir(action.path);
        break;
      case 'put': {
        const value = this.#text();
        if (this.#can({ type: 'put', key: action.key, value })) tx.put(collection, action.key, value);
        break;
      }
      case 'delete':
        if (this.#can({ type: 'delete', key: action.key })) tx.delete(collection, action.key);
        break;
      case 'read':
        await this.#read(action.path);
        break;
      case 'list':
        await this.#list(action.path);
        break;
      case 'get':
        await this.#get(action.key);
        break;
      case 'range':
        await this.#range();
        break;
      case 'count in a file': {
        const content = String(Number((await this.#read(counterFile)) ?? 0) + 1);
        if (this.#can({ type: 'write', path: counterFile, content }))
          await tx.writeFile(counterFile, content);
        break;
      }
      case 'count in an entry': {
        const value = String(Number((await this.#get(counterKey)) ?? 0) + 1);
        if (this.#can({ type: 'put', key: counterKey, value })) tx.put(collection, counterKey, value);
        break;
      }
      case 'take back':
        await this.#takeBack(action.actions);
        break;
    }
  }

  async #write({ path, large, how }: Extract<Action, { readonly do: 'write' }>): Promise<void> {
    const content = this.#text(large);
    const change: Change = { type: 'write', path, content };
    const tx = this.#tx;
    if (how === 'if absent') {
      if (this.#draft.files.has(path)) return;
      if (!this.#isOwn(path)) this.#guardBy(path, undefined);
      if (this.#can(change)) await tx.writeFile(path, content, { ifAbsent: true });
    } else if (how === 'guarded' && !this.#isOwn(path) && isFile(this.#draft.files, path)) {
      const { store } = this.#asking.member;
      const { revision } = await store.stat(path);
      const was = await store.readFile(path, 'utf8');
      if (revision !== undefined) this.#guardBy(path, was);
      const guard = revision === undefined ? {} : { ifRevision: revision };
      if (this.#can(change)) await tx.writeFile(path, content, guard);
    } else if (this.#can(change)) {
      await tx.writeFile(path, content, how === 'forced' ? { force: true } : {});
    }
  }

  #swap(one: string, other: string): void {
    if (one === other || !isFile(this.#draft.files, one) || !isFile(this.#draft.files, other)) return;
    const spare = 'spare';
    const moves = [
      [one, spare],
      [other, one],
      [spare, other],
    ] as const;
    for (const [from, path] of moves) {
      assert.ok(this.#can({ type: 'move', from, path }));
      this.#tx.rename(from, path);
    }
  }

  #replace(from: string, path: string): void {
    const { files } = this.#draft;
    if (!isDirectory(files, from) || !isDirectory(files, path)) return;
    if (`${from}/`.startsWith(`${path}/`) || `${path}/`.startsWith(`${from}/`)) return;
    assert.ok(this.#can({ type: 'remove', path }));
    this.#tx.rm(path, { recursive: true });
    assert.ok(this.#can({ type: 'move', from, path }));
    this.#tx.rename(from, path);
  }

  async #tradePlaces(directory: string): Promise<void> {
    const { files } = this.#draft;
    if (isDirectory(files, placeName)) {
      if (!this.#can({ type: 'move', from: placeName, path: directory })) return;
      this.#tx.rename(placeName, directory);
    } else if (isFile(files, placeName)) {
      if (this.#can({ type: 'mkdir', path: directory })) this.#tx.mkdir(directory);
      // One that this transaction has made cannot take the place of a file.
      if (!isDirectory(this.#before.files, directory) || this.#isOwn(directory)) return;
      assert.ok(this.#can({ type: 'remove', path: placeName }));
      this.#tx.rm(placeName);
      assert.ok(this.#can({ type: 'move', from: directory, path: placeName }));
      this.#tx.rename(directory, placeName);
      return;
    }
    const content = this.#text();
    if (this.#can({ type: 'write', path: placeName, content })) await this.#tx.writeFile(placeName, content);
  }

  async #read(path: string): Promise<string | undefined> {
    const content = await contentIn(this.#tx, path);
    this.#compare(path, content, this.#draft.files.get(path));
    if (!this.#isOwn(path)) this.#attempt.reads.push({ kind: 'file', path, content });
    return content;
  }

  async #list(path: string): Promise<void> {
    if (!isDirectory(this.#draft.files, path)) return;
    const names = await this.#tx.readdir(path);
    const isOwn = this.#isOwn(path) || this.#changesBelow(path);
    if (!isOwn) this.#attempt.reads.push({ kind: 'listing', path, names });
  }

  async #get(key: string): Promise<string | undefined> {
    const value = (await this.#tx.get(collection, key)) as string | undefined;
    this.#compare(`entry ${key}`, value, this.#draft.entries.get(key));
    const isOwn = this.#attempt.changes.some((change) => 'key' in change && change.key === key);
    if (!isOwn) this.#attempt.reads.push({ kind: 'entry', key, value });
    return value;
  }

  async #range(): Promise<void> {
    const entries = new Map((await this.#tx.range(collection)) as [string, string][]);
    for (const key of new Set([...entries.keys(), ...this.#draft.entries.keys()]))
      this.#compare(`entry ${key}`, entries.get(key), this.#draft.entries.get(key));
    const isOwn = this.#attempt.changes.some((change) => 'key' in change);
    if (!isOwn) this.#attempt.reads.push({ kind: 'entries', entries });
  }

  async #takeBack(actions: readonly Action[]): Promise<void> {
    const savepoint = this.#tx.savepoint();
    const draft = this.#draft;
    const { length } = this.#attempt.changes;
    const reads = this.#attempt.reads.length;
    await this.perform(actions);
    savepoint.rollback();
    this.#draft = draft;
    this.#attempt.changes.length = length;
    const since = this.#attempt.reads.splice(reads);
    this.#attempt.reads.push(...since.filter((read) => !this.#guards.has(read)));
  }

  #guardBy(path: string, content: string | undefined): void {
    const read: Read = { kind: 'file', path, content };
    this.#guards.add(read);
    this.#attempt.reads.push(read);
  }

  /** While all is quiet a transaction sees what the oracle has, with its own writes. */
  #compare(what: string, found: string | undefined, expected: string | undefined): void {
    if (!this.#asking.isQuiet || found === expected) return;
    this.#attempt.error = violation(`${this.#attempt.name} reads ${found} in ${what}, and not ${expected}`);
    throw this.#attempt.error;
  }

  /** Notes a change that is possible. */
  #can(change: Change): boolean {
    if (!isPossible(this.#draft, [change])) return false;
    this.#draft = changed(this.#draft, [change]);
    this.#attempt.changes.push(change);
    return true;
  }

  /** What is there is of this transaction, or is not there because of it. */
  #isOwn(path: string): boolean {
    return this.#attempt.changes.some((change) => {
      if (!('path' in change)) return false;
      const tops = change.type === 'move' ? [change.from, change.path] : [change.path];
      return tops.some((top) => path === top || path.startsWith(`${top}/`));
    });
  }

  #changesBelow(directory: string): boolean {
    return this.#attempt.changes.some((change) => {
      if (!('path' in change)) return false;
      const paths = change.type === 'move' ? [change.from, change.path] : [change.path];
      return paths.some((path) => path.startsWith(`${directory}/`));
    });
  }

  #text(large = false): string {
    return `${this.#asking.nextText()}${large ? '.'.repeat(90) : ''}`;
  }
}

export async function contentIn(from: Pick<Store, 'readFile'>, path: string): Promise<string | undefined> {
  try {
    return await from.readFile(path, 'utf8');
  } catch (error) {
    // Of another path: what the transaction has been asked to do is not possible, and so nothing was read.
    if (isAbsence(error) && error.path === path) return undefined;
    throw error;
  }
}

/** There is nothing, or a file where there would have to be a directory. */
export function isAbsence(error: unknown): error is StoreError {
  return isStoreError(error, 'ERR_NOT_FOUND') || isStoreError(error, 'ERR_NOT_DIRECTORY');
}
