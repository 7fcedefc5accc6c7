/**
 * A snapshot: several reads that all belong to one moment, though they are made one after another.
 *
 * Each read is checked together with all that were made before: if a file that was read has moved on since, the moment
 * cannot be had any more, and the function runs again from a newer one.
 */

import { listDirectory, type ReaddirOptions } from './listing.js';
import type { StorePath } from './path.js';
import { baseTree } from './planner.js';
import type { ReadFile } from './reader.js';
import type { StoreAccess } from './store-access.js';
import { statOfRead, type StoreStat } from './store-stat.js';
import { decoded, encodingOf, type ReadOptions } from './text.js';
import { missing } from './transaction.js';

export class SnapshotMoved extends Error {
  override readonly name = 'SnapshotMoved';
}

export class Snapshot {
  readonly #access: StoreAccess;
  readonly #seen = new Map<StorePath, ReadFile>();

  constructor(access: StoreAccess) {
    this.#access = access;
  }

  async readFile(path: string | URL): Promise<Buffer>;
  async readFile(path: string | URL, encoding: BufferEncoding | { encoding: BufferEncoding }): Promise<string>;
  async readFile(path: string | URL, options?: ReadOptions): Promise<Buffer | string> {
    const encoding = encodingOf('readFile', options);
    const target = this.#access.parse(path, 'readFile', false);
    const [read] = await this.#read([target], 'readFile');
    if (read!.content === undefined) throw missing('readFile', target);
    return decoded(read!.content, encoding);
  }

  async readFiles(paths: Iterable<string>): Promise<Map<string, Buffer>>;
  async readFiles(paths: Iterable<string>, encoding: BufferEncoding | { encoding: BufferEncoding }): Promise<Map<string, string>>;
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

  async readdir(path: string | URL, options: ReaddirOptions = {}): Promise<string[]> {
    const target = this.#access.resolve(this.#access.parse(path, 'readdir', true));
    const tree = baseTree(this.#access);
    const names = listDirectory(
      { typeOf: (at) => tree.stat(at)?.type, children: (at) => tree.children(at) },
      target,
      options,
    );
    await this.#read([], 'readdir');
    return names;
  }

  /** Called at the end: what was read must still be one moment. */
  async check(): Promise<void> {
    await this.#read([], 'snapshot');
  }

  /** Reads, and looks again at everything that was read before. */
  async #read(paths: readonly StorePath[], op: string, only?: 'stat'): Promise<ReadFile[]> {
    const known = paths.map((path) => this.#seen.get(path));
    if (paths.length > 0 && known.every((each) => each !== undefined && (only === 'stat' || each.content !== undefined))) {
      return known as ReadFile[];
    }
    const earlier = [...this.#seen.keys()];
    if (paths.length + earlier.length === 0) return [];
    // One set read binds the new paths and the earlier ones to one moment.
    const [reads, again] = await Promise.all([
      this.#access.reader.readSet(paths, { op, ...(only === undefined ? {} : { only }) }),
      this.#access.reader.readSet(earlier, { op, only: 'stat' }),
    ]);
    for (const [index, path] of earlier.entries()) {
      if (!sameRead(this.#seen.get(path)!, again[index]!)) throw new SnapshotMoved();
    }
    for (const [index, path] of paths.entries()) this.#seen.set(path, reads[index]!);
    return reads;
  }
}

function sameRead(one: ReadFile, other: ReadFile): boolean {
  return one.revision === other.revision && one.stat?.ino === other.stat?.ino && one.stat?.mtimeNs === other.stat?.mtimeNs;
}
