/** A scenario of the fault campaign: what those of the crash enumeration have, and what only faults lead to. */

import type { Fault, FileSystemCall } from '@forewrit/testkit';
import type { Scenario } from '../crash/scenarios.js';
import type { World } from '../world.js';

export interface FaultScenario extends Scenario {
  /** What the file systems are like, for whoever uses them, in recovery too. */
  readonly everywhere?: readonly Fault[];
  /** Somebody else, before a call of a process that recovers. */
  readonly meddlesInRecovery?: (call: FileSystemCall, world: World) => void;
}
