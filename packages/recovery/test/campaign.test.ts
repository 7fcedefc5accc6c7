import { suite } from '@forewrit/testkit';
import { runCampaign, runCampaignOfTwo, runCampaignWithEdits, stats } from './campaign.js';

const test = suite('campaign');
const first = Number(process.env['SEED'] ?? 1);
const count = Number(process.env['COUNT'] ?? 200);

for (const directories of [false, true]) {
  for (const powerCuts of [0, 0.5]) {
    test(`deaths${powerCuts > 0 ? ' and power cuts' : ''}, ${directories ? 'directories too' : 'files'}`, async () => {
      const failures: string[] = [];
      for (let seed = first; seed < first + count; seed += 1) {
        try {
          await runCampaign(seed, { model: 'weakest', directories, powerCuts });
        } catch (error) {
          failures.push(error instanceof Error ? error.message : String(error));
        }
      }
      console.log(JSON.stringify(stats));
      if (failures.length > 0) throw new Error(`${failures.length} of ${count} failed; the first: ${failures[0]}`);
    }, { timeoutMs: 600_000 });
  }
}

for (const directories of [false, true]) {
  test(`two processes, ${directories ? 'directories too' : 'files'}`, async () => {
    const failures: string[] = [];
    for (let seed = first; seed < first + count; seed += 1) {
      try {
        await runCampaignOfTwo(seed, { model: 'weakest', directories, powerCuts: 0.5 });
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (failures.length > 0) throw new Error(`${failures.length} of ${count} failed; the first: ${failures[0]}`);
  }, { timeoutMs: 600_000 });
}

for (const directories of [false, true]) {
  test(`outside edits, ${directories ? 'directories too' : 'files'}`, async () => {
    const failures: string[] = [];
    for (let seed = first; seed < first + count; seed += 1) {
      try {
        await runCampaignWithEdits(seed, { model: 'weakest', directories, powerCuts: 0.5 });
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (failures.length > 0) throw new Error(`${failures.length} of ${count} failed; the first: ${failures[0]}`);
  }, { timeoutMs: 600_000 });
}

for (const powerCuts of [0, 0.5]) {
  test(`failures of the file system, deaths${powerCuts > 0 ? ' and power cuts' : ''}`, async () => {
    const failures: string[] = [];
    for (let seed = first; seed < first + count; seed += 1) {
      try {
        await runCampaign(seed, { model: 'weakest', directories: true, powerCuts, failures: 0.9 });
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (failures.length > 0) throw new Error(`${failures.length} of ${count} failed; the first: ${failures[0]}`);
  }, { timeoutMs: 600_000 });
}

test.run();
