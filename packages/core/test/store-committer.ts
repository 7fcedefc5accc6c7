/** Entry module of the committer's thread in the tests of core, which know no recovery. */

import { runCommitterThread } from '#src/committer/committer-thread.js';
import { noRecovery } from './no-recovery.js';

void runCommitterThread(noRecovery);
