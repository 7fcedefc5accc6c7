/** Where power is cut in what was recorded, and what must have survived there. */
import type { Random } from '@forewrit/testkit/random';
import type { DeviceEntry } from './device-journal.js';
import type { WorkloadMessage } from './workload-child.js';

export interface Cut {
  /** So many entries of the journal came before it. */
  readonly position: number;
  readonly oldest: number;
  readonly newest: number;
}

/**
 * In the order of time, from the first entry after `fromMs` on. Half of them come right before a flush, when most is
 * pending; the others anywhere.
 */
export function chooseCuts(
  entries: readonly DeviceEntry[],
  { fromMs, count, random }: { fromMs: number; count: number; random: Random },
): number[] {
  const positions = entries.flatMap(({ atMs }, index) => (atMs >= fromMs && index > 0 ? [index] : []));
  const beforeFlush = positions.filter((position) => entries[position]!.type === 'flush');
  if (beforeFlush.length === 0) throw new Error('nothing was flushed: there is nothing to cut');
  const cuts = Array.from({ length: count }, () => random.pick(random.chance(0.5) ? beforeFlush : positions));
  return cuts.sort((one, other) => one - other);
}

/** What was acknowledged before the last entry that was before the cut, was so before the cut. */
export function cutAt(
  position: number,
  entries: readonly DeviceEntry[],
  messages: readonly WorkloadMessage[],
): Cut {
  const { atMs } = entries[position - 1]!;
  const newest = (type: 'begun' | 'saved', beforeMs: number): number =>
    messages.reduce(
      (version, message) =>
        message.type === type && message.atMs <= beforeMs ? Math.max(version, message.version) : version,
      0,
    );
  return { position, oldest: newest('saved', atMs), newest: newest('begun', atMs) };
}
