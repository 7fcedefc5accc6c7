/**
 * Observes the paths of one transaction, in the order in which they would be applied. All are decided before one is
 * touched: so a path below a directory that the transaction is yet to move is looked for where it still is.
 */

import { inodeOf, isBelow, rebase, type StorePath, type Target, type Volume } from '@forewrit/core';
import type { Decision } from './decision.js';
import type { PathHistory } from './path-history.js';
import type { RecoveryContext } from './recovery-context.js';
import { type ObservedTarget, type Subject, TargetObservation } from './target-observation.js';

export class TransactionObserver {
  readonly #context: RecoveryContext;
  readonly #subject: Subject;
  readonly #history: PathHistory;
  /**
   * Inodes that this transaction puts elsewhere, with whatever has been written into them since. Where a newer transaction
   * decides what is there, they do not get there: what was written would be lost.
   */
  readonly #movedInodes: ReadonlySet<bigint>;
  readonly #pendingMoves: { readonly from: StorePath; readonly path: StorePath }[] = [];
  readonly #pendingDirectories = new Set<StorePath>();

  constructor(context: RecoveryContext, subject: Subject, history: PathHistory) {
    this.#context = context;
    this.#subject = subject;
    this.#history = history;
    const moves = subject.transaction.targets.filter(
      ({ action, index }) => action === 'move' && !subject.superseded.has(index),
    );
    this.#movedInodes = new Set(moves.map(({ after }) => inodeOf(after)).filter((ino) => ino !== undefined));
  }

  /** To be called in the order of the targets, and followed by `decided`. */
  observe(target: Target, volume: Volume): ObservedTarget {
    return new TargetObservation({
      context: this.#context,
      subject: this.#subject,
      history: this.#history,
      movedInodes: this.#movedInodes,
      target,
      volume,
      locate: (path) => this.#locate(path),
      willBeDirectory: (path) => this.#pendingDirectories.has(path),
    });
  }

  decided({ target, directory }: ObservedTarget, { verdict }: Decision): void {
    if (verdict !== 'redo') return;
    if (target.action === 'move-directory' && directory !== undefined) {
      this.#pendingMoves.push({ from: directory, path: target.path });
    }
    if (target.after.type === 'directory') this.#pendingDirectories.add(target.path);
  }

  /** Where it is now what will be at `path` when all that was decided so far is done; `undefined`: nothing will be. */
  #locate(path: StorePath): StorePath | undefined {
    let at = path;
    for (const move of this.#pendingMoves.toReversed()) {
      if (at === move.path || isBelow(at, move.path)) at = rebase(at, move.path, move.from);
      else if (at === move.from || isBelow(at, move.from)) return undefined;
    }
    return at;
  }
}
