/**
 * A snapshot: several reads that all belong to one moment, though they are made one after another.
 *
 * Each read is checked against the moment of those that were made before: if it can belong to none with them, the function
 * runs again from a newer one, and then reads at once what it has asked for before, so that no writer can starve it.
 */

import { newestRevisionBelow } from '../commit/file-row.js';
import { comeOrGoneSince, listingStands } from '../commit/guard.js';
import { coded, isStoreError } from '../errors.js';
import { checkFlags } from './check-arguments.js';
import type { ReaddirOptions } from '../files/listing.js';
import { ancestors, type StorePath } from '../path/path.js';
import type { ReadFile } from './reader.js';
import { listingOfMoment } from './listing-of-moment.js';
import type { StoreAccess } from './store-access.js';
import { statOfRead, type StoreStat } from './store-stat.js';
import { decoded, encodingOf, type ReadOptions } from '../record/text.js';
import { missing } from './absence.js';

export class SnapshotMoved extends Error {
  override readonly name = 'SnapshotMoved';
}

export class Snapshot {
  readonly #access: StoreAccess;
  readonly #seen = new Map<StorePath, ReadFile>();
  readonly #wanted: Set<StorePath>;
  /** The names in each directory that was listed. */
  readonly #listed = new Map<StorePath, string>();
  /** The newest revision at the moment that this shows. */
  #since: number | undefined;

  /** `wanted`: contents that earlier runs of the same function have asked for; grows. */
  constructor(access: StoreAccess, wanted: Set<StorePath> = new Set()) {
    this.#access = access;
    this.#wanted = wanted;
  }

  async readFile(path: string | URL): Promise<Buffer>;
  async readFile(
    path: string | URL,
    encoding: BufferEncoding | { encoding: BufferEncoding },
  ): Promise<string>;
  async readFile(path: string | URL, options?: ReadOptions): Promise<Buffer | string> {
    const encoding = encodingOf('readFile', options);
    const target = this.#access.parse(path, 'readFile', false);
    const [read] = await this.#read([target], 'readFile');
    if (read!.content === undefined) throw missing('readFile', target);
    return decoded(read!.content, encoding);
  }

  async readFiles(paths: Iterable<string>): Promise<Map<string, Buffer>>;
  async readFiles(
    paths: Iterable<string>,
    encoding: BufferEncoding | { encoding: BufferEncoding },
  ): Promise<Map<string, string>>;
  async readFiles(paths: Iterable<string>, options?: ReadOptions): Promise<Map<string, Buffer | string>> {
    const encoding = encodingOf('readFiles', options);
    const asked = [...paths];
    const targets = asked.map((path) => this.#access.parse(path, 'readFiles', false));
    const reads = await this.#read(targets, 'readFiles');
    return new Map(
      reads.map((read, index) => {
        if (read.content === undefined) throw missing('readFiles', targets[index]!);
        return [asked[index]!, decoded(read.content, encoding)];
      }),
    );
  }

  async stat(path: string | URL): Promise<StoreStat> {
    const target = this.#access.parse(path, 'stat', true);
    const [read] = await this.#read([target], 'stat', 'stat');
    if (read!.stat === undefined) throw missing('stat', target);
    return statOfRead(read!);
  }

  async exists(path: string | URL): Promise<boolean> {
    const [read] = await this.#read([this.#access.parse(path, 'exists', true)], 'exists', 'stat');
    return read!.stat !== undefined;
  }

  /** As the store's `readdir`, of the moment of the snapshot. */
  async readdir(path: string | URL, options: ReaddirOptions = {}): Promise<string[]> {
    checkFlags('readdir', options, ['recursive']);
    const parsed = this.#access.parse(path, 'readdir', true);
    return await coded({ op: 'readdir', path: parsed }, () => this.#list(parsed, options ?? {}));
  }

  /** It belongs to the moment if no commit since has touched what is below the directory. */
  async #list(path: StorePath, options: ReaddirOptions): Promise<string[]> {
    const listing = await listingOfMoment(this.#access, path, options);
    const { names, directories, revision } = listing;
    if (revision === undefined) throw new SnapshotMoved();
    this.#since ??= revision;
    const { log, folding } = this.#access;
    const newest = log.view((view) => newestRevisionBelow(view, listing.path, folding));
    if (newest > this.#since) this.#since = await this.#moveOn(revision, 'readdir');
    for (const [at, listed] of directories) this.#listed.set(at, listed);
    return names;
  }

  /** Whether no commit since the moment has made or taken away a name in what was listed. */
  #listingsStand(): boolean {
    const { log, folding } = this.#access;
    const since = this.#since!;
    return log.view((view) =>
      [...this.#listed].every(([at, names]) => listingStands(view, at, { names, since }, folding)),
    );
  }

  /**
   * Reads what was not read before. It belongs to the moment of the first read if no commit since has touched it; else
   * the moment may still become a later one, if nothing that was read before has changed.
   */
  async #read(paths: readonly StorePath[], op: string, only?: 'stat'): Promise<ReadFile[]> {
    if (this.#seen.size === 0) await this.#readAhead(paths, op);
    const known = paths.map((path) => this.#seen.get(path));
    if (known.every((each) => each !== undefined && (only === 'stat' || each.content !== undefined))) {
      return known as ReadFile[];
    }
    if (only === undefined) for (const path of paths) this.#wanted.add(path);
    const reads = await this.#access.reader.readSet(paths, { op, ...(only === undefined ? {} : { only }) });
    this.#since ??= reads[0]?.since;
    if (!reads.every((read) => this.#isOfMoment(read))) this.#since = await this.#moveOn(reads[0]!.since, op);
    for (const [index, path] of paths.entries()) this.#seen.set(path, reads[index]!);
    return reads;
  }

  /** What an earlier run has asked for, in one go with what is asked for first: so this run is of one moment. */
  async #readAhead(paths: readonly StorePath[], op: string): Promise<void> {
    const all = [...new Set([...paths, ...this.#wanted])];
    if (this.#wanted.size === 0) return;
    try {
      const reads = await this.#access.reader.readSet(all, { op });
      this.#since = reads[0]!.since;
      for (const [index, path] of all.entries()) this.#seen.set(path, reads[index]!);
    } catch (error) {
      // Something there is no file any more: whoever asks for it now is told.
      if (!isStoreError(error)) throw error;
    }
  }

  #isOfMoment({ path, row, revision, stat, since }: ReadFile): boolean {
    const moment = this.#since!;
    if (revision !== undefined) return row !== undefined && revision <= moment;
    if (since <= moment) return true;
    // What has gone since may have lost its row already.
    if (stat === undefined) return false;
    const { log, folding } = this.#access;
    return !log.view((view) => comeOrGoneSince(view, ancestors(path), moment, folding));
  }

  /** Afterwards: what still is as it was read and listed before was so at the new moment, too. */
  async #moveOn(since: number, op: string): Promise<number> {
    if (!this.#listingsStand()) throw new SnapshotMoved();
    const earlier = [...this.#seen.keys()];
    const again = await this.#access.reader.readSet(earlier, { op, only: 'stat' });
    for (const [index, path] of earlier.entries()) {
      if (!sameRead(this.#seen.get(path)!, again[index]!)) throw new SnapshotMoved();
    }
    return since;
  }
}

function sameRead(one: ReadFile, other: ReadFile): boolean {
  if (one.revision !== other.revision) return false;
  // What a row of one revision describes is one content, in the log or in whatever file.
  if (one.row !== undefined && other.row !== undefined) return true;
  if (one.stat?.ino !== other.stat?.ino) return false;
  // What happens in a directory is no change of the directory itself.
  return one.stat?.type === 'directory' || one.stat?.mtimeNs === other.stat?.mtimeNs;
}
