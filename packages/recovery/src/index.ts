/** The whole surface of `@forewrit/recovery`. */

export { createRecoverer } from './recovery.js';
export { decide, type Decision, type Observation, rows } from './decision.js';
export { openStore } from './open.js';
