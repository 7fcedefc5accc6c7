/**
 * Results beside earlier ones: a whole measurement takes an hour, and need not be made in one piece. Only what was taken of the
 * same code, on the same machine, belongs together.
 */

import { judge } from './check.js';
import type { Environment } from './environment.js';
import type { Results, SeriesResult } from './results.js';

/**
 * The new results, and of the old ones the scenarios that were not measured anew in the same place. Throws with what
 * differs where they do not belong together.
 */
export function addResults(old: Results, now: Results): Results {
  const differs = differenceOf(old, now);
  if (differs !== undefined) throw refused(differs);
  const anew = new Set(now.series.map(partOf));
  const stays = (each: Pick<SeriesResult, 'place' | 'scenario'>): boolean => !anew.has(partOf(each));
  const series = [...old.series.filter(stays), ...now.series];
  const missing = { ...old.missing, ...now.missing };
  const skipped = { ...old.skipped, ...now.skipped };
  const places = { ...old.places, ...now.places };
  return {
    ...now,
    environment: { ...now.environment, loadBefore: worst(old.environment, now.environment) },
    places,
    skipped: Object.fromEntries(Object.entries(skipped).filter(([name]) => !(name in places))),
    failures: [...old.failures.filter(stays), ...now.failures],
    missing,
    contenders: { ...old.contenders, ...now.contenders },
    series,
    verdicts: judge({ series, missing }),
  };
}

function partOf({ place, scenario }: Pick<SeriesResult, 'place' | 'scenario'>): string {
  return `${scenario} on ${place}`;
}

/** Throws as `addResults` would; to be asked before an hour of measuring. */
export function requireSame(old: Pick<Results, 'environment' | 'quick'>, now: Environment): void {
  const differs = old.quick ? 'quick ones mean nothing' : differenceOfEnvironments(old.environment, now);
  if (differs !== undefined) throw refused(differs);
}

function refused(differs: string): Error {
  return new Error(`These results are not added to the earlier ones: ${differs}.`);
}

function differenceOfEnvironments(old: Environment, now: Environment): string | undefined {
  // What is changed and not committed may be anything.
  if (now.commit === 'unknown' || now.commit.includes(',')) return `the code is '${now.commit}'`;
  const same = (key: keyof Environment): boolean => JSON.stringify(old[key]) === JSON.stringify(now[key]);
  const keys = ['commit', 'node', 'platform', 'cpu', 'cores', 'memoryGiB', 'versions'] as const;
  const key = keys.find((each) => !same(each));
  if (key === undefined) return undefined;
  return `${key} was ${JSON.stringify(old[key])}, and is ${JSON.stringify(now[key])}`;
}

function differenceOf(old: Results, now: Results): string | undefined {
  if (old.quick || now.quick) return 'quick ones mean nothing';
  const differs = differenceOfEnvironments(old.environment, now.environment);
  if (differs !== undefined) return differs;
  const place = Object.entries(now.places).find(([name, is]) => {
    const was = old.places[name as keyof typeof old.places];
    return was !== undefined && was !== is;
  });
  return place === undefined ? undefined : `${place[0]} is ${place[1]} now`;
}

function worst(old: Environment, now: Environment): number[] {
  return now.loadBefore.map((load, index) => Math.max(load, old.loadBefore[index] ?? 0));
}
