/**
 * The suite of the fault campaign, in two files for two processes. Each call path is met once; with `FOREWRIT_FAULTS=sites`
 * in scenarios for what is seldom called as well, and every call site must have been met; with `FOREWRIT_FAULTS=all` at
 * every single call.
 */

import { announceSeed, assert, suite } from '@forewrit/testkit';
import { ordinaryScenarios, scenarios } from '../crash/scenarios.js';
import { callSites } from './call-sites.js';
import { FaultCampaign } from './fault-campaign.js';
import { faultScenarios } from './fault-scenarios.js';
import { unreachable } from './unreachable.js';

export interface FaultSuite {
  readonly name: string;
  /** Whose calls are met here. */
  readonly files: RegExp;
  readonly run: (campaign: FaultCampaign, scenario: (typeof scenarios)[number]) => Promise<void>;
}

export function faultSuite({ name, files, run }: FaultSuite): void {
  const test = suite(name, { timeoutMs: 600_000 });
  const seed = announceSeed(name);
  const asked = process.env['FOREWRIT_FAULTS'];
  const everything = asked === 'all';
  const allSites = everything || asked === 'sites';
  const campaign = new FaultCampaign({ seed, everything });
  const sites = callSites((file) => files.test(file)).filter(({ place, text }) => {
    const file = place.slice(0, place.indexOf(':'));
    return !unreachable.some((each) => each.file === file && text.includes(each.text));
  });

  for (const scenario of allSites ? [...scenarios, ...faultScenarios] : ordinaryScenarios) {
    test(`a fault at every call of: ${scenario.name}`, () => run(campaign, scenario));
  }

  // Only where all of it has run.
  if (process.env['FOREWRIT_TEST_ONLY'] === undefined && allSites) {
    test('every call site has failed in every way, or is known for why it cannot', () => {
      assert.equal(campaign.tally.missing(sites), []);
    });
    test('what is said to be out of reach is there', () => {
      const all = callSites(() => true);
      for (const { file, text } of unreachable) {
        const isThere = all.some((site) => site.place.startsWith(`${file}:`) && site.text.includes(text));
        assert.ok(isThere, `${file}: ${text}`);
      }
    });
  }

  test.after(() => console.log(`\n${campaign.tally.table(sites)}`));
  test.run();
}
