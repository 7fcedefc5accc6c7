/** Faults in recovery and in repairs. */

import { faultSuite } from './fault-suite.js';

faultSuite({
  name: 'faults in recovery',
  files: /^recovery\/(?!inspect|verify)/,
  run: (campaign, scenario) => campaign.ofRecovery(scenario),
});
