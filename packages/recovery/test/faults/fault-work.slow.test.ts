/** Faults while a store is opened, saves, and makes checkpoints. */

import { faultSuite } from './fault-suite.js';
import { campaigns } from './unreachable.js';

faultSuite({
  name: 'faults at work',
  files: campaigns.work,
  run: (campaign, scenario) => campaign.ofWork(scenario),
});
