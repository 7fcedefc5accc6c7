/** Runs the test that has to notice a mutant, alone, in a process of its own. */

import { spawn } from 'node:child_process';
import { reportPrefix } from '@forewrit/testkit';
import { changesOf, testFile } from './mutation.js';
import type { Killer, Mutant } from './mutant.js';

/** A mutant that makes its killer hang is noticed as well. */
const killerTimeoutMs = 120_000;

export type Verdict = 'killed' | 'survived';

export interface Run {
  readonly passed: number;
  readonly failed: number;
  readonly hung: boolean;
  readonly output: string;
  readonly durationMs: number;
}

/** Throws if the mutant is none: code that cannot be loaded is noticed by every test, and proves nothing. */
export async function tryMutant(mutant: Mutant): Promise<{ readonly verdict: Verdict; readonly run: Run }> {
  const run = await runKiller(mutant.killer, mutant);
  if (run.hung) return { verdict: 'killed', run };
  // Of an error that a test throws, only the message is shown.
  const isNone = run.passed + run.failed === 0 || /ReferenceError|\bis not defined\b/.test(run.output);
  if (isNone) throw new Error(`the mutant '${mutant.name}' cannot be run:\n${run.output}`);
  return { verdict: run.failed > 0 ? 'killed' : 'survived', run };
}

/** Throws unless the killer passes where there is no mutant. */
export async function checkKiller(killer: Killer): Promise<void> {
  const run = await runKiller(killer);
  if (run.passed === 1 && run.failed === 0 && !run.hung) return;
  throw new Error(`'${killer.test}' of ${killer.file} does not pass without a mutant:\n${run.output}`);
}

export function runKiller({ file, test }: Killer, mutant?: Mutant): Promise<Run> {
  const startedMs = performance.now();
  const {
    FOREWRIT_TEST_SEED: _seed,
    FOREWRIT_CAMPAIGNS: _campaigns,
    FOREWRIT_MODEL_RUNS: _runs,
    FOREWRIT_MODEL_PATH: _path,
    ...inherited
  } = process.env;
  const child = spawn(process.execPath, [testFile(file)], {
    detached: process.platform !== 'win32',
    env: {
      ...inherited,
      FOREWRIT_TEST_ONLY: test,
      // What runs of a changed module is not what runs of the module.
      NODE_V8_COVERAGE: '',
      ...(mutant === undefined
        ? {}
        : {
            FOREWRIT_MUTANT: JSON.stringify(changesOf(mutant)),
            // So that the processes which a test starts have it, too.
            NODE_OPTIONS: `--import=${new URL('load-mutant.js', import.meta.url).href}`,
          }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let hung = false;
  const keep = (text: string): void => {
    output += text;
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const limit = setTimeout(() => {
    hung = true;
    endGroup(child.pid);
  }, killerTimeoutMs);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(limit);
      // A mutant may have lost sight of the processes that it had started.
      endGroup(child.pid);
      resolve({ ...reportIn(output), hung, output, durationMs: performance.now() - startedMs });
    });
  });
}

function reportIn(output: string): Pick<Run, 'passed' | 'failed'> {
  const line = output.split('\n').findLast((each) => each.startsWith(reportPrefix));
  if (line === undefined) return { passed: 0, failed: 0 };
  return JSON.parse(line.slice(reportPrefix.length)) as Pick<Run, 'passed' | 'failed'>;
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
