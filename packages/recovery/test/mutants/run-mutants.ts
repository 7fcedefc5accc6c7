/** Tries mutants, one after the other, and says which survive. */

import type { Random } from '@forewrit/testkit';
import { checkKiller, tryMutant } from './killer.js';
import type { Mutant } from './mutant.js';
import { mutants } from './mutants.js';

export interface Tried {
  readonly survivors: readonly string[];
}

/** Every killer must pass without a mutant, and fail with each of its own. */
export async function runMutants(
  wanted: readonly Mutant[],
  tell: (line: string) => void = console.log,
): Promise<Tried> {
  // Several mutants may have one killer.
  const killers = new Map(wanted.map(({ killer }) => [`${killer.file} ${killer.test}`, killer]));
  for (const killer of killers.values()) await checkKiller(killer);
  tell(`${killers.size} tests pass without a mutant`);
  const survivors: string[] = [];
  for (const mutant of wanted) {
    const { verdict, run } = await tryMutant(mutant);
    if (verdict === 'survived') survivors.push(mutant.name);
    tell(`${verdict}${run.hung ? ' (hung)' : ''}  ${mutant.name}  ${(run.durationMs / 1000).toFixed(1)} s`);
  }
  return { survivors };
}

export function sampleOf(count: number, random: Random): Mutant[] {
  const left = [...mutants];
  const sample: Mutant[] = [];
  while (sample.length < count && left.length > 0) {
    sample.push(...left.splice(random.below(left.length), 1));
  }
  return sample;
}
