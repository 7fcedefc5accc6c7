/** A process that says that it is there, and nothing more. */

import { onCommand, say } from '#src/child-process.js';

onCommand(() => process.exit(0));
say({ type: 'there' });
