/** Which moments of a run are crashed later: all of them; or, once the faults have happened, the next and a later one. */

import { metaKeys } from '@forewrit/core';
import type { Random } from '@forewrit/testkit';
import type { Tree } from '../campaign-model.js';
import { crashesAt, type Moment } from '../crash/preparation.js';
import { flushing, type World } from '../world.js';
import type { Injector } from './injector.js';

export type Keeps = 'none' | 'some' | 'all';

export class MomentKeeper {
  readonly #world: World;
  readonly #injector: Injector;
  readonly #random: Random;
  readonly #keeps: Keeps;
  readonly #allowed: () => readonly Tree[];
  readonly #all: Moment[] = [];
  #first: Moment | undefined;
  #later: Moment | undefined;
  #end: Moment | undefined;
  #laterCount = 0;

  constructor(
    world: World,
    injector: Injector,
    options: { readonly random: Random; readonly keeps: Keeps; readonly allowed: () => readonly Tree[] },
  ) {
    this.#world = world;
    this.#injector = injector;
    this.#random = options.random;
    this.#keeps = options.keeps;
    this.#allowed = options.allowed;
  }

  get moments(): readonly Moment[] {
    return [...this.#all, this.#first, this.#later, this.#end].filter((each) => each !== undefined);
  }

  readonly step = (what: string): void => {
    // Of a batch that is being flushed nobody knows whether it is there.
    if (what !== flushing && saysOfFailedFlush(this.#world)) this.#injector.failedFlushUnnoted = false;
    if (this.#keeps === 'all') this.#all.push(...this.#now(what));
    if (this.#keeps === 'some' && this.#injector.done) this.#keepSome(what);
  };

  #keepSome(what: string): void {
    if (this.#first === undefined) {
      this.#first = this.#random.pick(this.#now(`right after the fault, ${what}`));
      return;
    }
    this.#laterCount += 1;
    // Each of the later ones with the same probability, however many there are.
    if (this.#random.below(this.#laterCount) === 0)
      this.#later = this.#random.pick(this.#now(`later, ${what}`));
  }

  keepEnd(): void {
    if (this.#keeps === 'some') this.#end = this.#random.pick(this.#now('at the end'));
  }

  #now(what: string): Moment[] {
    const flushInDoubt = this.#injector.failedFlushUnnoted;
    const allowed = this.#allowed();
    return crashesAt(this.#world, 'weakest', what).map((crash) => ({
      ...crash,
      allowed,
      flushInDoubt: flushInDoubt && !saysOfFailedFlush(crash.death),
    }));
  }
}

function saysOfFailedFlush({ log }: World): boolean {
  return log.rows('meta').range(metaKeys.unflusheds).length > 0;
}
