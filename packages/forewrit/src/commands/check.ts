/** `forewrit check`: everything that is wrong with a store, what it means, and the command that mends it. Reads only. */

import { check as checkStore, type CheckReport, type Finding } from '@forewrit/recovery';
import type { CommandContext, CommandResult, Json } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { counted } from '../format.js';
import { remedyAsJson, remedyAsText } from '../remedy-report.js';
import { type Colors, printable } from '../terminal.js';

/** Of findings of one kind, shown to people. */
const alikeMax = 20;

export interface CheckCommandOptions {
  readonly readData: boolean;
}

export async function check(
  { root, terminal, signal }: CommandContext,
  { readData }: CheckCommandOptions,
): Promise<CommandResult> {
  terminal.progress('looking at the log');
  const report = await checkStore(root, {
    readData,
    signal,
    onProgress: (done, total) => terminal.progress(`reading: ${done} of ${counted(total, 'file')}`),
    onHistoryProgress: (done, total) =>
      terminal.progress(`looking at history: ${done} of ${counted(total, 'transaction')}`),
  });
  return {
    exitCode: report.clean ? exitCodes.clean : exitCodes.findings,
    json: {
      root: report.root,
      clean: report.clean,
      files: report.files,
      findings: report.findings.map(findingAsJson),
    },
    text: () => asText(report, terminal.colors),
  };
}

export function findingAsJson({
  code,
  severity,
  path,
  transaction,
  message,
  meaning,
  remedy,
}: Finding): Json {
  return {
    code,
    severity,
    path: path ?? null,
    transaction: transaction ?? null,
    message,
    meaning,
    remedy: remedyAsJson(remedy),
  };
}

function asText({ findings, clean, files }: CheckReport, colors: Colors): string {
  const counts = new Map<string, number>();
  const said = findings.flatMap((finding) => {
    const count = (counts.get(finding.code) ?? 0) + 1;
    counts.set(finding.code, count);
    return count > alikeMax ? [] : [findingAsText(finding, colors)];
  });
  for (const [code, count] of counts)
    if (count > alikeMax)
      said.push(`${count - alikeMax} more like that (${code}); \`--json\` has them all\n`);
  const read = files === 0 ? '' : `${counted(files, 'file')} read\n`;
  const errors = findings.filter(({ severity }) => severity !== 'note').length;
  const end = clean ? `${colors.green('no errors were found')}\n` : `${counted(errors, 'finding')}\n`;
  return [...said, read + end].join('\n');
}

function findingAsText({ code, severity, message, meaning, remedy }: Finding, colors: Colors): string {
  const color = { error: colors.red, warning: colors.yellow, note: colors.dim }[severity];
  return `${color(`${severity}:`)} ${printable(message)} (${code})\n  ${meaning}\n${remedyAsText(remedy, colors)}`;
}
