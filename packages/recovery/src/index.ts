/** The whole surface of `@forewrit/recovery`. */

export { createRecoverer } from './recovery.js';
export { decide, type Decision, decisionTable, type Observation } from './decision.js';
export { openStore } from './open.js';
export {
  inspect,
  type InspectedOwner,
  type InspectedPath,
  type InspectedProblem,
  type InspectedTransaction,
  type Inspection,
  type InspectOptions,
} from './inspect.js';
export { repair, type RepairDirection, type RepairReport } from './repair.js';
export { verify } from './verify.js';
