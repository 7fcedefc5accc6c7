/**
 * Resumable content of a store: beginning it, taking it up again, listing and discarding it.
 *
 * Taking up is: look at the file (the recorded name, a regular file, long enough), hash what was recorded as durable and
 * compare, move the record to this owner, and only then cut off what lies beyond: whoever does not have the record leaves
 * the file as it is. So two that take up the same at the same time do no harm; one of them is told `ERR_CONFLICT`.
 */

import {
  findResumable,
  type FoundResumable,
  isOverdue,
  isRegistered,
  listResumables,
} from '../commit/resumable.js';
import type { Committer } from '../committer/committer.js';
import { fromSystemError, InvalidArgumentError, isStoreError, StoreError } from '../errors.js';
import type { Descriptor } from '../files/file-system.js';
import type { StorePath } from '../path/path.js';
import { RunningChecksum } from '../record/checksum.js';
import { packEntryValue } from '../record/frame.js';
import { type Resumable, sameTransaction, type TransactionNumber, transactionId } from '../record/record.js';
import { checkStagedId } from './check-arguments.js';
import { ResumableFile } from './resumable-file.js';
import type { StagingPlace } from './staging-places.js';
import type { StoreAccess } from './store-access.js';
import { StagedContent } from './staged-content.js';

export interface StageOptions {
  /**
   * The file that it is for: it is staged on the file system that will hold it, so that the commit need not copy it.
   * Default: the store's own.
   */
  readonly path?: string | URL;
  /** How long after its last durable byte it is kept when nobody has it open. Default: 24 hours. */
  readonly ttlMs?: number;
  /** Kept with it, and given back when it is continued. What entries of collections can hold; at most 16 KiB. */
  readonly metadata?: unknown;
}

/** Content that waits to be continued, or is being staged now. */
export interface StagedOperation {
  readonly id: string;
  /** So many bytes are durable. */
  readonly durableBytes: number;
  readonly metadata: unknown;
  readonly ttlMs: number;
  readonly startedAtMs: number;
  readonly advancedAtMs: number;
  /** Older than its `ttlMs`: goes with the next recovery, unless somebody has it open. */
  readonly overdue: boolean;
  /** `here`: open in this store. `elsewhere`: its owner is registered. `nobody`: it can be taken up. */
  readonly heldBy: 'here' | 'elsewhere' | 'nobody';
}

export type ResumablesAccess = Pick<
  StoreAccess,
  'log' | 'asyncFileSystem' | 'stagingPlaces' | 'maxFileBytes' | 'requireSpace' | 'unpack' | 'nowMs' | 'parse'
>;

export type StagingCommitter = Pick<Committer, 'state' | 'stage' | 'recoverDead'>;

const ttlMsDefault = 24 * 60 * 60 * 1000;
const metadataBytesMax = 16 * 1024;
const pieceBytes = 1 << 20;

export class Resumables {
  readonly #access: ResumablesAccess;
  readonly #nextCounter: () => number;
  /** What is open here; `undefined` while it is being opened. */
  readonly #open = new Map<string, ResumableFile | undefined>();

  constructor(access: ResumablesAccess, nextCounter: () => number) {
    this.#access = access;
    this.#nextCounter = nextCounter;
  }

  async stage(committer: StagingCommitter, id: string, options: StageOptions = {}): Promise<StagedContent> {
    checkStagedId('stage', id);
    const { ttlMs = ttlMsDefault } = options;
    if (!(typeof ttlMs === 'number' && ttlMs >= 0))
      throw new InvalidArgumentError('stage', 'ttlMs must be a number, not negative');
    const metadata = options.metadata === undefined ? undefined : packEntryValue(options.metadata);
    if ((metadata?.byteLength ?? 0) > metadataBytesMax)
      throw new InvalidArgumentError('stage', `metadata takes at most ${metadataBytesMax} bytes`);
    const path = options.path === undefined ? '' : this.#access.parse(options.path, 'stage', false);
    return await this.#exclusively(id, async () => {
      const found = await this.#available(committer, id, 'stage');
      if (found !== undefined) return await this.#takeUp(committer, found);
      const place = await this.#access.stagingPlaces.forFile(path);
      return await this.#begin(committer, place, {
        id,
        ttlMs,
        ...(metadata === undefined ? {} : { metadata: Uint8Array.from(metadata) }),
      });
    });
  }

  list(self: number | undefined): StagedOperation[] {
    const { log, unpack, nowMs } = this.#access;
    const now = nowMs();
    return log.view((view) =>
      listResumables(view).map(({ number, begin, resumable }): StagedOperation => {
        const { id, offset, metadata, ttlMs, advancedAtMs } = resumable;
        const isElsewhere = number.owner !== self && isRegistered(view, number);
        return {
          id,
          durableBytes: offset,
          metadata: metadata === undefined ? undefined : unpack(metadata),
          ttlMs,
          startedAtMs: begin.startedAtMs,
          advancedAtMs,
          overdue: isOverdue(resumable, now),
          heldBy: this.#open.has(id) ? 'here' : isElsewhere ? 'elsewhere' : 'nobody',
        };
      }),
    );
  }

  /** Whatever state its file is in. `false` if there is nothing of that id. */
  async discard(committer: StagingCommitter, id: string): Promise<boolean> {
    checkStagedId('discardStaged', id);
    return await this.#exclusively(id, async () => {
      const found = await this.#available(committer, id, 'discardStaged');
      if (found === undefined) return false;
      const path = this.#pathOf(found.resumable);
      await committer.stage({ kind: 'discard', id, number: found.number });
      // What cannot be removed is swept by the next open.
      await this.#access.asyncFileSystem.unlink(path).catch(() => undefined);
      return true;
    });
  }

  /** The store closes. */
  async close(): Promise<void> {
    for (const file of this.#open.values()) await file?.abandon();
  }

  /** Its place is taken from the first moment on, and kept if it is open in the end. */
  async #exclusively<T>(id: string, action: () => Promise<T>): Promise<T> {
    if (this.#open.has(id)) {
      throw new StoreError('ERR_CONFLICT', `The staged content '${id}' is open already`, {
        op: 'stage',
        hint: 'Use the one that is open, or close it first.',
      });
    }
    this.#open.set(id, undefined);
    try {
      return await action();
    } finally {
      if (this.#open.get(id) === undefined) this.#open.delete(id);
    }
  }

  /** What there is of this id, if this owner may have it. */
  async #available(committer: StagingCommitter, id: string, op: string): Promise<FoundResumable | undefined> {
    const look = (): { found: FoundResumable | undefined; isTaken: boolean } =>
      this.#access.log.view((view) => {
        const found = findResumable(view, id);
        const isTaken =
          found !== undefined &&
          found.number.owner !== committer.state.ownerNumber &&
          isRegistered(view, found.number);
        return { found, isTaken };
      });
    const first = look();
    if (!first.isTaken) return first.found;
    // Its owner may have died without anybody noticing.
    await committer.recoverDead();
    const { found, isTaken } = look();
    if (!isTaken) return found;
    throw new StoreError('ERR_CONFLICT', `The staged content '${id}' belongs to a process that is running`, {
      op,
      transaction: found === undefined ? undefined : transactionId(found.number),
      hint: 'Let that process close it or the store first. `forewrit status` shows who it is.',
    });
  }

  async #begin(
    committer: StagingCommitter,
    { volume, directory }: StagingPlace,
    about: { readonly id: string; readonly ttlMs: number; readonly metadata?: Uint8Array },
  ): Promise<StagedContent> {
    const { asyncFileSystem: fileSystem, unpack } = this.#access;
    this.#requireSpace('stage', 0, directory);
    const number = { owner: committer.state.ownerNumber, counter: this.#nextCounter() };
    const name = `${transactionId(number)}-s0`;
    const path = `${directory}/${name}`;
    const descriptor = await system('stage', () => fileSystem.create(path, 0o600));
    try {
      await system('stage', () => fileSystem.syncDirectory(directory));
      await committer.stage({ kind: 'begin', counter: number.counter, volume, staged: name, ...about });
    } catch (error) {
      await fileSystem.close(descriptor).catch(() => undefined);
      // Where the outcome is unknown nothing may be deleted; what belongs to nobody is swept by the next open.
      if (isRefusal(error)) await fileSystem.unlink(path).catch(() => undefined);
      throw error;
    }
    const checksum = new RunningChecksum();
    const file = this.#file(committer, {
      id: about.id,
      number,
      volume,
      name,
      descriptor,
      checksum,
      offset: 0,
    });
    const metadata = about.metadata === undefined ? undefined : unpack(about.metadata);
    return new StagedContent(file, { id: about.id, metadata, resumed: false });
  }

  async #takeUp(committer: StagingCommitter, found: FoundResumable): Promise<StagedContent> {
    const { asyncFileSystem: fileSystem, unpack } = this.#access;
    const { id, volume, staged: name, offset, metadata } = found.resumable;
    const path = this.#pathOf(found.resumable);
    const descriptor = await this.#openSound(found, path);
    try {
      const checksum = await this.#hashed(found, descriptor);
      const number = await this.#madeOurs(committer, found);
      await system('stage', () => fileSystem.truncate(descriptor, offset));
      const file = this.#file(committer, { id, number, volume, name, descriptor, checksum, offset });
      return new StagedContent(file, {
        id,
        metadata: metadata === undefined ? undefined : unpack(metadata),
        resumed: true,
      });
    } catch (error) {
      await fileSystem.close(descriptor).catch(() => undefined);
      throw error;
    }
  }

  async #openSound({ resumable }: FoundResumable, path: string): Promise<Descriptor> {
    const { asyncFileSystem: fileSystem } = this.#access;
    const stat = await system('stage', () => fileSystem.lstat(path));
    if (stat === undefined && !this.#access.stagingPlaces.isThere(resumable.volume))
      throw outOfReach(resumable.id, resumable.volume);
    if (stat === undefined) throw unsound(resumable.id, 'its file is gone');
    if (stat.type !== 'file') throw unsound(resumable.id, `there is a ${stat.type} in its place`);
    if (stat.size < resumable.offset)
      throw unsound(resumable.id, `${stat.size} bytes are left of ${resumable.offset}`);
    return await system('stage', async () => {
      // A commit that failed may have given it the mode of its target.
      if ((stat.mode & 0o600) !== 0o600) await fileSystem.chmodPath(path, 0o600);
      return await fileSystem.openUpdate(path);
    });
  }

  async #hashed({ resumable }: FoundResumable, descriptor: Descriptor): Promise<RunningChecksum> {
    const { asyncFileSystem: fileSystem } = this.#access;
    const { id, offset } = resumable;
    const checksum = new RunningChecksum();
    const buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(pieceBytes, offset)));
    for (let position = 0; position < offset; ) {
      const into = buffer.subarray(0, Math.min(buffer.byteLength, offset - position));
      const count = await system('stage', () => fileSystem.read(descriptor, into, position));
      if (count === 0) throw unsound(id, `${position} bytes are left of ${offset}`);
      checksum.update(into.subarray(0, count));
      position += count;
    }
    if (checksum.digest() !== resumable.checksum) throw unsound(id, 'its content is not what was staged');
    return checksum;
  }

  async #madeOurs(committer: StagingCommitter, found: FoundResumable): Promise<TransactionNumber> {
    const { number: from, resumable } = found;
    const { id, offset, checksum } = resumable;
    if (from.owner !== committer.state.ownerNumber) {
      const counter = this.#nextCounter();
      await committer.stage({ kind: 'take-over', id, counter, from, offset, checksum });
      return { owner: committer.state.ownerNumber, counter };
    }
    const now = this.#access.log.view((view) => findResumable(view, id));
    if (now !== undefined && sameTransaction(now.number, from)) return from;
    throw new StoreError('ERR_CONFLICT', `The staged content '${id}' has gone meanwhile`, { op: 'stage' });
  }

  #file(
    committer: StagingCommitter,
    about: Pick<
      ConstructorParameters<typeof ResumableFile>[0],
      'id' | 'number' | 'volume' | 'name' | 'descriptor' | 'checksum' | 'offset'
    >,
  ): ResumableFile {
    const { asyncFileSystem: fileSystem, maxFileBytes, stagingPlaces } = this.#access;
    const { directory } = stagingPlaces.place(about.volume);
    const file: ResumableFile = new ResumableFile({
      ...about,
      path: `${directory}/${about.name}`,
      fileSystem,
      sizeBytesMax: maxFileBytes,
      requireSpace: (bytes) => this.#requireSpace('append', bytes, directory),
      record: (request) => committer.stage(request),
      onEnd: () => {
        if (this.#open.get(about.id) === file) this.#open.delete(about.id);
      },
    });
    this.#open.set(about.id, file);
    return file;
  }

  #requireSpace(op: string, bytes: number, directory: string): void {
    try {
      this.#access.requireSpace(op, bytes, directory);
    } catch (error) {
      throw failed(op, error);
    }
  }

  #pathOf({ volume, staged }: Resumable): string {
    return `${this.#access.stagingPlaces.place(volume).directory}/${staged}`;
  }
}

/** The log does not have it, for certain. */
function isRefusal(error: unknown): boolean {
  return isStoreError(error) && error.code !== 'ERR_STORE_POISONED' && error.code !== 'ERR_STORE_CLOSED';
}

function unsound(id: string, why: string): StoreError {
  return new StoreError('ERR_INTEGRITY', `The staged content '${id}' cannot be continued: ${why}`, {
    op: 'stage',
    hint: `It is kept for you to look at. store.discardStaged('${id}') forgets it, so that it can be staged anew.`,
  });
}

/** Nothing is wrong with it, as far as anybody can tell. */
function outOfReach(id: string, volume: StorePath): StoreError {
  return new StoreError('ERR_NOT_FOUND', `The staged content '${id}' is on a file system that is not there`, {
    op: 'stage',
    path: volume,
    hint: `Mount what belongs at '${volume}', and stage it again.`,
  });
}

async function system<T>(op: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw failed(op, error);
  }
}

/** Of the store's own directories "not found" says nothing about what was asked for. */
function failed(op: string, error: unknown): StoreError {
  const failure = fromSystemError(error, { op });
  if (failure.code !== 'ERR_NOT_FOUND' && failure.code !== 'ERR_EXISTS') return failure;
  return new StoreError('ERR_IO', failure.message, {
    op,
    hint: "Something has interfered with the store's own directory.",
    cause: error,
  });
}
