/** Where a scenario begins, and the moments that it goes through. */

import { type CrashPoint, type PersistenceModel, SimulatedDisk } from '@forewrit/testkit';
import type { Tree } from '../campaign-model.js';
import { flushing, World } from '../world.js';
import type { Scenario } from './scenarios.js';

export const inlineLimitBytes = 24;

/** The store as it is before the first step, with all of it durable and nobody at work. */
export async function prepared(
  { before, disk, prepare }: Scenario,
  options: { readonly directoryTimes?: boolean } = {},
): Promise<World> {
  const world = new World(disk?.(options) ?? new SimulatedDisk(options));
  const preparing = await world.open({ inlineLimitBytes });
  for (const operations of before) preparing.commit(...operations);
  preparing.checkpoint();
  preparing.kill();
  world.disk.settle();
  // Long ago: what is that young is looked at more closely, and all runs of a scenario have one clock.
  world.disk.clock.advance(1000);
  if (prepare === undefined) return world;
  const ready = await prepare(world);
  ready.disk.settle();
  return ready;
}

/** A moment at which a process may die, or the power go. */
export interface Moment {
  readonly what: string;
  readonly crash: CrashPoint<SimulatedDisk>;
  readonly death: World;
  /** What the tree may be afterwards: as the last acknowledged transaction left it, or the one under way. */
  readonly allowed: readonly Tree[];
  /**
   * A flush has failed a moment ago, and the process dies before it can note that. Whoever comes next on the same boot
   * has no way to know, and flushes pages that are marked clean.
   */
  readonly flushInDoubt?: boolean;
}

/** What a crash at this step leaves. A batch of the log that is being flushed is there afterwards, or it is not: two of them. */
export function crashesAt(
  world: World,
  model: PersistenceModel,
  what: string,
): Pick<Moment, 'what' | 'crash' | 'death'>[] {
  const crash = world.disk.crashPoint(model);
  if (!what.endsWith(flushing)) return [{ what, crash, death: world.fork() }];
  return (['lost', 'kept'] as const).map((unflushed) => ({
    what: `${what}, and ${unflushed}`,
    crash,
    death: world.fork({ unflushed }),
  }));
}
