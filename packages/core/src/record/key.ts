/**
 * Keys of the log's tables: byte strings whose order is the order that ranges rely on.
 *
 *     path         '/' path below the main root  |  name ':/' path below the root `name`, in UTF-8
 *                  folded and normalised where the file system takes several spellings for one file;
 *                  longer than 1,900 bytes: the first 1,900, 0xff, xxh64 of all (u64)
 *     record       owner u32, transaction u32, sequence u32
 *     revision     u64
 *     entry        collection 0x00 key, in UTF-8
 *     entry lock   0x00 entry       (in the table of locks, where no path begins so)
 *
 * Numbers are big-endian. The slash before every path makes each root one range: whatever is below a directory lies
 * between `directory/` and `directory0` ('0' follows '/'). A path's key cannot be turned back into the path: values
 * hold it.
 */

import { assert } from '../assert.js';
import { hash64 } from './checksum.js';
import { corrupt, viewOf } from './frame.js';
import type { FileSystem } from '../files/file-system.js';
import { splitRoot, type StorePath } from '../path/path.js';

/** Which different names are one file to the file system. Probed, never guessed from the platform. */
export interface Folding {
  readonly caseInsensitive: boolean;
  readonly normalizing: boolean;
}

/** LMDB takes keys of 1,978 bytes. */
export const pathKeyBytesMax = 1900;
export const entryKeyBytesMax = 1900;

/** Never part of UTF-8, so that no path shares a key with the hash of a longer one. */
const hashMark = 0xff;

export function pathKey(path: StorePath, folding: Folding): Uint8Array {
  const full = fullKey(path, folding);
  if (full.length <= pathKeyBytesMax) return full;
  const key = Buffer.alloc(pathKeyBytesMax + 9);
  full.copy(key, 0, 0, pathKeyBytesMax);
  key[pathKeyBytesMax] = hashMark;
  key.writeBigUInt64BE(hash64(full), pathKeyBytesMax + 1);
  return key;
}

export interface KeyRange {
  readonly start: Uint8Array;
  /** Excluded. */
  readonly end: Uint8Array;
}

/**
 * A range that holds the keys of everything below a directory. For a directory whose own key is nearly too long it
 * holds others as well: look at the path in the value.
 */
export function subtreeRange(path: StorePath, folding: Folding): KeyRange {
  const full = fullKey(path, folding);
  if (splitRoot(path).rest === '') {
    // The key of a root ends with the slash already, and everything below it follows.
    return { start: Buffer.concat([full, Buffer.of(0)]), end: afterSlash(full.subarray(0, -1)) };
  }
  if (full.length < pathKeyBytesMax) {
    return { start: Buffer.concat([full, Buffer.from('/')]), end: afterSlash(full) };
  }
  const kept = full.subarray(0, pathKeyBytesMax);
  // One byte more than any hash fills.
  return {
    start: Buffer.concat([kept, Buffer.of(hashMark)]),
    end: Buffer.concat([kept, Buffer.alloc(10, 0xff)]),
  };
}

function fullKey(path: StorePath, { caseInsensitive, normalizing }: Folding): Buffer {
  const { root, rest } = splitRoot(path);
  let text = normalizing ? rest.normalize('NFD') : rest;
  // Upper case first: 'ß' and 'ss', 'ſ' and 's' fold into one only that way. It may undo the normal form.
  if (caseInsensitive) text = text.toUpperCase().toLowerCase();
  if (caseInsensitive && normalizing) text = text.normalize('NFD');
  return Buffer.from(`${root}/${text}`);
}

function afterSlash(directory: Uint8Array): Buffer {
  return Buffer.concat([directory, Buffer.of('/'.charCodeAt(0) + 1)]);
}

/** Which record of which transaction. */
export interface RecordPosition {
  readonly owner: number;
  readonly transaction: number;
  readonly sequence: number;
}

export function transactionKey(owner: number, transaction: number, sequence: number): Uint8Array {
  return u32Key(owner, transaction, sequence);
}

export function parseTransactionKey(key: Uint8Array): RecordPosition {
  if (key.length !== 12) throw corrupt('the key of a record', `it has ${key.length} bytes, not 12`);
  const view = viewOf(key);
  return { owner: view.getUint32(0), transaction: view.getUint32(4), sequence: view.getUint32(8) };
}

/** All records of one transaction. */
export function transactionRange(owner: number, transaction: number): KeyRange {
  return prefixRange(u32Key(owner, transaction));
}

/** All records of one owner. */
export function ownerRange(owner: number): KeyRange {
  return prefixRange(u32Key(owner));
}

export function revisionKey(revision: number): Uint8Array {
  return u64Key(revision);
}

export function parseRevisionKey(key: Uint8Array): number {
  return parseU64Key(key);
}

/** `key` in a collection. Ordered by the bytes of UTF-8: where surrogates meet other characters not as `<` orders. */
export function entryKey(collection: string, key: string): Uint8Array {
  assert(
    collection !== '' && !collection.includes('\0'),
    'the name of a collection is not empty, and has no NUL',
  );
  const bytes = Buffer.from(`${collection}\0${key}`);
  assert(bytes.length <= entryKeyBytesMax, `collection and key have ${entryKeyBytesMax} bytes at most`);
  return bytes;
}

export function parseEntryKey(bytes: Uint8Array): { readonly collection: string; readonly key: string } {
  const text = textOf(bytes);
  const end = text.indexOf('\0');
  if (end <= 0) throw corrupt('the key of an entry', 'it does not begin with its collection');
  return { collection: text.slice(0, end), key: text.slice(end + 1) };
}

/** All entries of a collection, or those whose key begins with `prefix`. */
export function entryRange(collection: string, prefix = ''): KeyRange {
  return prefixRange(entryKey(collection, prefix));
}

/** The key of an entry in the table of locks. */
export function entryLockKey(collection: string, key: string): Uint8Array {
  return Buffer.concat([Buffer.of(0), entryKey(collection, key)]);
}

export function isEntryLockKey(key: Uint8Array): boolean {
  return key[0] === 0;
}

/** Big-endian, one after the other. */
export function u32Key(...values: readonly number[]): Uint8Array {
  const key = Buffer.alloc(4 * values.length);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    assert(
      Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff,
      'a part of a key is no 32-bit number',
    );
    key.writeUInt32BE(value, 4 * index);
  }
  return key;
}

export function u64Key(value: number): Uint8Array {
  assert(Number.isSafeInteger(value) && value >= 0, `${value} is no whole number`);
  const key = Buffer.alloc(8);
  key.writeBigUInt64BE(BigInt(value));
  return key;
}

export function parseU64Key(key: Uint8Array): number {
  assert(key.length === 8, 'a number as a key has 8 bytes');
  const value = Number(viewOf(key).getBigUint64(0));
  assert(Number.isSafeInteger(value), 'the number in a key is beyond 2^53');
  return value;
}

/** Every key that begins with `prefix`, which must not be all 0xff, and is one of those if it is a key itself. */
export function prefixRange(prefix: Uint8Array): KeyRange {
  const end = Buffer.from(prefix);
  let last = end.length - 1;
  while (last >= 0 && end[last] === 0xff) last--;
  assert(last >= 0, 'nothing follows a prefix of 0xff');
  end[last]! += 1;
  return { start: prefix, end: end.subarray(0, last + 1) };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

/**
 * Creation of a store makes an empty file of this name (spelled as NFC) in its directory: found as NFD, the file
 * system normalises names, or compares them as if it did.
 */
export const normalizationMarker = 'prob\u00e9';

/**
 * How the file system of a store compares names: looks for the store's directory in capitals, and for the marker in
 * its other spelling. One answer for the whole store: a root on another file system, or a directory with its own rule
 * (ext4 `chattr +F`), is judged by the main root.
 */
export function probeFolding(fileSystem: FileSystem, storeDirectory: string): Folding {
  const upper = storeDirectory.replace(/[^\\/]*[\\/]*$/, (name) => name.toUpperCase());
  const marker = (form: 'NFC' | 'NFD'): string => `${storeDirectory}/${normalizationMarker.normalize(form)}`;
  return {
    caseInsensitive: isSameFile(fileSystem, storeDirectory, upper),
    normalizing: isSameFile(fileSystem, marker('NFC'), marker('NFD')),
  };
}

function isSameFile(fileSystem: FileSystem, one: string, other: string): boolean {
  const first = fileSystem.lstat(one);
  const second = fileSystem.lstat(other);
  return first !== undefined && second !== undefined && first.ino === second.ino && first.dev === second.dev;
}
