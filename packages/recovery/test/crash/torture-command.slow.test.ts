/** `npm run torture` as a process: what it finds where the protocol is broken, and what it keeps. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { changesOf } from '../mutants/mutation.js';
import { mutants } from '../mutants/mutants.js';

const test = suite('the torture command', { timeoutMs: 300_000 });
const script = fileURLToPath(new URL('torture.js', import.meta.url));
/** Torn content in a target is taken for somebody's, so that recovery leaves it there. */
const mutantName = 'row-13-kept';

interface Summary {
  readonly states: number;
  readonly violations: readonly { readonly message: string; readonly command: string }[];
  readonly runs: readonly { readonly states: number; readonly seconds: number }[];
  readonly scenarios: readonly { readonly states: number; readonly available: string }[];
}

function torture(args: readonly string[], broken: boolean): { code: number | null; output: string } {
  const mutant = mutants.find(({ name }) => name === mutantName)!;
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    encoding: 'utf8',
    env: broken
      ? {
          ...process.env,
          FOREWRIT_MUTANT: JSON.stringify(changesOf(mutant)),
          NODE_OPTIONS: `--import=${new URL('../mutants/load-mutant.js', import.meta.url).href}`,
        }
      : process.env,
  });
  return { code: status, output: `${stdout}${stderr}` };
}

function summaryIn(directory: string): Summary {
  return JSON.parse(readFileSync(`${directory}/summary.json`, 'utf8')) as Summary;
}

/** The words of a command line after `--`, as a shell takes them apart. */
function wordsOf(command: string): string[] {
  const [, line = ''] = command.split(' -- ');
  return Array.from(line.matchAll(/'([^']*)'|(\S+)/g), ([, quoted, plain]) => quoted ?? plain!);
}

test('a violation is made small, and told with a command that repeats it', () => {
  using directory = temporaryDirectory('torture');
  const args = ['--minutes', '0.02', '--directory', directory.path, '--scenario', 'replace twice'];
  const { code, output } = torture([...args, '--model', 'weakest'], true);
  assert.is(code, 1);
  const [violation] = summaryIn(directory.path).violations;
  assert.ok(output.includes(violation!.command));
  // One write is enough: into the directory of the store, not flushed.
  assert.ok(violation!.command.includes('--without before.0.0'), violation!.command);
  assert.ok(/--crash \d+:[01.]+$/.test(violation!.command), violation!.command);
  const survivors = violation!.message.split('\n').filter((line) => line.endsWith(': whole'));
  assert.is(survivors.length, 1, violation!.message);
  const again = torture(wordsOf(violation!.command), true);
  assert.is(again.code, 1);
  assert.ok(again.output.includes(violation!.message.split('\n')[1]!), again.output);
  const sound = torture(wordsOf(violation!.command), false);
  assert.is(sound.code, 0);
});

test('runs that go on with one state count together, and nothing twice', () => {
  using directory = temporaryDirectory('torture');
  const args = ['--minutes', '0.02', '--directory', directory.path, '--scenario', 'swap directories'];
  assert.is(torture([...args, '--model', 'strict'], false).code, 0);
  const first = summaryIn(directory.path);
  assert.is(first.states, Number(first.scenarios[0]!.available));
  assert.is(torture([...args, '--resume'], false).code, 0);
  const both = summaryIn(directory.path);
  assert.is(both.runs.length, 2);
  assert.is(both.runs[0]!.states + both.runs[1]!.states, both.states);
  assert.is(both.scenarios[0]!.states, first.states);
});

test('what it does not know it refuses', () => {
  for (const args of [
    ['--model', 'strongest'],
    ['--campaign', 'none'],
    ['--minutes', 'many'],
    ['--scenario', 'nowhere', '--crash', '1:0'],
  ]) {
    assert.is(torture(args, false).code, 1, args.join(' '));
  }
});

test.run();
