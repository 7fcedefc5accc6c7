/** Faults in recovery and in repairs. */

import { faultSuite } from './fault-suite.js';
import { campaigns } from './unreachable.js';

faultSuite({
  name: 'faults in recovery',
  files: campaigns.recovery,
  run: (campaign, scenario) => campaign.ofRecovery(scenario),
});
