/** What comes out of one run of a scenario: samples, by case, contender and what was measured of it. */

export type Unit = 'ms' | 'MiB' | 'probes';

export interface Series {
  /** The situation: '64 writers, sets of their own'. */
  readonly case: string;
  readonly contender: string;
  /** Of the contender in that situation: 'time', 'memory', 'event-loop delay'. */
  readonly measure: string;
  /** Less is better, whatever the unit. */
  readonly unit: Unit;
  /** In the order of the rounds: the same place in two series of a case is the same round. */
  readonly samples: readonly number[];
  /** Where a plot puts it, if the cases are along an axis. */
  readonly x?: number;
}

export interface RunOfScenario {
  readonly series: readonly Series[];
  /** Contenders that could not take part, and why. */
  readonly missing: Readonly<Record<string, string>>;
  /** What the run was on, as the process that measured saw it. */
  readonly fileSystem: string;
}

/** Its median is that of a loop with nothing to do: only its tail says something. */
export const eventLoopDelay = 'event-loop delay';

/** The flush of one page of a file that is there already: the unit that disks are compared in. */
export const probeContender = 'probe';
/** Who all others are compared with. */
export const reference = 'forewrit';
