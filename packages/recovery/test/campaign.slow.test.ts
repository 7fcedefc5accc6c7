import { announceSeed, persistenceModels, suite } from '@forewrit/testkit';
import { runAndShrink } from './campaign-shrink.js';
import { type CampaignOptions, runCampaign, runCampaignOfTwo, runCampaignWithEdits } from './campaign.js';

/** More of them, for a long night: FOREWRIT_CAMPAIGNS=100000. */
const count = Number(process.env['FOREWRIT_CAMPAIGNS'] ?? 100);
const seed = announceSeed('campaigns');

const test = suite('campaigns', { timeoutMs: 24 * 3600_000 });

const campaigns = {
  'one process after another': { run: runCampaign, powerCuts: 0.5 },
  'deaths without power cuts': { run: runCampaign, powerCuts: 0 },
  'failures of the file system': { run: runCampaign, powerCuts: 0.3, failures: 0.9 },
  'two processes at once': { run: runCampaignOfTwo, powerCuts: 0.5 },
  'edits from outside': { run: runCampaignWithEdits, powerCuts: 0.5 },
} as const;

for (const [name, { run, ...options }] of Object.entries(campaigns)) {
  for (const directories of [false, true]) {
    test(`${name}, ${directories ? 'with directories' : 'files alone'}`, () =>
      runAll(run, { directories, ...options }));
  }
}

async function runAll(
  run: (seed: number, options: CampaignOptions) => Promise<void>,
  options: Omit<CampaignOptions, 'model'>,
): Promise<void> {
  for (const model of persistenceModels) {
    // The weakest model is the one that counts; the others are a check of it.
    const campaigns = model === 'weakest' ? count : Math.ceil(count / 10);
    for (let index = 0; index < campaigns; index += 1) {
      const own = (seed + index) >>> 0;
      await runAndShrink(own, (random) => run(own, { model, ...options, random }));
    }
  }
}

test.run();
