/**
 * A random run is a function of the numbers that it draws. One that fails is made smaller by taking numbers out of what it
 * drew, as long as it fails at the same place: with them go the steps that they stood for.
 */

import { Random } from '@forewrit/testkit';
import { takeBroken, watchInvariants } from './broken-invariants.js';
import { shrinkItems } from './shrink.js';

const triesMax = 200;

/** Gives the numbers of its seed, or those that are given and then zeros, and keeps what it gave. */
export class DrawnRandom extends Random {
  /** Not there yet when the constructor of the seed draws. */
  readonly drawn: number[] | undefined = [];
  private readonly given: readonly number[] | undefined;

  constructor(seed: number, given?: readonly number[]) {
    super(seed);
    this.given = given;
  }

  override next32(): number {
    if (this.drawn === undefined) return super.next32();
    const next = this.given === undefined ? super.next32() : (this.given[this.drawn.length] ?? 0);
    this.drawn.push(next);
    return next;
  }
}

/** Runs, and throws what fails of it: the smallest run that was found to fail, and then the one of the seed. */
export async function runAndShrink(seed: number, run: (random: Random) => Promise<void>): Promise<void> {
  watchInvariants();
  const first = new DrawnRandom(seed);
  const whole = await failureOf(() => run(first));
  if (whole === undefined) return;
  const { drawn = [] } = first;
  let smallest = whole;
  const kept = await shrinkItems(
    drawn,
    async (given) => {
      const failure = await failureOf(() => run(new DrawnRandom(seed, given)));
      if (failure === undefined || placeOf(failure) !== placeOf(whole)) return false;
      smallest = failure;
      return true;
    },
    { triesMax },
  );
  throw new Error(
    `${smallest.message}\n\nThat is what ${kept.length} of the ${drawn.length} numbers of the seed ${seed} lead to; all of them:\n` +
      whole.message,
    { cause: smallest.cause },
  );
}

async function failureOf(run: () => Promise<void>): Promise<Error | undefined> {
  takeBroken();
  let failure: Error | undefined;
  try {
    await run();
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
  }
  const broken = takeBroken();
  if (!(broken instanceof Error)) return failure;
  return new Error([broken.stack, failure?.message].join('\n'), { cause: broken });
}

/** Where it was thrown at first. */
function placeOf(error: Error): string {
  const { stack = '' } = error.cause instanceof Error ? error.cause : error;
  return /^\s+at .*$/m.exec(stack)?.[0] ?? '';
}
