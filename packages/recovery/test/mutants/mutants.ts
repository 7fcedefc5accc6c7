/**
 * Breaks of the protocol, one at a time, and for each the test that notices. If a rule can be broken and every test
 * passes, the rule is needless or a test is missing; so each step, flush and guard has its mutant here.
 *
 * A mutant finds its place by a piece of the compiled code (`dist/*.js`), in whatever file of its package that is.
 * Whoever changes such a line changes the mutant with it: `mutants.test.ts` says which.
 */

import { applyMutants } from './apply-mutants.js';
import { checkpointMutants } from './checkpoint-mutants.js';
import { commitMutants } from './commit-mutants.js';
import { completionMutants } from './completion-mutants.js';
import { decisionMutants } from './decision-mutants.js';
import { deferredMutants } from './deferred-mutants.js';
import { logMutants } from './log-mutants.js';
import { historyMutants } from './history-mutants.js';
import type { Mutant } from './mutant.js';
import { planMutants } from './plan-mutants.js';
import { redoMutants } from './redo-mutants.js';
import { stagingMutants } from './staging-mutants.js';

/** In the order of a transaction: from its plan to the end of its recovery. */
export const mutants: readonly Mutant[] = [
  ...planMutants,
  ...commitMutants,
  ...applyMutants,
  ...checkpointMutants,
  ...logMutants,
  ...decisionMutants,
  ...redoMutants,
  ...completionMutants,
  ...deferredMutants,
  ...stagingMutants,
  ...historyMutants,
];
