/**
 * What is kept of a transaction for its undo, in the table of history under its revision: what was done to each path, under
 * which name in `before/` its before-image is kept, and the old values of its entries. Layout: `docs/format.md`.
 */

import type { StorePath } from '../path/path.js';
import { packImage, packListed, readImage, readListed } from './codec.js';
import { corrupt, decodeValue, encodeValue, type Fields, type Packable } from './frame.js';
import type { Image } from './image.js';
import { type Action, actions, type Listed, type TransactionNumber } from './record.js';
import { kinds } from './rows.js';

/** Why a before-image is not kept: somebody has written into it, it was gone, or it could not be read or made durable. */
export const lossReasons = ['edited', 'missing', 'unreadable'] as const;
export type LossReason = (typeof lossReasons)[number];

const typesBelow = ['file', 'directory', 'symlink', 'other'] as const;

/** Something in a removed directory that is kept. */
export interface KeptBelow {
  /** Relative to the directory. */
  readonly name: string;
  readonly type: (typeof typesBelow)[number];
  readonly mode: number;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  /** Of a file. */
  readonly checksum?: bigint;
}

export interface HistoryTarget {
  readonly action: Action;
  readonly path: StorePath;
  readonly from?: StorePath;
  readonly volume: StorePath;
  /** Of a file that is kept it has the checksum. */
  readonly before: Image;
  readonly after: Image;
  /** Name under `before/`; absent where nothing was replaced, or where it was moved and is elsewhere now. */
  readonly kept?: string;
  readonly lost?: LossReason;
  /** What a removed directory holds. */
  readonly below?: readonly KeptBelow[];
  /** What was in a directory that an undo has brought back: it did not move from anywhere. */
  readonly brought?: readonly Listed[];
}

export interface HistoryEntryChange {
  readonly collection: string;
  readonly key: string;
  /** Encoded row before the transaction; absent when there was none. */
  readonly old?: Uint8Array;
  /** What it left: nothing, a value with this checksum, or nobody knows any more. */
  readonly after: 'absent' | 'unknown' | bigint;
}

export interface HistoryRow {
  readonly number: TransactionNumber;
  readonly revision: number;
  readonly committedAtMs: number;
  /** Of all that is kept under names in `before/`. */
  readonly keptBytes: number;
  readonly targets: readonly HistoryTarget[];
  readonly entries: readonly HistoryEntryChange[];
}

const what = "a row of 'history'";

export const historyRow = {
  encode: (key: Uint8Array, row: HistoryRow): Uint8Array =>
    encodeValue('history', key, kinds.history, [
      [row.number.owner, row.number.counter],
      row.revision,
      row.committedAtMs,
      row.keptBytes,
      row.targets.map(packTarget),
      row.entries.map(packEntry),
    ]),
  decode(key: Uint8Array, value: Uint8Array): HistoryRow {
    const fields = decodeValue('history', key, value, kinds.history);
    const number = fields.fields();
    return {
      number: { owner: number.number(), counter: number.number() },
      revision: fields.number(),
      committedAtMs: fields.number(),
      keptBytes: fields.number(),
      targets: fields.list(readTarget),
      entries: fields.list(readEntry),
    };
  },
};

function packTarget(target: HistoryTarget): Packable {
  return [
    actions.indexOf(target.action),
    target.path,
    target.from ?? null,
    target.volume,
    packImage(target.before),
    packImage(target.after),
    target.kept ?? null,
    target.lost === undefined ? null : lossReasons.indexOf(target.lost),
    target.below?.map((each) => [
      each.name,
      typesBelow.indexOf(each.type),
      each.mode,
      each.sizeBytes,
      each.mtimeNs,
      each.checksum ?? null,
    ]) ?? null,
    ...(target.brought === undefined ? [] : [target.brought.map(packListed)]),
  ];
}

function readTarget(fields: Fields): HistoryTarget {
  const action = actions[fields.number()];
  if (action === undefined) throw corrupt(what, 'it has an unknown action');
  const path = fields.string();
  const from = fields.optional((f) => f.string());
  const volume = fields.string();
  const before = readImage(fields.fields(), what);
  const after = readImage(fields.fields(), what);
  const kept = fields.optional((f) => f.string());
  const loss = fields.optional((f) => f.number());
  const lost = loss === undefined ? undefined : lossReasons[loss];
  if (loss !== undefined && lost === undefined) throw corrupt(what, 'it has an unknown reason');
  const below = fields.optional((f) => f.list(readBelow));
  const brought = fields.optional((f) => f.list(readListed));
  return {
    action,
    path,
    ...(from === undefined ? {} : { from }),
    volume,
    before,
    after,
    ...(kept === undefined ? {} : { kept }),
    ...(lost === undefined ? {} : { lost }),
    ...(below === undefined ? {} : { below }),
    ...(brought === undefined ? {} : { brought }),
  };
}

function readBelow(fields: Fields): KeptBelow {
  const name = fields.string();
  const type = typesBelow[fields.number()];
  if (type === undefined) throw corrupt(what, 'it has an unknown type');
  const below = { name, type, mode: fields.number(), sizeBytes: fields.number(), mtimeNs: fields.bigint() };
  const checksum = fields.optional((f) => f.bigint());
  return checksum === undefined ? below : { ...below, checksum };
}

/** What an entry was left as takes two fields: 0 not known, 1 absent, 2 a value, and then its checksum. */
function packEntry({ collection, key, old, after }: HistoryEntryChange): Packable {
  const left = after === 'unknown' ? 0 : after === 'absent' ? 1 : 2;
  return [collection, key, old ?? null, left, typeof after === 'bigint' ? after : null];
}

function readEntry(fields: Fields): HistoryEntryChange {
  const collection = fields.string();
  const key = fields.string();
  const old = fields.optional((f) => f.bytes());
  const left = fields.number();
  const checksum = fields.optional((f) => f.bigint());
  if (left === 2 && checksum === undefined) throw corrupt(what, 'it has a value without a checksum');
  const after = left === 2 ? checksum! : left === 1 ? ('absent' as const) : ('unknown' as const);
  return { collection, key, ...(old === undefined ? {} : { old }), after };
}
