/** What the monitor finds, for searches that go on after it. */

import { isBrokenInvariant } from './monitor.js';

const broken: unknown[] = [];
let isWatching = false;

/**
 * The monitor ends the process where an invariant of the protocol is broken, whoever catches its error. From now on it is
 * kept instead, for `takeBroken`.
 */
export function watchInvariants(): void {
  if (isWatching) return;
  isWatching = true;
  process.on('uncaughtException', (error) => {
    if (isBrokenInvariant(error)) {
      broken.push(error);
      return;
    }
    console.error(error);
    process.exit(1);
  });
}

/** What the monitor has found since it was asked last. */
export function takeBroken(): unknown {
  const [first] = broken;
  broken.length = 0;
  return first;
}
