import { announceSeed, suite } from '@forewrit/testkit';
import * as fc from 'fast-check';
import { programs } from './arbitraries.js';
import type { Dangers, Program } from './program.js';
import { runProgram } from './run.js';
import type { Tally } from './scene.js';
import { inWords } from './words.js';

/** More of them, for a long night: FOREWRIT_MODEL_RUNS=100000. */
const runs = Number(process.env['FOREWRIT_MODEL_RUNS'] ?? 300);
/** One of them again, as its failure has told: with FOREWRIT_TEST_SEED and FOREWRIT_TEST_ONLY. */
const path = process.env['FOREWRIT_MODEL_PATH'];
const seed = announceSeed('model');
/** A program that shows a mutant need not be short. */
const isMutated = process.env['FOREWRIT_MUTANT'] !== undefined;

const test = suite('model', { timeoutMs: 24 * 3600_000 });

const dangers: Readonly<Record<string, Dangers>> = {
  'deaths and power cuts': { edits: false, faults: false },
  'failures of the file system': { edits: false, faults: true },
  'edits by other programs': { edits: true, faults: false },
  'edits and failures': { edits: true, faults: true },
};

for (const [name, danger] of Object.entries(dangers)) {
  test(name, () => check(name, danger));
}

async function check(name: string, danger: Dangers): Promise<void> {
  const tally: Tally = new Map();
  const property = fc.asyncProperty(programs(danger), (program: Program) => runProgram(program, tally));
  const outcome = await fc.check(property, {
    seed,
    numRuns: runs,
    endOnFailure: isMutated,
    ...(path === undefined ? {} : { path }),
  });
  if (process.env['FOREWRIT_TEST_VERBOSE']) console.log(name, Object.fromEntries(tally));
  if (!outcome.failed) return;
  const program = outcome.counterexample?.[0];
  const again = `FOREWRIT_TEST_SEED=${seed} FOREWRIT_MODEL_PATH=${outcome.counterexamplePath} FOREWRIT_TEST_ONLY='${name}'`;
  throw new Error(
    `${again}\nafter ${outcome.numRuns} programs, ${outcome.numShrinks} times shortened:\n` +
      `${program === undefined ? '' : inWords(program)}\n\n${String(outcome.errorInstance)}`,
  );
}

test.run();
