/** Which of the pending effects a power cut keeps: naming, counting, enumerating and sampling the possibilities. */
import type { Random } from './random.js';

export interface PendingEffect {
  /** `order`: how many of the operations that survive in order do; the others are single effects. */
  readonly kind: 'write' | 'truncate' | 'mode' | 'owner' | 'entry' | 'move' | 'order';
  readonly path: string;
  /** How many outcomes there are, numbered from 0: nothing of it survives. */
  readonly outcomes: number;
  /** The outcome in which all of it survives. */
  readonly whole: number;
  /** Each sector may survive by itself: every number from `outcomes` up is the seed of one such scatter. */
  readonly scatters: boolean;
  describe(outcome: number): string;
}

/**
 * An outcome for each effect, in their order (missing ones are lost); or the same as a function, where `true` is
 * whole and `false` lost; or a set of bits, lowest first, for whole or lost.
 */
export type CrashChoice =
  | ArrayLike<number>
  | ((effect: PendingEffect, index: number) => number | boolean)
  | bigint;

export function outcomesOfChoice(effects: readonly PendingEffect[], choice: CrashChoice): ArrayLike<number> {
  if (typeof choice === 'function') {
    return effects.map((effect, index) => asOutcome(effect, choice(effect, index)));
  }
  if (typeof choice === 'bigint') {
    return effects.map((effect, index) => asOutcome(effect, ((choice >> BigInt(index)) & 1n) === 1n));
  }
  return choice;
}

function asOutcome(effect: PendingEffect, outcome: number | boolean): number {
  if (typeof outcome === 'number') return outcome;
  return outcome ? effect.whole : 0;
}

/** A choice in words, for the message of a failure: one line for each effect. */
export function describeChoice(effects: readonly PendingEffect[], choice: CrashChoice): string {
  const outcomes = outcomesOfChoice(effects, choice);
  return effects.map((effect, index) => effect.describe(outcomes[index] ?? 0)).join('\n');
}

/** The number of choices without scatters; infinite when it is beyond counting. */
export function countChoices(effects: readonly PendingEffect[]): number {
  return effects.reduce((product, { outcomes }) => product * outcomes, 1);
}

/** All choices without scatters, from nothing to everything. */
export function* everyChoice(effects: readonly PendingEffect[]): Generator<number[]> {
  const choice = effects.map(() => 0);
  for (;;) {
    yield choice.slice();
    let index = 0;
    while (index < effects.length && (choice[index] ?? 0) + 1 === effects[index]?.outcomes) {
      choice[index] = 0;
      index += 1;
    }
    if (index === effects.length) return;
    choice[index] = (choice[index] ?? 0) + 1;
  }
}

/** As `countChoices`, exact however many they are. */
export function countChoicesExactly(effects: readonly PendingEffect[]): bigint {
  return effects.reduce((product, { outcomes }) => product * BigInt(outcomes), 1n);
}

/**
 * The choice with this number, of all without scatters, in an order that jumps about: neighbours have little in common,
 * and no two numbers below `countChoicesExactly` give the same, so a search can be divided, stopped and gone on with.
 */
export function distinctChoice(effects: readonly PendingEffect[], index: bigint): number[] {
  const count = countChoicesExactly(effects);
  // A stride that has no factor in common with the count visits everything once.
  const stride = strides.find((prime) => count % prime !== 0n) ?? 1n;
  let rest = (index * stride) % count;
  return effects.map(({ outcomes }) => {
    const outcome = Number(rest % BigInt(outcomes));
    rest /= BigInt(outcomes);
    return outcome;
  });
}

/**
 * The choices with the numbers from `first` up to `end`, excluded, as `distinctChoice` numbers them, and fast. Each time
 * it is the same array that is given, with other numbers in it.
 */
export function* distinctChoices(
  effects: readonly PendingEffect[],
  { first, end }: { readonly first: number; readonly end: number },
): Generator<readonly number[]> {
  const last = Number(minimum(BigInt(end), countChoicesExactly(effects)));
  if (first >= last) return;
  const outcomes = effects.map((effect) => effect.outcomes);
  // As numbers with a digit for each effect: the next is the sum of this one and the stride, without the overflow.
  const choice = distinctChoice(effects, BigInt(first));
  const stride = distinctChoice(effects, 1n);
  for (let index = first; ; ) {
    yield choice;
    index += 1;
    if (index >= last) return;
    let carry = 0;
    for (let digit = 0; digit < outcomes.length; digit += 1) {
      const radix = outcomes[digit] as number;
      let sum = (choice[digit] as number) + (stride[digit] as number) + carry;
      carry = 0;
      if (sum >= radix) {
        sum -= radix;
        carry = 1;
      }
      choice[digit] = sum;
    }
  }
}

function minimum(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

/** Large primes; a count would have to be divisible by all of them. */
const strides = [2_305_843_009_213_693_951n, 618_970_019_642_690_137_449_562_111n] as const;

/** One choice at random. Few survivors, many and half of them are equally likely: bugs sit at the ends. */
export function sampleChoice(effects: readonly PendingEffect[], random: Random): number[] {
  const survival = random.pick(survivals);
  return effects.map((effect) => {
    if (effect.kind === 'order') return random.below(effect.outcomes);
    if (!random.chance(survival)) return 0;
    if (effect.outcomes === 2 || random.chance(0.5)) return effect.whole;
    if (effect.scatters && random.chance(0.25)) return effect.outcomes + random.below(scatterSeeds);
    return 1 + random.below(effect.outcomes - 1);
  });
}

const survivals = [0.125, 0.5, 0.875] as const;
const scatterSeeds = 2 ** 16;

export interface ChoiceBudget {
  /** Up to so many, all are given. */
  readonly exhaustiveMax: number;
  /** Where there are more: nothing, everything, and so many at random. */
  readonly samples: number;
  readonly random: Random;
}

/** Every choice if they are few, else a sample. */
export function* choicesWithin(
  effects: readonly PendingEffect[],
  { exhaustiveMax, samples, random }: ChoiceBudget,
): Generator<number[]> {
  if (countChoices(effects) <= exhaustiveMax) {
    yield* everyChoice(effects);
    return;
  }
  yield effects.map(() => 0);
  yield effects.map(({ whole }) => whole);
  for (let count = 0; count < samples; count += 1) yield sampleChoice(effects, random);
}
