/** Recovery from one crash, and whether what it leaves is well. */

import { describeChoice, type PersistenceModel } from '@forewrit/testkit';
import { showTree } from '../campaign-model.js';
import { historyProblem, namesBesideHistory } from '../history-world.js';
import { tree, World } from '../world.js';
import { type Moment, momentsAt, recordMoments, type RecordOptions } from './moment.js';
import { inlineLimitBytes } from './preparation.js';
import type { Crash } from './schedule.js';
import type { Scenario } from './scenarios.js';
import { takeBroken } from '../broken-invariants.js';
import { Violation } from './violation.js';

const firstPid = 1000;

/** What a crash leaves. */
export function worldAfter({ crash, death }: Moment, choice: Crash['choice']): World {
  if (choice === 'killed') return death.fork();
  return new World(crash.image(choice), death.log.clone(), { alive: new Set(), next: firstPid });
}

/** As `recordMoments`; but where that fails, it is a violation without any crash. */
export async function recordOrViolate(scenario: Scenario, options: RecordOptions): Promise<Moment[]> {
  takeBroken();
  try {
    const moments = await recordMoments(scenario, options);
    const broken = takeBroken();
    if (broken !== undefined) throw broken;
    return moments;
  } catch (error) {
    const why = textOf(takeBroken() ?? error);
    throw new Violation(`${scenario.name}, without any crash:\n${why}`, { crashes: [], cause: error });
  }
}

/** A crash, and the moment at which it comes. */
export interface Crashed {
  readonly moment: Moment;
  readonly crash: Crash;
}

/**
 * Recovers from the last of some crashes, of which each came in the recovery from the one before. Throws a `Violation`;
 * returns the moments of that recovery, if a model is given for them.
 */
export async function recoverAndJudge(
  crashed: readonly Crashed[],
  model: PersistenceModel | undefined,
): Promise<Moment[]> {
  const { moment, crash } = crashed.at(-1)!;
  const world = worldAfter(moment, crash.choice);
  const moments: Moment[] = [];
  const { scenario, allowed } = moment;
  const { afterRecovery, options = {} } = scenario;
  const onStep = (what: string): void =>
    void moments.push(...momentsAt(world, model!, { scenario, what, allowed }));
  takeBroken();
  try {
    const process = await world.start({
      ...options,
      inlineLimitBytes,
      // Every other one answers before all is durable.
      flushesMax: crash.point % 2 === 0 ? Number.POSITIVE_INFINITY : 0,
      keepsBacklog: false,
      ...(model === undefined ? {} : { onStep }),
    });
    const { blocked, kept } = await process.recover();
    await afterRecovery?.does(process);
    const why = whatIsWrong(world, allowed, afterRecovery === undefined ? [...blocked, ...kept] : kept);
    if (why !== undefined) throw new Error(why);
    process.kill();
    const broken = takeBroken();
    if (broken !== undefined) throw broken;
    return moments;
  } catch (error) {
    // What the monitor has found comes first; what comes of it is of less interest.
    const why = textOf(takeBroken() ?? error);
    const crashes = crashed.map((each) => each.crash);
    throw new Violation(`${crashed.map(describe).join('\nin the recovery from that, ')}\n${why}`, {
      crashes,
      cause: error,
    });
  }
}

function whatIsWrong(
  world: World,
  allowed: readonly string[],
  reported: readonly unknown[],
): string | undefined {
  if (reported.length > 0) return `recovery reports ${JSON.stringify(reported)}`;
  const found = showTree(tree(world.outside));
  if (!allowed.includes(found)) return `found ${found}, expected ${allowed.join(' or ')}`;
  const left = namesBesideHistory(world);
  return left.length > 0 ? `left in the staging areas: ${left.join(', ')}` : historyProblem(world);
}

function describe({ moment, crash: { point, choice } }: Crashed): string {
  const when = `crash point ${point}, ${moment.what}`;
  if (choice === 'killed') return `${when}: killed`;
  return `${when}: the power goes, and of what was pending there is\n${describeChoice(moment.crash.effects, choice)}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
