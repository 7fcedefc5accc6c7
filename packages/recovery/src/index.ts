/** The whole surface of `@forewrit/recovery`. */

export { createRecoverer } from './recovery.js';
export { decide, type Decision, decisionTable, type Observation } from './decision.js';
export { openStore } from './open.js';
export {
  inspect,
  type InspectedHistory,
  type InspectedOwner,
  type InspectedPath,
  type InspectedProblem,
  type InspectedTransaction,
  type Inspection,
  type InspectOptions,
} from './inspect.js';
export { check, type CheckOptions, type CheckReport } from './check/check.js';
export { explain, type ExplainOptions, type Explanation } from './check/explain.js';
export { type Finding, type FindingCode, findingKinds, type Remedy, type Severity } from './check/finding.js';
export { accept, type AcceptReport } from './mend/accept.js';
export { discardStaged, type DiscardReport } from './mend/discard.js';
export { recover, type RecoverReport } from './mend/recover.js';
export { resetLog, type ResetOptions, type ResetReport } from './mend/reset-log.js';
export { followLog } from './follow.js';
export { repair, type RepairDirection, type RepairReport } from './repair.js';
export { verify } from './verify.js';
