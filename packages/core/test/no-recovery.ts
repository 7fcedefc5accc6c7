/** Recovery as the tests of core need it: owners that left nothing are forgotten, anything else is refused. */

import { isUnfinished } from '#src/commit/resumable.js';
import { StoreError } from '#src/errors.js';
import { ownerRange } from '#src/record/key.js';
import { emptyRecoveryReport, type Recoverer } from '#src/committer/recoverer.js';
import { deregisterOwner } from '#src/store/store-context.js';

export const noRecovery: Recoverer = {
  recover({ log }, dead) {
    for (const { number } of dead) {
      if (log.view((view) => view.range('log', ownerRange(number))).some(([key]) => isUnfinished(key))) {
        throw new StoreError('ERR_RECOVERY_REQUIRED', 'There is something to recover', { op: 'open' });
      }
      deregisterOwner({ log } as never, number);
    }
    return Promise.resolve({ report: emptyRecoveryReport });
  },
};
