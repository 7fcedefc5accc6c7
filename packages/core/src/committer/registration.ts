/**
 * This open of the store as one of its owners: its row in the log, the witness that proves that it lives, and what had to
 * be recovered first.
 */

import { StoreError, withStoreCode } from '../errors.js';
import { FlushError } from '../log/log.js';
import type { Owner } from '../owner/owner.js';
import { openWitness, type Witness } from '../owner/witness.js';
import {
  type ContextParts,
  deregisterOwner,
  openContext,
  readOwners,
  registerOwner,
  type StoreContext,
} from '../store/store-context.js';
import type { CommitterEvent } from './committer.js';
import { findDead, recoverOrRefuse } from './dead-owner.js';
import type { Recoverer, Recovery } from './recoverer.js';

/** How long a batch of an owner that goes may queue. */
export const closeCommitTimeoutMs = 800;

export interface RegistrationOptions {
  readonly parts: ContextParts;
  readonly recoverer: Recoverer | undefined;
  readonly nonce: string;
  readonly onEvent: (event: CommitterEvent) => void;
  /** A simulated world has no sockets. */
  readonly withWitness: boolean;
}

export class Registration {
  readonly context: StoreContext;
  readonly owner: Owner;
  readonly recovery: Recovery;
  readonly #witness: Witness | undefined;

  private constructor(parts: {
    readonly context: StoreContext;
    readonly owner: Owner;
    readonly recovery: Recovery;
    readonly witness: Witness | undefined;
  }) {
    this.context = parts.context;
    this.owner = parts.owner;
    this.recovery = parts.recovery;
    this.#witness = parts.witness;
  }

  static async make(options: RegistrationOptions): Promise<Registration> {
    let context: StoreContext;
    try {
      context = await openContext(options.parts);
    } catch (error) {
      options.parts.log.close();
      throw openFailed(error, options.parts.roots.root);
    }
    const witness = options.withWitness ? await openWitness(context.layout.log, options.nonce) : undefined;
    let owner: Owner | undefined;
    try {
      const dead = await findDead(context);
      owner = registerOwner(context, { nonce: options.nonce, witness: witness?.name });
      const recovery = await recoverOrRefuse(context, options.recoverer, dead, owner);
      options.onEvent({ type: 'recover', report: recovery.report });
      context.spares.begin(owner.id, () => new Set(context.log.view(readOwners).map(({ id }) => id)));
      return new Registration({ context, owner, recovery, witness });
    } catch (error) {
      if (owner !== undefined) deregisterQuietly(context, owner);
      await witness?.remove();
      context.log.close();
      throw openFailed(error, options.parts.roots.root);
    }
  }

  /** Whoever asks must see that this owner is gone: its locks are for recovery from now on. */
  abandon(): void {
    deregisterQuietly(this.context, this.owner, { timeoutMs: closeCommitTimeoutMs });
    void this.#witness?.close();
  }

  async end(): Promise<void> {
    // The file of a witness that no longer listens is what proves that this owner is gone.
    if (deregisterQuietly(this.context, this.owner, { timeoutMs: closeCommitTimeoutMs }))
      await this.#witness?.remove();
    else await this.#witness?.close();
  }
}

/** `false` if it could not be: then only the witness tells whoever opens next that this owner is gone. */
function deregisterQuietly(
  context: StoreContext,
  owner: Owner,
  options?: { readonly timeoutMs: number },
): boolean {
  try {
    deregisterOwner(context, owner.number, options);
    return true;
  } catch (error) {
    context.logger.warn({ error, owner: owner.id }, 'this owner could not be deregistered');
    return false;
  }
}

/** Nothing was begun yet, so there is nothing to poison. */
function openFailed(cause: unknown, path: string): unknown {
  if (!(cause instanceof FlushError)) return withStoreCode(cause, { op: 'open', path });
  return new StoreError('ERR_IO', `The log cannot be written: ${cause.message}`, {
    op: 'open',
    path,
    hint: 'Check the disk, and the log with `forewrit dump`. The files of the store are untouched.',
    cause,
  });
}
