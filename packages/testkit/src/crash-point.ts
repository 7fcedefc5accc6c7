/**
 * A moment at which the power may go, and the images that it may leave, under three models of what survives:
 *
 * - `weakest`: every pending effect by itself, in any combination. What POSIX allows; the gate for every campaign.
 * - `ordered`: changes of names, modes and sizes by truncation in order, so a prefix of them; content as in
 *   `weakest`. What a journal of metadata gives.
 * - `strict`: a prefix of everything, in order.
 *
 * In the last two a sync of anything makes durable what came before it in the order.
 */
import { type CrashChoice, outcomesOfChoice, type PendingEffect } from './crash-choice.js';
import { type Fingerprint, fingerprintOf, ImageFingerprints } from './crash-fingerprint.js';
import { buildImage, type CrashImage, type ImageBase } from './crash-image.js';
import { type Effect, isTreeEffect, outcomeCount, type WriteEffect } from './pending-effect.js';
import type { JournalSnapshot } from './pending-journal.js';

export type PersistenceModel = 'weakest' | 'ordered' | 'strict';

export const persistenceModels: readonly PersistenceModel[] = ['weakest', 'ordered', 'strict'];

export interface CrashPointOptions {
  /** Whether a write may survive in part; by default it may. Without tears there are two outcomes for each effect. */
  readonly tears?: boolean;
}

export interface BootOptions {
  /** By default the number of the boot, as `boot-2`. */
  readonly bootId?: string;
}

export interface CrashPointParts<Disk> {
  readonly base: ImageBase;
  readonly barrier: number;
  readonly tears: boolean;
  readonly boot: (image: CrashImage, options: BootOptions) => Disk;
}

/** What an effect does in an image: from the choice, or whole in any case. */
type Rule =
  | { readonly from: 'always' }
  /** The outcome at this index of the choice. */
  | { readonly from: 'choice'; readonly index: number }
  /** Whole if the operations that survive in order, the first of the choice, are at least so many. */
  | { readonly from: 'order'; readonly step: number };

export class CrashPoint<Disk> {
  readonly model: PersistenceModel;
  /** What a choice decides, in its order. */
  readonly effects: readonly PendingEffect[];
  readonly #base: ImageBase;
  readonly #rules: readonly Rule[];
  readonly #boot: (image: CrashImage, options: BootOptions) => Disk;
  /** For an effect that requires others: where those are. Empty lists are left out. */
  readonly #requirements: readonly (readonly [index: number, required: readonly number[]])[];
  /** Of the choice that was looked at last. */
  readonly #outcomes: number[] = [];
  #fingerprints: ImageFingerprints | undefined;

  /** Use `SimulatedDisk.crashPoint`. */
  constructor(model: PersistenceModel, { base, barrier, tears, boot }: CrashPointParts<Disk>) {
    this.model = model;
    this.#boot = boot;
    this.#base = base;
    const { rules, effects } = rulesOf(model, { effects: base.effects, barrier }, tears);
    this.#rules = rules;
    this.effects = effects;
    this.#requirements = model === 'weakest' ? requirementsAmong(base.effects) : [];
  }

  /** A disk as it is after the power cut. A crash point gives as many as one likes; they share nothing that changes. */
  image(choice: CrashChoice, options: BootOptions = {}): Disk {
    const outcomes = this.#outcomesOf(outcomesOfChoice(this.effects, choice));
    return this.#boot(buildImage(this.#base, outcomes), options);
  }

  /**
   * That of `image(choice)`, at a small part of the cost: what each inode looks like is worked out once for each
   * combination of the effects on it, by the code that builds images.
   */
  fingerprint(choice: ArrayLike<number>): Fingerprint {
    this.#fingerprints ??= new ImageFingerprints(this.#base);
    const outcomes = this.#outcomesOf(choice);
    return this.#fingerprints.of(outcomes) ?? fingerprintOf(buildImage(this.#base, outcomes).table);
  }

  #outcomesOf(choice: ArrayLike<number>): readonly number[] {
    const outcomes = this.#outcomes;
    for (let index = 0; index < this.#rules.length; index += 1) {
      const rule = this.#rules[index] as Rule;
      if (rule.from === 'choice') outcomes[index] = choice[rule.index] ?? 0;
      else if (rule.from === 'always') outcomes[index] = 1;
      else outcomes[index] = (choice[0] ?? 0) >= rule.step ? 1 : 0;
    }
    // Requirements come earlier than what requires them: from the last to the first, chains are followed too.
    for (const [index, required] of this.#requirements) {
      if (outcomes[index] === 0) continue;
      for (const earlier of required) outcomes[earlier] ||= 1;
    }
    return outcomes;
  }
}

function rulesOf(
  model: PersistenceModel,
  { effects, barrier }: Pick<JournalSnapshot, 'effects' | 'barrier'>,
  tears: boolean,
): { rules: Rule[]; effects: PendingEffect[] } {
  const inOrder = (effect: Effect): boolean =>
    model === 'strict' || (model === 'ordered' && effect.kind !== 'write');
  const chosen: PendingEffect[] = [];
  const last: Effect[] = [];
  // Several effects of one call are one step.
  for (const effect of effects) {
    if (inOrder(effect) && effect.sequence > barrier && last.at(-1)?.sequence !== effect.sequence) {
      last.push(effect);
    }
  }
  if (last.length > 0) chosen.push(orderEffect(last));
  const rules = effects.map((effect): Rule => {
    if (!inOrder(effect)) {
      chosen.push(singleEffect(effect, tears));
      return { from: 'choice', index: chosen.length - 1 };
    }
    if (effect.sequence <= barrier) return { from: 'always' };
    return { from: 'order', step: 1 + last.findIndex(({ sequence }) => sequence === effect.sequence) };
  });
  return { rules, effects: chosen };
}

function singleEffect(effect: Effect, tears: boolean): PendingEffect {
  const { kind, path } = effect;
  const outcomes = tears ? outcomeCount(effect) : 2;
  return {
    kind,
    path,
    outcomes,
    whole: 1,
    scatters: tears && effect.kind === 'write' && effect.outcomes.includes('first-half'),
    describe: (outcome) => `${describeEffect(effect)}: ${describeOutcome(effect, outcome)}`,
  };
}

function orderEffect(operations: readonly Effect[]): PendingEffect {
  return {
    kind: 'order',
    path: '',
    outcomes: operations.length + 1,
    whole: operations.length,
    scatters: false,
    describe: (outcome) => {
      const last = operations[outcome - 1];
      const upTo = last === undefined ? '' : `, up to ${describeEffect(last)}`;
      return `${outcome} of ${operations.length} operations in order${upTo}`;
    },
  };
}

function describeEffect(effect: Effect): string {
  const call = `#${effect.sequence} ${effect.kind}`;
  switch (effect.kind) {
    case 'write':
      return `${call} ${effect.path} [${effect.position}, ${effect.position + effect.bytes.length})`;
    case 'truncate':
      return `${call} ${effect.path} to ${effect.size}`;
    case 'entry':
      return `${call} ${effect.path} ${effect.child < 0 ? 'removed' : `= inode ${effect.child}`}`;
    default:
      return `${call} ${effect.path}`;
  }
}

function describeOutcome(effect: Effect, outcome: number): string {
  if (effect.kind === 'write') return outcomeName(effect, outcome);
  return outcome === 0 ? 'lost' : 'whole';
}

function outcomeName(effect: WriteEffect, outcome: number): string {
  return effect.outcomes[outcome] ?? `scatter ${outcome}`;
}

function requirementsAmong(effects: readonly Effect[]): (readonly [number, readonly number[]])[] {
  if (!effects.some((effect) => isTreeEffect(effect) && effect.requires.length > 0)) return [];
  const places = new Map(effects.map((effect, index) => [effect, index]));
  return effects
    .map((effect, index) => {
      const required = isTreeEffect(effect) ? effect.requires : [];
      return [index, required.map((one) => places.get(one)).filter((place) => place !== undefined)] as const;
    })
    .filter(([, required]) => required.length > 0)
    .toReversed();
}
