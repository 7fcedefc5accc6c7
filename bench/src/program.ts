/** `npm run bench`: what it understands, and what it does with it. `main.ts` gives it a process. */

import fs from 'node:fs';
import path from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { addResults, requireSame } from './add-results.js';
import { type BenchOptions, runBench } from './bench-run.js';
import { compare, parseResults } from './compare.js';
import { describeEnvironment } from './environment.js';
import { type PlaceName, placeNames } from './places.js';
import { comparisonAsText, resultsAsText } from './report/text.js';
import type { Results } from './results.js';
import { saveResults } from './save-results.js';
import { scenarios } from './scenarios/index.js';
import type { Terminal } from './terminal.js';

export const exitCodes = { clean: 0, findings: 1, usage: 2, interrupted: 130 } as const;

/** Where results of a part go. */
const partOut = '.bench/results';

export interface Run {
  readonly args: readonly string[];
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  /** The top of the workspace. */
  readonly workspace: string;
}

interface Options {
  readonly runs?: number;
  readonly on?: readonly PlaceName[];
  readonly quick: boolean;
  readonly check: boolean;
  readonly compare?: Results;
  readonly seed?: number;
  readonly peers: boolean;
  readonly directory: string;
  readonly out?: string;
  readonly add: boolean;
  readonly json: boolean;
}

export async function runProgram(run: Run): Promise<number> {
  const { terminal, signal } = run;
  let asked: { readonly names: readonly string[]; readonly options: Options } | undefined;
  const command = commandOf(run, (names, options) => {
    asked = { names, options };
  });
  try {
    command.parse([...run.args], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.clean : exitCodes.usage;
    throw error;
  }
  try {
    return await bench(run, asked!.names, asked!.options);
  } catch (error) {
    if (signal.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    terminal.progress('');
  }
}

function commandOf(
  { terminal, workspace }: Run,
  action: (names: readonly string[], options: Options) => void,
): Command {
  const list = scenarios.map(({ name, title }) => `  ${name.padEnd(9)} ${title}`).join('\n');
  const command: Command = new Command('npm run bench --')
    .description('Measures Forewrit, beside what else saves files from Node.js.')
    .argument('[scenarios...]', 'which to measure; by default all', undefined)
    .option('--runs <n>', 'processes for each scenario, whose medians are compared', wholeNumber(1, 100))
    .addOption(
      new Option(
        '--on <places...>',
        'where: plain is the disk of this directory; ext4 and xfs are made for it, as root',
      ).choices(placeNames),
    )
    .option('--quick', 'only see that everything works: the figures mean nothing', false)
    .addOption(
      new Option('--check', 'exit with 1 if a limit is missed, and name it')
        .default(false)
        .conflicts('quick'),
    )
    .option('--compare <file>', 'show what became slower since these results, beyond noise', readResults)
    .option('--seed <n>', 'of the order in which contenders take turns', wholeNumber(0, 2 ** 32 - 1))
    .option('--no-peers', 'leave other packages out, and install nothing')
    .option('--directory <dir>', 'where to measure', path.join(workspace, '.bench'))
    .option(
      '--out <dir>',
      'where the results go; by default bench/results if all was measured, else .bench/results',
    )
    .addOption(
      new Option('--add', 'keep what is there of other scenarios, if it is of the same code and machine')
        .default(false)
        .conflicts('quick'),
    )
    .option('--json', 'print the results as JSON', false)
    .addHelpText('after', `\nScenarios:\n${list}\n`)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.write(text),
      writeErr: (text) => terminal.say(text.trimEnd()),
    });
  return command.action((names: readonly string[]) => {
    const unknown = names.find((name) => !scenarios.some((each) => each.name === name));
    if (unknown !== undefined) command.error(`error: there is no scenario '${unknown}'`);
    action(names, command.opts<Options>());
  });
}

async function bench(
  { terminal, signal, workspace }: Run,
  names: readonly string[],
  options: Options,
): Promise<number> {
  const { quick, seed = Date.now() % 2 ** 32, peers, directory, runs, on } = options;
  const chosen: BenchOptions = {
    scenarios: names.length === 0 ? scenarios : scenarios.filter(({ name }) => names.includes(name)),
    quick,
    seed,
    peers,
    directory: path.resolve(directory),
    terminal,
    signal,
    ...(runs === undefined ? {} : { runs }),
    ...(on === undefined ? {} : { places: on }),
  };
  const earlier = options.add ? earlierResults(options.out ?? path.join(workspace, partOut)) : undefined;
  if (earlier !== undefined) requireSame(earlier, describeEnvironment());
  const measured = await runBench(chosen);
  const out =
    options.out ?? (options.add ? path.join(workspace, partOut) : defaultOut(workspace, chosen, measured));
  fs.mkdirSync(out, { recursive: true });
  const results = earlier === undefined ? measured : addResults(earlier, measured);
  await saveResults(path.resolve(out), results);
  if (options.json) terminal.write(`${JSON.stringify(results, undefined, 2)}\n`);
  else {
    terminal.write(resultsAsText(results));
    if (options.compare !== undefined)
      terminal.write(`\n${comparisonAsText(compare(options.compare, results))}`);
    terminal.write(
      `\nSaved in ${path.relative(process.cwd(), out) || '.'}: latest.json, latest.md and plots.\n`,
    );
  }
  return exitCodeOf(results, options.check);
}

/** What takes the place of the published figures is all of them, and nothing less. */
function defaultOut(
  workspace: string,
  { scenarios: chosen, quick, places }: BenchOptions,
  results: Results,
): string {
  const isAll =
    chosen.length === scenarios.length && places === undefined && !quick && results.failures.length === 0;
  return path.join(workspace, isAll ? 'bench/results' : partOut);
}

function earlierResults(directory: string): Results | undefined {
  const file = path.join(directory, 'latest.json');
  return fs.existsSync(file) ? readResults(file) : undefined;
}

export function exitCodeOf(
  { series, failures, verdicts }: Pick<Results, 'series' | 'failures' | 'verdicts'>,
  check: boolean,
): number {
  const isMissed = check && verdicts.some(({ status }) => status === 'missed');
  // Where no place could be had nothing was measured, and nothing is clean.
  const isSound = series.length > 0 && failures.length === 0;
  return isSound && !isMissed ? exitCodes.clean : exitCodes.findings;
}

function readResults(file: string): Results {
  try {
    return parseResults(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}
