/** One of the processes of `npm run torture`: does what it is told, unit by unit. */

import { countChoicesExactly, distinctChoices, type PersistenceModel, Random } from '@forewrit/testkit';
import { enumerateMoments, type Tally } from './enumeration.js';
import { FingerprintSet } from './fingerprint-set.js';
import { recordOrViolate } from './judgement.js';
import type { Moment } from './moment.js';
import { type Crash, scenarioNamed } from './schedule.js';
import { Violation } from './violation.js';

const nestedShareDefault = 0.0002;
const depth = 2;

/** The choices with these numbers, of each crash point of a scenario. */
export interface Unit {
  readonly scenario: string;
  readonly model: PersistenceModel;
  readonly first: number;
  readonly end: number;
}

export interface Place {
  readonly lane: number;
  readonly lanes: number;
}

export interface Answer {
  readonly tally: Tally;
  /** How many states there are, at all crash points together: choices, and a death without a power cut. */
  readonly available: string;
  /** No crash point has choices beyond these. */
  readonly exhausted: boolean;
  readonly violation?: { readonly message: string; readonly crashes: readonly Crash[] };
}

export class Lane {
  readonly #place: Place;
  readonly #nestedShare: number;
  /** For all units: what is in a fingerprint decides all that matters. */
  readonly #judged = new FingerprintSet();
  #recorded: { readonly key: string; readonly moments: readonly Moment[] } | undefined;

  constructor(place: Place, nestedShare = nestedShareDefault) {
    this.#place = place;
    this.#nestedShare = nestedShare;
  }

  async run({ scenario, model, first, end }: Unit): Promise<Answer> {
    const tally: Tally = { states: 0, nested: 0, recovered: 0, points: 0 };
    let answer: Answer = { tally, available: '', exhausted: true };
    try {
      const moments = await this.#momentsOf(scenario, model);
      const counts = moments.map(({ crash }) => countChoicesExactly(crash.effects));
      answer = {
        tally,
        available: String(counts.reduce((sum, count) => sum + count + 1n, 0n)),
        exhausted: counts.every((count) => count <= BigInt(end)),
      };
      await enumerateMoments(
        moments,
        {
          model,
          random: new Random(first * this.#place.lanes + this.#place.lane),
          choices: (effects) => distinctChoices(effects, { first, end }),
          // Deaths without a power cut are the same each time.
          deaths: first === 0,
          share: this.#place,
          judged: this.#judged,
          nestedShare: this.#nestedShare,
          depth,
        },
        tally,
      );
      return answer;
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      const { message, crashes } = error;
      return { ...answer, violation: { message, crashes } };
    }
  }

  async #momentsOf(name: string, model: PersistenceModel): Promise<readonly Moment[]> {
    const key = `${name} (${model})`;
    if (this.#recorded?.key !== key) {
      const scenario = scenarioNamed(name);
      // What was recorded before is not needed any more, and may be large.
      this.#recorded = undefined;
      this.#recorded = { key, moments: await recordOrViolate(scenario, { model, directoryTimes: false }) };
    }
    return this.#recorded.moments;
  }
}
