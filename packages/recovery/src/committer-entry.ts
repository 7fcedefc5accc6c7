/** Entry module of the committer's thread. */

import { runCommitterThread } from '@forewrit/core';
import { createRecoverer } from './recovery.js';

void runCommitterThread(createRecoverer());
