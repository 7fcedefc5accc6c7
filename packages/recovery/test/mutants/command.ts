/** The command behind `npm run mutants`: all of them, those that are named, or a sample. */

import { parseArgs } from 'node:util';
import { announceSeed, Random } from '@forewrit/testkit';
import { writeList } from './mutant-list.js';
import type { Mutant } from './mutant.js';
import { mutants } from './mutants.js';
import { runMutants, sampleOf } from './run-mutants.js';

interface Wishes {
  readonly only?: readonly string[] | undefined;
  readonly sample?: string | undefined;
}

function chosen({ only, sample }: Wishes): readonly Mutant[] {
  const unknown = (only ?? []).filter((name) => !mutants.some((mutant) => mutant.name === name));
  if (unknown.length > 0) throw new Error(`there is no mutant ${unknown.join(', ')}`);
  if (only !== undefined) return mutants.filter(({ name }) => only.includes(name));
  if (sample === undefined) return mutants;
  const count = Number(sample);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new Error(`--sample=${sample} is no number of mutants`);
  return sampleOf(count, new Random(announceSeed('mutants')));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      sample: { type: 'string' },
      'write-list': { type: 'boolean' },
    },
  });
  if (values['write-list'] === true) {
    writeList();
    return;
  }
  const wanted = chosen(values);
  const { survivors } = await runMutants(wanted);
  console.log(`\n${wanted.length - survivors.length} of ${wanted.length} killed`);
  if (survivors.length === 0) return;
  console.log(`survived: ${survivors.join(', ')}`);
  process.exitCode = 1;
}

void main();
