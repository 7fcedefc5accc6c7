/**
 * The suite of the fault campaign, in two files for two processes. Each call path is met once, and every call site must have
 * been met; with `FOREWRIT_FAULTS=all` every single call is.
 */

import { announceSeed, assert, suite } from '@forewrit/testkit';
import { scenarios } from '../crash/scenarios.js';
import { callSites } from './call-sites.js';
import { FaultCampaign } from './fault-campaign.js';
import type { FaultScenario } from './fault-scenario.js';
import { faultScenarios } from './fault-scenarios.js';
import { reachableOf } from './unreachable.js';

export interface FaultSuite {
  readonly name: string;
  /** Whose calls are met here. */
  readonly files: RegExp;
  readonly run: (campaign: FaultCampaign, scenario: FaultScenario) => Promise<void>;
}

export function faultSuite({ name, files, run }: FaultSuite): void {
  const seed = announceSeed(name);
  const everything = process.env['FOREWRIT_FAULTS'] === 'all';
  const test = suite(name, { timeoutMs: everything ? 24 * 3600_000 : 600_000 });
  const campaign = new FaultCampaign({ seed, everything });
  const sites = reachableOf(callSites((file) => files.test(file)));

  for (const scenario of [...scenarios, ...faultScenarios]) {
    test(`a fault at every call of: ${scenario.name}`, () => run(campaign, scenario));
  }

  // Only where all of it has run.
  if (process.env['FOREWRIT_TEST_ONLY'] === undefined) {
    test('every call site has failed in every way, or is known for why it cannot', () => {
      assert.equal(campaign.tally.missing(sites), []);
    });
  }

  test.after(() => console.log(`\n${campaign.tally.table(sites)}`));
  test.run();
}
