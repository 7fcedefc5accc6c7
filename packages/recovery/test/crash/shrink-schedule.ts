/** Repeats a schedule, and makes one that fails as small as can be. */

import { distinctChoices, Random } from '@forewrit/testkit';
import { shrinkItems, shrinkNumbers } from '../shrink.js';
import { enumerate } from './enumeration.js';
import { type Crashed, recordOrViolate, recoverAndJudge } from './judgement.js';
import { placesOf, type Schedule, scenarioNamed, withoutPlaces } from './schedule.js';
import { watchInvariants } from '../broken-invariants.js';
import { Violation } from './violation.js';

/** To find a failure of a scenario that was made smaller: at another moment, of other survivors. */
const choicesOfPoint = 100;
const depth = 2;
const triesMax = 60;

/** Whether directories have times: torture does without. */
export interface ScheduleOptions {
  readonly directoryTimes: boolean;
}

/** What is wrong after these crashes, if anything is. */
export async function repeat(schedule: Schedule, options: ScheduleOptions): Promise<Violation | undefined> {
  const { scenario, without, model, crashes } = schedule;
  watchInvariants();
  const crashed: Crashed[] = [];
  try {
    let moments = await recordOrViolate(withoutPlaces(scenarioNamed(scenario), without), {
      model,
      ...options,
    });
    for (const [index, crash] of crashes.entries()) {
      const moment = moments[crash.point];
      if (moment === undefined)
        throw new Error(`there are ${moments.length} crash points, none is ${crash.point}`);
      crashed.push({ moment, crash });
      moments = await recoverAndJudge(crashed, index + 1 < crashes.length ? model : undefined);
    }
    return undefined;
  } catch (error) {
    if (error instanceof Violation) return error;
    throw error;
  }
}

/**
 * Operations go that are not needed, where some failure is left without them; then survivors go, or are whole instead
 * of torn, in the last crash first.
 */
export async function shrinkSchedule(schedule: Schedule, options: ScheduleOptions): Promise<Schedule> {
  // It fails as it is, and what else fails without a crash may be only impossible.
  if (schedule.crashes.length === 0) return schedule;
  const smaller = await withoutOperations(schedule, options);
  return withFewerSurvivors(smaller, options);
}

async function withoutOperations(schedule: Schedule, options: ScheduleOptions): Promise<Schedule> {
  let best = schedule;
  const scenario = scenarioNamed(schedule.scenario);
  const all = placesOf(scenario);
  const needed = all.filter((place) => !schedule.without.includes(place));
  await shrinkItems(
    needed,
    async (places) => {
      const without = all.filter((place) => !places.includes(place));
      const crashes = await findViolation({ ...best, without }, options);
      if (crashes === undefined) return false;
      best = { ...best, without, crashes };
      return true;
    },
    { triesMax },
  );
  return best;
}

/** Crashes in recovery are looked for where there was one, and then everywhere. */
async function findViolation(
  { scenario, without, model, crashes }: Schedule,
  options: ScheduleOptions,
): Promise<Schedule['crashes'] | undefined> {
  watchInvariants();
  try {
    await enumerate(
      withoutPlaces(scenarioNamed(scenario), without),
      {
        model,
        ...options,
        random: new Random(0),
        choices: (effects) => distinctChoices(effects, { first: 0, end: choicesOfPoint }),
        nestedShare: crashes.length > 1 ? 0.05 : 0,
        depth,
      },
      { states: 0, nested: 0, recovered: 0, points: 0 },
    );
    return undefined;
  } catch (error) {
    // What is left of the scenario may be impossible: that is no failure.
    return error instanceof Violation && error.crashes.length > 0 ? error.crashes : undefined;
  }
}

async function withFewerSurvivors(schedule: Schedule, options: ScheduleOptions): Promise<Schedule> {
  let best = schedule;
  for (let level = schedule.crashes.length - 1; level >= 0; level -= 1) {
    const { point, choice } = schedule.crashes[level]!;
    if (choice === 'killed') continue;
    const fewer = await shrinkNumbers(
      choice,
      // 0 is lost and 1 whole; of operations in order, fewer are simpler.
      (_, outcome) => Array.from({ length: outcome }, (__, simpler) => simpler),
      async (candidate) => {
        const crashes = best.crashes.with(level, { point, choice: candidate });
        return await stillFails({ ...best, crashes }, options);
      },
    );
    best = { ...best, crashes: best.crashes.with(level, { point, choice: fewer }) };
  }
  return best;
}

async function stillFails(schedule: Schedule, options: ScheduleOptions): Promise<boolean> {
  try {
    return (await repeat(schedule, options)) !== undefined;
  } catch {
    // The recovery from other survivors may not come to the moment of the next crash.
    return false;
  }
}
