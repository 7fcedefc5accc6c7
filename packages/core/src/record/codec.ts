/**
 * A transaction's records as bytes. The commit batch is *one* value of many frames (one value of 24 KB costs what one
 * of 200 bytes costs, many small ones do not): `begin`, then for each target `stage`, `checksum`, `rename`, then
 * `commit`, which holds the number of frames and a hash chained over their hashes. A batch without its whole chain is
 * refused, never guessed at.
 *
 * A deferred transaction begins with a frame of another kind, and its targets have no names: its content is in the log
 * alone. When its files are about to follow, the value is replaced by that of an ordinary transaction.
 *
 * A resumable operation is one value, too: `begin`, then `resumable`. It is replaced whenever more bytes are durable.
 */

import { hash64 } from './checksum.js';
import {
  corrupt,
  decodeFrame,
  encodeFrame,
  type Fields,
  type FrameBuffer,
  frameBuffer,
  frameOverheadBytes,
  frameSeed,
  type Packable,
  packPayload,
  writeFrame,
} from './frame.js';
import { type Fingerprint, type Image, isInLogOnly } from './image.js';
import { parseTransactionKey, transactionKey } from './key.js';
import type { Row } from '../log/log.js';
import {
  actions,
  type EntryChange,
  type Listed,
  type LoggedTransaction,
  type LogRecord,
  type Resumable,
  sequences,
  type Target,
  type TransactionId,
  type TransactionNumber,
  transactionId,
} from './record.js';

const kinds = {
  begin: 1,
  stage: 2,
  checksum: 3,
  rename: 4,
  commit: 5,
  abort: 6,
  applied: 7,
  resumable: 8,
  beginDeferred: 9,
} as const;

const listedTypes = ['file', 'directory', 'symlink', 'other'] as const;

type Begin = Extract<LogRecord, { kind: 'begin' }>;

export function encodeCommitBatch(batch: {
  readonly number: TransactionNumber;
  readonly begin: Begin;
  readonly targets: readonly Target[];
  readonly revision: number;
  readonly entries: readonly EntryChange[];
}): Row {
  const key = transactionKey(batch.number.owner, batch.number.counter, sequences.commitBatch);
  const frames = new FrameWriter(frameSeed('log', key), expectedBytes(batch.targets));
  const { bootId, mount, startedAtMs, deferred, keeps } = batch.begin;
  const begin = [bootId, mount, startedAtMs, ...(keeps === true ? [true] : [])];
  frames.add(deferred === true ? kinds.beginDeferred : kinds.begin, begin);
  for (const target of batch.targets) {
    if (target.applyName !== undefined || target.staged !== undefined || target.content !== undefined) {
      frames.add(kinds.stage, [
        target.index,
        target.volume,
        target.staged ?? null,
        target.applyName ?? null,
        target.content ?? null,
      ]);
    }
    frames.add(kinds.checksum, [target.index, packImage(target.before), packImage(target.after)]);
    frames.add(kinds.rename, [
      target.index,
      actions.indexOf(target.action),
      target.path,
      target.from ?? null,
      target.via ?? null,
      target.volume,
      target.beforeName ?? null,
      target.beforeCopied ?? false,
      target.movedAway ?? false,
      target.listing?.map(packListed) ?? null,
    ]);
  }
  frames.add(kinds.commit, [
    batch.revision,
    frames.count + 1,
    frames.chain(),
    batch.entries.map((entry) => [entry.collection, entry.key, entry.old ?? null]),
  ]);
  return [key, frames.value()];
}

export function encodeMark(
  number: TransactionNumber,
  mark: Extract<LogRecord, { kind: 'abort' | 'applied' }>,
): Row {
  const key = transactionKey(number.owner, number.counter, sequences[mark.kind]);
  const payload: Packable = mark.kind === 'abort' ? [mark.revision] : [mark.bootId];
  return [key, encodeFrame(kinds[mark.kind], payload, frameSeed('log', key))];
}

export function encodeResumable(number: TransactionNumber, begin: Begin, resumable: Resumable): Row {
  const key = transactionKey(number.owner, number.counter, sequences.resumable);
  const { id, ttlMs, metadata, volume, staged, offset, checksum, advancedAtMs } = resumable;
  const frames = new FrameWriter(frameSeed('log', key), 400 + (metadata?.byteLength ?? 0));
  frames.add(kinds.begin, [begin.bootId, begin.mount, begin.startedAtMs]);
  frames.add(kinds.resumable, [id, ttlMs, metadata ?? null, volume, staged, offset, checksum, advancedAtMs]);
  return [key, frames.value()];
}

/** Joins all values of one transaction. One that never committed has no targets. Throws `ERR_LOG_CORRUPT` or `ERR_UNSUPPORTED_FORMAT`. */
export function decodeTransaction(number: TransactionNumber, rows: readonly Row[]): LoggedTransaction {
  const id = transactionId(number);
  const what = `the record of transaction ${id}`;
  const parts: Parts = {
    begin: undefined,
    resumable: undefined,
    commit: undefined,
    abort: undefined,
    applied: undefined,
  };
  const targets = new Map<number, Draft>();
  const draft = (index: number): Draft => {
    const known = targets.get(index);
    if (known !== undefined) return known;
    const added = emptyDraft(index);
    targets.set(index, added);
    return added;
  };
  for (const [key, value] of rows) {
    const seed = frameSeed('log', key);
    let position = 0;
    let count = 0;
    let ended = false;
    const hashes: bigint[] = [];
    while (position < value.byteLength) {
      if (ended) throw corrupt(what, 'something follows its commit');
      const frame = decodeFrame(value, position, seed + BigInt(count), what);
      const { fields } = frame;
      position = frame.end;
      count += 1;
      switch (frame.kind) {
        case kinds.begin:
        case kinds.beginDeferred:
          parts.begin = readBegin(fields, frame.kind);
          break;
        case kinds.stage:
          readStage(fields, draft);
          break;
        case kinds.checksum: {
          const target = draft(fields.number());
          target.before = readImage(fields.fields(), what);
          target.after = readImage(fields.fields(), what);
          break;
        }
        case kinds.rename:
          readRename(fields, draft, what);
          break;
        case kinds.commit: {
          const revision = fields.number();
          const counted = fields.number();
          const chain = fields.bigint();
          if (counted !== count || chain !== chainOf(hashes))
            throw corrupt(what, 'its commit batch is not whole');
          parts.commit = { kind: 'commit', revision, count, chain, entries: fields.list(readEntryChange) };
          ended = true;
          break;
        }
        case kinds.resumable:
          parts.resumable = readResumable(fields);
          ended = true;
          break;
        case kinds.abort:
          parts.abort = { kind: 'abort', revision: fields.number() };
          break;
        case kinds.applied:
          parts.applied = { kind: 'applied', bootId: fields.string() };
          break;
        default:
          throw corrupt(what, `it has a frame of unknown kind ${frame.kind}`);
      }
      hashes.push(frame.hash);
    }
    // Cut off between two frames it would pass for a transaction that never committed.
    if (ended !== haveAnEnd.has(parseTransactionKey(key).sequence)) throw corrupt(what, 'it is not whole');
  }
  const drafts = [...targets.values()].sort((a, b) => a.index - b.index);
  if (parts.commit === undefined) {
    const isBegun = parts.abort === undefined && parts.applied === undefined && drafts.every(isOnlyStaged);
    if (!isBegun) throw corrupt(what, 'its commit batch is missing');
    if (parts.resumable !== undefined) {
      if (parts.begin === undefined) throw corrupt(what, 'its beginning is missing');
      if (rows.length > 1 || drafts.length > 0) throw corrupt(what, 'it is begun and still being staged');
    }
    // What was staged has no target yet: its names are known by their owner.
    return joined(number, id, [], parts);
  }
  if (parts.resumable !== undefined) throw corrupt(what, 'it is a transaction and still being staged');
  const finished = drafts.map((target) => finish(target, what));
  if (parts.begin?.deferred === true) {
    const isMarked = parts.abort !== undefined || parts.applied !== undefined;
    if (isMarked || !finished.every(isInLog)) throw corrupt(what, 'it is deferred, and has been begun');
  }
  return joined(number, id, finished, parts);
}

/** No name of it is anywhere, and no file. */
function isInLog({ action, content, staged, applyName, beforeName, after }: Target): boolean {
  const isUnnamed = staged === undefined && applyName === undefined && beforeName === undefined;
  return action === 'write' && content !== undefined && isUnnamed && isInLogOnly(after);
}

/** Values whose last frame says that they are whole. */
const haveAnEnd: ReadonlySet<number> = new Set([sequences.commitBatch, sequences.resumable]);

/** What was read of a transaction, apart from its targets. */
type Parts = {
  -readonly [K in 'begin' | 'resumable' | 'commit' | 'abort' | 'applied']: LoggedTransaction[K];
};

// Here and below every field is named, whether it has a value or not: objects that are put together by spreading, or that grow,
// have as many maps as there are ways to make them, and V8 gives them up.

function joined(
  number: TransactionNumber,
  id: TransactionId,
  targets: readonly Target[],
  parts: Parts,
): LoggedTransaction {
  const { begin, resumable, commit, abort, applied } = parts;
  return { number, id, begin, resumable, targets, commit, abort, applied };
}

type Draft = { -readonly [K in keyof Target]: Target[K] | undefined } & { readonly index: number };

function emptyDraft(index: number): Draft {
  return {
    index,
    action: undefined,
    path: undefined,
    from: undefined,
    via: undefined,
    volume: undefined,
    before: undefined,
    after: undefined,
    content: undefined,
    staged: undefined,
    applyName: undefined,
    beforeName: undefined,
    beforeCopied: undefined,
    listing: undefined,
    movedAway: undefined,
  };
}

function isOnlyStaged({ action, path, before, after }: Draft): boolean {
  return [action, path, before, after].every((each) => each === undefined);
}

function finish(draft: Draft, what: string): Target {
  const { action, path, before, after, volume } = draft;
  if (action === undefined || path === undefined || volume === undefined) {
    throw corrupt(what, `target ${draft.index} has no intent`);
  }
  if (before === undefined || after === undefined) throw corrupt(what, `target ${draft.index} is not whole`);
  return draft as Target;
}

function readBegin(fields: Fields, kind: number): Begin {
  const begin: { -readonly [K in keyof Begin]: Begin[K] } = {
    kind: 'begin',
    bootId: fields.string(),
    mount: fields.string(),
    startedAtMs: fields.number(),
  };
  if (fields.optional((f) => f.boolean()) === true) begin.keeps = true;
  if (kind === kinds.beginDeferred) begin.deferred = true;
  return begin;
}

function readResumable(fields: Fields): Resumable {
  const id = fields.string();
  const ttlMs = fields.number();
  const metadata = fields.optional((f) => f.bytes());
  return {
    id,
    ttlMs,
    ...(metadata === undefined ? {} : { metadata }),
    volume: fields.string(),
    staged: fields.string(),
    offset: fields.number(),
    checksum: fields.bigint(),
    advancedAtMs: fields.number(),
  };
}

function readStage(fields: Fields, draft: (index: number) => Draft): void {
  const target = draft(fields.number());
  target.volume = fields.string();
  const staged = fields.optional((f) => f.string());
  if (staged !== undefined) target.staged = staged;
  const applyName = fields.optional((f) => f.string());
  if (applyName !== undefined) target.applyName = applyName;
  const content = fields.optional((f) => f.bytes());
  if (content !== undefined) target.content = content;
}

function readRename(fields: Fields, draft: (index: number) => Draft, what: string): void {
  const target = draft(fields.number());
  const action = actions[fields.number()];
  if (action === undefined) throw corrupt(what, 'it has an unknown action');
  target.action = action;
  target.path = fields.string();
  const from = fields.optional((f) => f.string());
  if (from !== undefined) target.from = from;
  const via = fields.optional((f) => f.string());
  if (via !== undefined) target.via = via;
  target.volume = fields.string();
  const beforeName = fields.optional((f) => f.string());
  if (beforeName !== undefined) target.beforeName = beforeName;
  if (fields.boolean()) target.beforeCopied = true;
  if (fields.boolean()) target.movedAway = true;
  const listing = fields.optional((f) => f.list(readListed));
  if (listing !== undefined) target.listing = listing;
}

function readEntryChange(fields: Fields): EntryChange {
  const change = { collection: fields.string(), key: fields.string() };
  const old = fields.optional((f) => f.bytes());
  return old === undefined ? change : { ...change, old };
}

function packFingerprint(fingerprint: Fingerprint): Packable {
  return [fingerprint.ino, fingerprint.size, fingerprint.mtimeNs, fingerprint.birthtimeNs];
}

function readFingerprint(fields: Fields): Fingerprint {
  return {
    ino: fields.bigint(),
    size: fields.number(),
    mtimeNs: fields.bigint(),
    birthtimeNs: fields.bigint(),
  };
}

export function packListed(listed: Listed): Packable {
  const { name, type, fingerprint, checksum } = listed;
  const packed: Packable[] = [name, listedTypes.indexOf(type), packFingerprint(fingerprint)];
  return checksum === undefined ? packed : [...packed, checksum];
}

export function readListed(fields: Fields): Listed {
  const name = fields.string();
  const type = listedTypes[fields.number()];
  if (type === undefined) throw corrupt('the listing of a directory', 'it has an unknown type');
  const fingerprint = readFingerprint(fields.fields());
  const checksum = fields.optional((f) => f.bigint());
  return checksum === undefined ? { name, type, fingerprint } : { name, type, fingerprint, checksum };
}

export function packImage(image: Image): Packable {
  switch (image.type) {
    case 'absent':
      return [0];
    case 'file':
      return [1, packFingerprint(image.fingerprint), image.mode, image.checksum ?? null];
    case 'directory':
      return [2, image.ino ?? null, image.mode ?? null];
    case 'symlink':
      return [3, packFingerprint(image.fingerprint)];
    case 'other':
      return [4, packFingerprint(image.fingerprint)];
  }
}

export function readImage(fields: Fields, what: string): Image {
  const type = fields.number();
  switch (type) {
    case 0:
      return { type: 'absent' };
    case 1: {
      const fingerprint = readFingerprint(fields.fields());
      const mode = fields.number();
      const checksum = fields.optional((f) => f.bigint());
      return checksum === undefined
        ? { type: 'file', fingerprint, mode }
        : { type: 'file', fingerprint, mode, checksum };
    }
    case 2: {
      const ino = fields.optional((f) => f.bigint());
      const mode = fields.optional((f) => f.number());
      return {
        type: 'directory',
        ...(ino === undefined ? {} : { ino }),
        ...(mode === undefined ? {} : { mode }),
      };
    }
    case 3:
      return { type: 'symlink', fingerprint: readFingerprint(fields.fields()) };
    case 4:
      return { type: 'other', fingerprint: readFingerprint(fields.fields()) };
    default:
      throw corrupt(what, `it has an image of unknown type ${type}`);
  }
}

function chainOf(hashes: readonly bigint[]): bigint {
  const words = new BigUint64Array(hashes.length);
  for (let index = 0; index < hashes.length; index += 1) words[index] = hashes[index]!;
  return hash64(new Uint8Array(words.buffer));
}

class FrameWriter {
  readonly #seed: bigint;
  readonly #hashes: bigint[] = [];
  #buffer: FrameBuffer;
  #end = 0;

  constructor(seed: bigint, sizeBytes: number) {
    this.#seed = seed;
    this.#buffer = frameBuffer(sizeBytes);
  }

  get count(): number {
    return this.#hashes.length;
  }

  add(kind: number, payload: Packable): void {
    const packed = packPayload(payload);
    const end = this.#end + packed.byteLength + frameOverheadBytes;
    if (end > this.#buffer.bytes.byteLength) this.#grow(end);
    const seed = this.#seed + BigInt(this.count);
    this.#hashes.push(writeFrame(this.#buffer, this.#end, { kind, packed, seed }));
    this.#end = end;
  }

  #grow(needed: number): void {
    const larger = frameBuffer(2 * needed);
    larger.bytes.set(this.#buffer.bytes.subarray(0, this.#end));
    this.#buffer = larger;
  }

  chain(): bigint {
    return chainOf(this.#hashes);
  }

  value(): Uint8Array {
    return this.#buffer.bytes.subarray(0, this.#end);
  }
}

/** Most batches fit at once; one that does not grows. */
function expectedBytes(targets: readonly Target[]): number {
  return targets.reduce(
    (sum, { path, content }) => sum + 400 + path.length + (content?.byteLength ?? 0),
    400,
  );
}
