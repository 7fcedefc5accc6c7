/** What the tree may be, as far as a user of the store can know. */

import { ancestors, type Operation } from '@forewrit/core';
import { applied, showTree, type Tree } from '../campaign-model.js';

export class Expectation {
  /** What may have been committed. */
  #certain: readonly Tree[];
  /** As the transaction under way may leave it. */
  #next: readonly Tree[] = [];
  /** Parents that a transaction made may stay when it is rolled back. */
  readonly #parents = new Set<string>();

  constructor(now: Tree) {
    this.#certain = [now];
  }

  get allowed(): readonly Tree[] {
    return distinct([...this.#certain, ...this.#next]);
  }

  /** Whether what is under way can be done at all, on one of the trees that there may be. */
  get isPossible(): boolean {
    return this.#next.length > 0;
  }

  /** What it is once the caller has been told. */
  after(outcome: 'done' | 'not done'): readonly Tree[] {
    return outcome === 'done' ? this.#next : this.#certain;
  }

  begin(operations: readonly Operation[]): void {
    for (const each of operations) {
      if (each.type !== 'write' && each.type !== 'rename') continue;
      for (const parent of ancestors(each.path)) this.#parents.add(`${parent}/`);
    }
    this.#next = this.#certain.flatMap((each) => appliedIfPossible(each, operations));
  }

  /** Something else is done, which leaves the tree so. */
  beginOther(makes: Tree): void {
    this.#next = [makes];
  }

  end(outcome: 'done' | 'not done' | 'unknown'): void {
    if (outcome === 'done') this.#certain = this.#next;
    if (outcome === 'unknown') this.#certain = this.allowed;
    this.#next = [];
  }

  /** `undefined` if it may be so. */
  problem(found: Tree, allowed = this.allowed): string | undefined {
    const show = (each: Tree): string => showTree(this.#withoutLooseParents(each));
    if (allowed.some((each) => show(each) === show(found))) return undefined;
    return `found ${showTree(found)}, expected ${allowed.map(showTree).join(' or ')}`;
  }

  #withoutLooseParents(whole: Tree): Tree {
    const names = Object.keys(whole);
    const isLoose = (name: string): boolean =>
      this.#parents.has(name) &&
      names.every((each) => each === name || !each.startsWith(name) || isLoose(each));
    return Object.fromEntries(Object.entries(whole).filter(([name]) => !isLoose(name)));
  }
}

/** What cannot be done on a tree has been done on another one, if at all. */
function appliedIfPossible(before: Tree, operations: readonly Operation[]): Tree[] {
  try {
    return [applied(before, operations)];
  } catch {
    return [];
  }
}

function distinct(trees: readonly Tree[]): Tree[] {
  return [...new Map(trees.map((each) => [showTree(each), each])).values()];
}
