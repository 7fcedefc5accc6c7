/**
 * A context in memory, and its four files, saved and loaded as one.
 *
 * A manager remembers the checksums of what it last loaded or saved. A save reads the four files in its own
 * transaction and compares: what differs was written by somebody else, and the save is a conflict. The reads
 * are tracked, so what was compared still stands when the commit is flushed. Content is compared, not
 * revisions: a roll-back makes a new revision of old content, files of another program have none, and a
 * global context that another one has written unchanged is not stale.
 */

import {
  type Clock,
  type Commit,
  hash64,
  InvalidArgumentError,
  type Store,
  StoreError,
  type TransactOptions,
  type Transaction,
} from '@forewrit/core';
import { ContextFiles, contextParts, type ContextPath, mapParts, type PartsOf } from './context-files.js';
import { type ContextStamp, damaged, decodePart, encodePart, isRecord } from './context-json.js';
import { readThere } from './context-reads.js';
import { Turns } from './turns.js';

export interface ContextManagerOptions {
  /** Must stay open as long as the manager is used; whoever opened it closes it. */
  readonly store: Pick<Store, 'snapshot' | 'transact'>;
  /** The directory of the four files. The first save makes it. */
  readonly directory: ContextPath;
  /**
   * The file of the global context, if it is not `global_context.json` in `directory`: elsewhere in the
   * store, or in another of its roots (`name:path`). Several contexts may share it.
   */
  readonly globalContextPath?: ContextPath;
  /** Where `last_updated` comes from. Default: the system's clock. */
  readonly clock?: Pick<Clock, 'nowMs'>;
}

export interface ContextSaveOptions extends TransactOptions {
  /** Write over whatever is there, whether this manager knows it or not. Default: false. */
  readonly force?: boolean;
}

/** What is in metadata: the user's own, and after a save or load what saves write there. */
export type StampedMetadata<Metadata extends object> = Metadata & Partial<ContextStamp>;

/** Calls of `save` and `load`, under way or waiting: each save holds a copy of the data. */
const callsMax = 1000;

/**
 * Messages, metadata, state and global context of an agent, in four JSON files that are always of one
 * version: a crash, a full disk or a signal in the middle of a save leaves all four as they were, or all four
 * new. The types of the content are the caller's promise: `load` checks that messages are an array and the
 * others objects, no more.
 *
 * Calls of `save` and `load` on one manager are carried out one after another, in the order in which they
 * were made. Several managers of one context, in one process or in many, cannot lose each other's saves: see
 * `save`.
 */
export class ContextManager<
  Message = unknown,
  Metadata extends object = Record<string, unknown>,
  State extends object = Record<string, unknown>,
  GlobalContext extends object = Record<string, unknown>,
> {
  // All four may be changed in place and replaced at will. Nothing of that is on disk before `save`.

  /** `messages.json`. Empty until loaded or filled. */
  messages: Message[] = [];
  /** `metadata.json`. Empty until loaded or filled; `save` sets `last_updated` and `message_count` in it. */
  metadata: StampedMetadata<Metadata> = {} as StampedMetadata<Metadata>;
  /** `state.json`. Empty until loaded or filled. */
  state: State = {} as State;
  /** `global_context.json`, or the file that `globalContextPath` names. Empty until loaded or filled. */
  globalContext: GlobalContext = {} as GlobalContext;

  readonly #store: ContextManagerOptions['store'];
  readonly #files: ContextFiles;
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #turns = new Turns(callsMax);
  /** Checksums of what is on disk as far as this manager knows; `undefined` for nothing. */
  #known: PartsOf<bigint | undefined> = mapParts(() => undefined);

  /**
   * Touches no file. Where there may be a context already, `load` comes before the first `save`.
   *
   * @throws InvalidArgumentError for missing or wrong options. Of a path outside the store, `save` and `load`
   * tell.
   */
  constructor(options: ContextManagerOptions) {
    const op = 'ContextManager';
    if (typeof options?.store?.transact !== 'function') {
      throw new InvalidArgumentError(op, 'store must be a Store');
    }
    const { store, directory, globalContextPath, clock = { nowMs: () => Date.now() } } = options;
    this.#store = store;
    this.#files = new ContextFiles({ directory, globalContextPath, op });
    this.#clock = clock;
  }

  /**
   * Writes all four files in one transaction. What is written is the data as it is at the time of the call;
   * later changes are for the next save. Missing directories are made. A global context with a place of its own
   * is written when it has changed; else the save only makes sure that it is as this manager knows it.
   *
   * When it resolves, the files are durable, atomic and visible (with `durability: 'relaxed'`, as the store
   * says), and `metadata` has got its `last_updated` and `message_count`. When it rejects, files and memory
   * are as they were, with two exceptions that the code names: ERR_STORE_POISONED (reopening the store
   * decides) and ERR_APPLY_BLOCKED.
   *
   * Files that are not as this manager has last loaded or saved them are not written over: the save is
   * refused with ERR_CONFLICT, whoever changed them: another manager, or a program that knows nothing of the
   * store. So is the first save of a manager that has not loaded what is there. Then `load`, make the changes
   * again on what that gives, and `save`; or `save({ force: true })`, by which the others' changes are lost.
   *
   * @throws InvalidArgumentError for data that JSON cannot hold, before anything is staged.
   * @throws StoreError ERR_CONFLICT with the path that has changed; ERR_TOO_MANY beyond 1,000 calls at once;
   * and what `Transaction.commit` throws: ERR_NO_SPACE, ERR_IO, ERR_PERMISSION, ERR_STORE_LOCKED,
   * ERR_APPLY_ROLLED_BACK, ERR_EXTERNAL_EDIT (an edit in the very moment of the save), …
   */
  async save(options: ContextSaveOptions = {}): Promise<Commit> {
    const { force = false, ...transact } = options;
    const { contents, stamp } = this.#take();
    return await this.#turns.take('save', async () => {
      const checksums = mapParts((part) => checksumOf(contents[part]));
      const commit = await this.#write({ contents, checksums }, force, transact);
      this.#known = checksums;
      this.#stamp(stamp);
      return commit;
    });
  }

  /**
   * Replaces all four in memory by what is on disk: one version, never parts of two, whatever is being saved
   * meanwhile. When it rejects, everything in memory is as it was.
   *
   * Resolves with `true` if there was a context. If none of its files is there, memory is emptied and it
   * resolves with `false`. A set of which only some files are there is refused: no save leaves one, and the
   * next save would make the loss final. Not so a global context with a place of its own
   * (`globalContextPath`): whether the others are there or not, it is loaded if it is there, and empty if
   * not. Files edited by hand are loaded as they are.
   *
   * @throws StoreError ERR_INTEGRITY with the path of the file that is missing beside others, is not UTF-8
   * JSON (`cause` says why), or holds no array or object where it must; ERR_TOO_MANY beyond 1,000 calls at
   * once; and what `Store.readFiles` throws, except ERR_NOT_FOUND.
   */
  async load(): Promise<boolean> {
    return await this.#turns.take('load', async () => {
      const { paths } = this.#files;
      const found = await this.#store.snapshot((view) => readThere(view, Object.values(paths)));
      const contents = mapParts((part) => found.get(paths[part]));
      const isThere = this.#isThere(contents);
      const values = mapParts((part) => {
        const bytes = contents[part];
        if (bytes !== undefined) return decodePart(part, { path: paths[part], bytes });
        return part === 'messages' ? [] : {};
      });
      this.messages = values.messages as Message[];
      this.metadata = values.metadata as StampedMetadata<Metadata>;
      this.state = values.state as State;
      this.globalContext = values.globalContext as GlobalContext;
      this.#known = mapParts((part) => checksumOf(contents[part]));
      return isThere;
    });
  }

  /** The bytes of all four as they are now. */
  #take(): { readonly contents: PartsOf<Buffer>; readonly stamp: ContextStamp } {
    const { messages, metadata, state, globalContext } = this;
    const stamp: ContextStamp = {
      last_updated: new Date(this.#clock.nowMs()).toISOString(),
      message_count: Array.isArray(messages) ? messages.length : 0,
    };
    // What is no object is refused as it is, not turned into one.
    const stamped = isRecord(metadata) ? { ...metadata, ...stamp } : metadata;
    const values = { messages, metadata: stamped, state, globalContext };
    return { contents: mapParts((part) => encodePart(part, values[part], 'save')), stamp };
  }

  async #write(
    {
      contents,
      checksums,
    }: { readonly contents: PartsOf<Buffer>; readonly checksums: PartsOf<bigint | undefined> },
    force: boolean,
    options: TransactOptions,
  ): Promise<Commit> {
    const { paths, isGlobalElsewhere } = this.#files;
    const outcome = await this.#store.transact(async (tx) => {
      const changed = force ? undefined : await this.#firstChanged(tx);
      if (changed !== undefined) {
        // Returned, not thrown: transact() would try it again, and it would be as stale.
        await tx.abort();
        return stale(changed);
      }
      for (const part of contextParts) {
        // Whoever shares a global context stands in nobody's way while it stays as it is.
        const isShared = part === 'globalContext' && isGlobalElsewhere && !force;
        if (isShared && checksums[part] === this.#known[part]) continue;
        await tx.writeFile(paths[part], contents[part], { force });
      }
      return await tx.commit();
    }, options);
    if (outcome instanceof StoreError) throw outcome;
    return outcome;
  }

  /** The path of a file that is not as this manager knows it. */
  async #firstChanged(tx: Transaction): Promise<string | undefined> {
    const { paths } = this.#files;
    const found = await readThere(tx, Object.values(paths));
    const part = contextParts.find((each) => checksumOf(found.get(paths[each])) !== this.#known[each]);
    return part === undefined ? undefined : paths[part];
  }

  #isThere(contents: PartsOf<Uint8Array | undefined>): boolean {
    const { paths, isGlobalElsewhere } = this.#files;
    const set = contextParts.filter((part) => part !== 'globalContext' || !isGlobalElsewhere);
    const missing = set.filter((part) => contents[part] === undefined);
    const [first] = missing;
    if (first === undefined) return true;
    if (missing.length === set.length) return false;
    throw damaged(paths[first], 'is missing, while other files of its context are there');
  }

  /** Into metadata as it is now: it may have been replaced since the data was taken. */
  #stamp(stamp: ContextStamp): void {
    const { metadata } = this;
    if (!isRecord(metadata)) return;
    const isSet = Object.entries(stamp).every(([key, value]) => Reflect.set(metadata, key, value));
    // It is frozen.
    if (!isSet) this.metadata = { ...metadata, ...stamp };
  }
}

function checksumOf(bytes: Uint8Array | undefined): bigint | undefined {
  return bytes === undefined ? undefined : hash64(bytes);
}

function stale(path: string): StoreError {
  return new StoreError('ERR_CONFLICT', `'${path}' has changed since this manager last loaded or saved it`, {
    op: 'save',
    path,
    hint: 'load(), change what that gives, and save() again; or save({ force: true }) to lose what is there.',
  });
}
