/** Faults while a store is opened, saves, and makes checkpoints. */

import { faultSuite } from './fault-suite.js';

faultSuite({
  name: 'faults at work',
  files: /^core\/(?:commit|files|path|plan)\//,
  run: (campaign, scenario) => campaign.ofWork(scenario),
});
