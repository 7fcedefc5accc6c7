/** Everything that is measured, in this order. A scenario is one file beside this one, and has its line here. */

import type { Scenario } from '../scenario.js';
import { cleanup } from './cleanup.js';
import { growth } from './growth.js';
import { large } from './large.js';
import { memory } from './memory.js';
import { open } from './open.js';
import { read } from './read.js';
import { save } from './save.js';
import { tasks } from './tasks.js';
import { wide } from './wide.js';
import { writers } from './writers.js';

export const scenarios: readonly Scenario[] = [
  save,
  writers,
  wide,
  large,
  read,
  open,
  tasks,
  cleanup,
  memory,
  growth,
];
