/** `forewrit dump`: the records that the log holds, one line each. Reads only. */

import { type Image, formatChecksum, type LoggedTransaction, type Target } from '@forewrit/core';
import { inspect, type Inspection } from '@forewrit/recovery';
import type { CommandContext, CommandResult, Json } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { counted, formatBytes, formatTime } from '../format.js';
import { printable, table } from '../terminal.js';

export interface DumpOptions {
  readonly limit?: number;
  readonly stats: boolean;
}

/** A record as it is shown: its kind, and what it says. */
interface Line {
  readonly transaction: string;
  readonly kind: string;
  readonly details: { readonly [key: string]: Json };
}

export async function dump({ root, terminal }: CommandContext, options: DumpOptions): Promise<CommandResult> {
  const inspection = await inspect(root);
  const lines = inspection.transactions.flatMap(({ records }) => linesOf(records));
  const shown = options.limit === undefined ? lines : lines.slice(-options.limit);
  const stats = statsOf(inspection, lines);
  return {
    exitCode: inspection.problems.length === 0 ? exitCodes.clean : exitCodes.findings,
    json: options.stats
      ? stats
      : { records: shown.map(({ transaction, kind, details }) => ({ transaction, kind, ...details })) },
    text: () => {
      const problems = inspection.problems.map(({ code, message }) => `${terminal.colors.red(code)}: ${message}\n`);
      if (!options.stats) return [...problems, ...shown.map(lineAsText)].join('') || 'the log is empty\n';
      const rows = Object.entries(stats).map(([name, value]) => [name, String(value)]);
      return [...problems, table(terminal.colors, { head: ['', ''], rows, right: [1] })].join('');
    },
  };
}

function statsOf({ transactions, log }: Inspection, lines: readonly Line[]): { [key: string]: Json } {
  const contentBytes = transactions
    .flatMap(({ records }) => records.targets)
    .reduce((sum, { content }) => sum + (content?.byteLength ?? 0), 0);
  return {
    transactions: transactions.length,
    records: lines.length,
    contentBytes,
    usedBytes: log?.usedBytes ?? 0,
    fileBytes: log?.fileBytes ?? 0,
  };
}

function linesOf({ id, begin, targets, commit, applied, abort }: LoggedTransaction): Line[] {
  const lines: Line[] = [];
  const add = (kind: string, details: { readonly [key: string]: Json }): void => {
    lines.push({ transaction: id, kind, details });
  };
  if (begin !== undefined) add('begin', { startedAt: formatTime(begin.startedAtMs) });
  for (const target of targets) {
    if (target.applyName !== undefined) {
      const content = target.content === undefined ? 'staged' : formatBytes(target.content.byteLength);
      add('stage', { n: target.index, name: target.applyName, content });
    }
    add('checksum', { n: target.index, before: imageText(target.before), after: imageText(target.after) });
    add('rename', renameOf(target));
  }
  if (commit !== undefined) {
    add('commit', { revision: commit.revision, targets: targets.length, entries: counted(commit.entries.length, 'entry change') });
  }
  if (applied !== undefined) add('applied', {});
  if (abort !== undefined) add('abort', { revision: abort.revision });
  return lines;
}

function renameOf({ index, action, path, from }: Target): { readonly [key: string]: Json } {
  return { n: index, action, path, ...(from === undefined ? {} : { from }) };
}

function imageText(image: Image): string {
  if (image.type !== 'file') return image.type;
  const checksum = image.checksum === undefined ? '' : ` ${formatChecksum(image.checksum)}`;
  return `${image.fingerprint.size} bytes${checksum}`;
}

function lineAsText({ transaction, kind, details }: Line): string {
  const said = Object.entries(details).map(([key, value]) => `${key}=${printable(String(value))}`);
  return `${[transaction.padEnd(8), kind.padEnd(8), ...said].join(' ').trimEnd()}\n`;
}
