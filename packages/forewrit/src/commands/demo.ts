/** `forewrit demo`: the main job on real input, beside the way that is usual. */

import type { CommandContext, CommandResult } from '../command.js';
import { type DemoReport, type DemoResult, runDemo } from '../demo/demo.js';
import { type Method, methods, methodTitles } from '../demo/method.js';
import { exitCodes } from '../exit-code.js';
import { counted, formatCount, formatMs } from '../format.js';
import { type Cell, type Colors, table } from '../terminal.js';

export interface DemoCommandOptions {
  readonly kills: number;
  readonly seconds: number;
}

export async function demo(
  { terminal, signal }: CommandContext,
  { kills, seconds }: DemoCommandOptions,
): Promise<CommandResult> {
  const report = await runDemo({
    kills,
    limitMs: seconds * 1000,
    signal,
    progress: (at) => terminal.progress(`${methodTitles[at.method]}: ${at.kills} of ${kills} kills`),
  });
  const { mixedSets, lostSaves } = report.forewrit;
  return {
    exitCode: mixedSets + lostSaves === 0 ? exitCodes.clean : exitCodes.findings,
    json: {
      forewrit: { ...report.forewrit, recovery: report.forewrit.recovery ?? null },
      writeFile: plain(report.writeFile),
    },
    text: () => asText(report, terminal.colors),
  };
}

function plain({ recovery: _none, ...result }: DemoResult): Omit<DemoResult, 'recovery'> {
  return result;
}

function asText(report: DemoReport, colors: Colors): string {
  const row = (title: string, value: (result: DemoResult, method: Method) => Cell): Cell[] => [
    title,
    ...methods.map((method) => value(report[method], method)),
  ];
  const judged = (count: number): Cell => ({
    text: formatCount(count),
    color: count === 0 ? colors.green : colors.red,
  });
  const rows = [
    row('saves acknowledged', ({ acknowledgedSaves }) => formatCount(acknowledgedSaves)),
    row('killed with SIGKILL', ({ kills }) => formatCount(kills)),
    row('mixed sets', ({ mixedSets }) => judged(mixedSets)),
    row('  empty or cut off files in them', ({ tornFiles }) => judged(tornFiles)),
    row('acknowledged saves lost', ({ lostSaves }) => judged(lostSaves)),
    row(
      'open and recover, median',
      ofRecovery(({ medianMs }) => formatMs(medianMs)),
    ),
    row(
      'open and recover, longest',
      ofRecovery(({ maxMs }) => formatMs(maxMs)),
    ),
  ];
  const head = ['four files, saved as a set', ...methods.map((method) => methodTitles[method])];
  const { forewrit } = report;
  const { redone = 0, undone = 0 } = forewrit.recovery ?? {};
  return [
    table(colors, { head, rows, right: [1, 2] }),
    `\nRecovery carried out ${counted(redone, 'committed save')} and swept ${counted(undone, 'save')} that had not been committed.\n`,
    forewrit.mixedSets + forewrit.lostSaves === 0
      ? 'After every kill, Forewrit had one whole set, no older than the last acknowledged save.\n'
      : colors.red('Forewrit mixed or lost a set. That must not happen: please report it.\n'),
  ].join('');
}

function ofRecovery(
  value: (recovery: NonNullable<DemoResult['recovery']>) => string,
): (result: DemoResult) => string {
  return ({ recovery }) => (recovery === undefined ? '-' : value(recovery));
}
