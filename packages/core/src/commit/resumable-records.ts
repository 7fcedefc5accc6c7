/** What the owner's thread asks of the committer about resumable operations, and the one batch that answers it all. */

import { assert } from '../assert.js';
import { fromSystemError, StoreError } from '../errors.js';
import type { LogBatch } from '../log/log.js';
import type { Owner } from '../owner/owner.js';
import type { StorePath } from '../path/path.js';
import { type Resumable, sameTransaction, type TransactionNumber } from '../record/record.js';
import { metaKeys, textRow } from '../record/rows.js';
import type { StoreContext } from '../store/store-context.js';
import { assertFormat, assertRegistered } from './guard.js';
import type { OwnRecords } from './own-records.js';
import type { Poison } from './poison.js';
import {
  findResumable,
  type FoundResumable,
  isRegistered,
  putResumable,
  removeResumable,
} from './resumable.js';

export type StagingRequest =
  /** What is staged on another file system needs an area there. */
  | { readonly kind: 'open-area'; readonly volume: StorePath }
  /** The file is there, empty, and its name durable. */
  | ({ readonly kind: 'begin'; readonly counter: number } & Pick<
      Resumable,
      'id' | 'ttlMs' | 'metadata' | 'volume' | 'staged'
    >)
  /** The bytes up to `offset` are durable. */
  | ({ readonly kind: 'advance'; readonly number: TransactionNumber } & Pick<
      Resumable,
      'id' | 'offset' | 'checksum'
    >)
  /** The content up to `offset` was looked at, and is as recorded. */
  | ({ readonly kind: 'take-over'; readonly counter: number; readonly from: TransactionNumber } & Pick<
      Resumable,
      'id' | 'offset' | 'checksum'
    >)
  | { readonly kind: 'discard'; readonly number: TransactionNumber; readonly id: string };

const recordBytes = 1024;

export class ResumableRecords {
  readonly #context: StoreContext;
  readonly #owner: Owner;
  readonly #poison: Poison;
  readonly #records: OwnRecords;

  constructor(parts: {
    readonly context: StoreContext;
    readonly owner: Owner;
    readonly poison: Poison;
    readonly records: OwnRecords;
  }) {
    this.#context = parts.context;
    this.#owner = parts.owner;
    this.#poison = parts.poison;
    this.#records = parts.records;
  }

  /** Carries them out in one flushed batch. One answer for each: `undefined`, or why nothing was done. */
  run(requests: readonly StagingRequest[]): unknown[] {
    const { log, failpoints, format } = this.#context;
    if (this.#poison.cause !== undefined) return requests.map(() => this.#poison.error());
    failpoints.hit('staging.before');
    const essential = requests.every(({ kind }) => kind === 'discard');
    const sizeBytes = requests.reduce((sum, each) => sum + sizeOf(each), 0);
    let answers: unknown[];
    try {
      answers = log.commit(
        (batch) => {
          assertRegistered(batch, this.#owner.number);
          assertFormat(batch, format);
          return requests.map((request) => this.#answer(batch, request));
        },
        { sizeBytes, essential, ...this.#records.timeout() },
      );
    } catch (error) {
      const isRefusal = error instanceof StoreError && error.code !== 'ERR_STORE_POISONED';
      if (!isRefusal) this.#poison.take(error);
      const answer = this.#poison.cause === undefined ? error : this.#poison.error();
      return requests.map(() => answer);
    }
    failpoints.hit('staging.after');
    return answers.map((answer, index) => answer ?? this.#afterFlush(requests[index]!));
  }

  /** The area is made when the log knows of it. */
  #afterFlush(request: StagingRequest): StoreError | undefined {
    if (request.kind !== 'open-area') return undefined;
    try {
      this.#context.volumes.add(request.volume);
      return undefined;
    } catch (error) {
      return fromSystemError(error, { op: 'stage', path: request.volume });
    }
  }

  #answer(batch: LogBatch, request: StagingRequest): StoreError | undefined {
    switch (request.kind) {
      case 'open-area': {
        const key = metaKeys.volume(request.volume);
        if (!isKnownArea(batch, request.volume)) batch.put('meta', key, textRow.encode(key, request.volume));
        return undefined;
      }
      case 'begin':
        return this.#begin(batch, request);
      case 'advance':
        return this.#advance(batch, request);
      case 'take-over':
        return this.#takeOver(batch, request);
      case 'discard': {
        const { id, number } = request;
        if (this.#found(batch, id, number) === undefined || !this.#mayTake(batch, number)) return lost(id);
        removeResumable(batch, number, id);
        return undefined;
      }
    }
  }

  #begin(batch: LogBatch, request: Extract<StagingRequest, { kind: 'begin' }>): StoreError | undefined {
    const { id, ttlMs, metadata, volume, staged } = request;
    assert(isKnownArea(batch, volume), 'an area is known to the log before anything is staged there');
    if (batch.get('meta', metaKeys.staged(id)) !== undefined) return lost(id);
    const { clock, mount, processTable } = this.#context;
    const nowMs = clock.nowMs();
    putResumable(batch, {
      number: this.#own(request.counter),
      begin: { kind: 'begin', bootId: processTable.identity().bootId, mount, startedAtMs: nowMs },
      resumable: {
        id,
        ttlMs,
        ...(metadata === undefined ? {} : { metadata }),
        volume,
        staged,
        offset: 0,
        checksum: emptyChecksum,
        advancedAtMs: nowMs,
      },
    });
    return undefined;
  }

  #advance(batch: LogBatch, request: Extract<StagingRequest, { kind: 'advance' }>): StoreError | undefined {
    const { id, number, offset, checksum } = request;
    const found = this.#found(batch, id, number);
    if (found === undefined || number.owner !== this.#owner.number) return lost(id);
    const advancedAtMs = this.#context.clock.nowMs();
    putResumable(batch, { ...found, resumable: { ...found.resumable, offset, checksum, advancedAtMs } });
    return undefined;
  }

  #takeOver(
    batch: LogBatch,
    request: Extract<StagingRequest, { kind: 'take-over' }>,
  ): StoreError | undefined {
    const { id, from, offset, checksum } = request;
    const found = this.#found(batch, id, from);
    const isAsSeen = found?.resumable.offset === offset && found.resumable.checksum === checksum;
    if (found === undefined || !isAsSeen || !this.#mayTake(batch, from)) return lost(id);
    removeResumable(batch, from, id);
    putResumable(batch, { ...found, number: this.#own(request.counter) });
    return undefined;
  }

  #found(batch: LogBatch, id: string, number: TransactionNumber): FoundResumable | undefined {
    const found = findResumable(batch, id);
    return found !== undefined && sameTransaction(found.number, number) ? found : undefined;
  }

  /** Ours, or of an owner that is gone. */
  #mayTake(batch: LogBatch, number: TransactionNumber): boolean {
    return number.owner === this.#owner.number || !isRegistered(batch, number);
  }

  #own(counter: number): TransactionNumber {
    return { owner: this.#owner.number, counter };
  }
}

function isKnownArea(batch: LogBatch, volume: StorePath): boolean {
  return volume === '' || batch.get('meta', metaKeys.volume(volume)) !== undefined;
}

/** xxh64 of nothing. */
const emptyChecksum = 0xef46db3751d8e999n;

function sizeOf(request: StagingRequest): number {
  return recordBytes + (request.kind === 'begin' ? (request.metadata?.byteLength ?? 0) : 0);
}

function lost(id: string): StoreError {
  return new StoreError('ERR_CONFLICT', `The staged content '${id}' is in other hands`, {
    op: 'stage',
    hint: 'Another process has taken it up, adopted or discarded it. Stage it again to see what there is.',
  });
}
