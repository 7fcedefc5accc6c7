/**
 * Contenders take turns: a round has each of them once, in an order that is drawn anew for every round, so that what the
 * machine does meanwhile, and what one leaves for the next to wait for, meets all of them alike.
 */

import type { Random } from '@forewrit/testkit';

export interface Turn {
  readonly name: string;
  /** What is measured; it says how many milliseconds it took if it has timed itself. */
  act(round: number): Promise<number | void>;
}

export interface RoundOptions {
  readonly rounds: number;
  /** Rounds before those: code runs at its speed after some hundred, and files exist after the first. */
  readonly warmUpRounds: number;
  readonly random: Random;
  readonly onRound?: (done: number, all: number) => void;
}

/** Samples by name, in the order of the rounds. */
export async function inTurns(
  turns: readonly Turn[],
  { rounds, warmUpRounds, random, onRound }: RoundOptions,
): Promise<Map<string, number[]>> {
  const samples = new Map<string, number[]>(turns.map(({ name }) => [name, []]));
  const all = warmUpRounds + rounds;
  for (let round = 0; round < all; round += 1) {
    onRound?.(round, all);
    for (const turn of random.shuffle(turns)) {
      const ms = await timed(() => turn.act(round));
      if (round >= warmUpRounds) samples.get(turn.name)!.push(ms);
    }
  }
  return samples;
}

export async function timed(action: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  const own = await action();
  return typeof own === 'number' ? own : performance.now() - startedMs;
}
