/** Making what fails smaller, as long as it fails: whoever reads it wants nothing in it that does not matter. */

/** Whether this still fails. It should fail for what it is given, and may be asked for the same more than once. */
export type Fails<T> = (candidate: T) => Promise<boolean> | boolean;

export interface ShrinkLimit {
  /** More candidates than that are not tried. */
  readonly triesMax: number;
}

/**
 * Leaves out items: first half of them at once, then smaller and smaller parts, at last single ones, until none can be
 * left out.
 */
export async function shrinkItems<T>(
  items: readonly T[],
  fails: Fails<readonly T[]>,
  { triesMax }: ShrinkLimit,
): Promise<readonly T[]> {
  let kept = items;
  let tries = 0;
  let size = Math.max(Math.ceil(items.length / 2), 1);
  while (kept.length > 0) {
    let shrank = false;
    for (let at = 0; at < kept.length; ) {
      if (tries >= triesMax) return kept;
      tries += 1;
      const candidate = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (await fails(candidate)) {
        kept = candidate;
        shrank = true;
      } else {
        at += size;
      }
    }
    // A single one may be needed only as long as another is there.
    if (size === 1 && !shrank) break;
    size = Math.max(Math.floor(size / 2), 1);
  }
  return kept;
}

/**
 * Replaces each number by the first of its simpler ones with which it still fails, until that changes nothing. `simpler`
 * gives the simplest first, and nothing that is not simpler.
 */
export async function shrinkNumbers(
  numbers: readonly number[],
  simpler: (index: number, value: number) => readonly number[],
  fails: Fails<readonly number[]>,
): Promise<readonly number[]> {
  let best = numbers;
  for (let changed = true; changed; ) {
    changed = false;
    for (let index = 0; index < best.length; index += 1) {
      for (const value of simpler(index, best[index] as number)) {
        const candidate = best.with(index, value);
        if (!(await fails(candidate))) continue;
        best = candidate;
        changed = true;
        break;
      }
    }
  }
  return best;
}
