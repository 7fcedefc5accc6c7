/** `forewrit dump`: the records that the log holds, one line each, the oldest transaction first. Reads only. */

import { type Image, formatChecksum, type LoggedTransaction, type Target } from '@forewrit/core';
import { followLog, inspect, type Inspection } from '@forewrit/recovery';
import type { CommandContext, CommandResult, Json } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { formatBytes, formatCount, formatTime } from '../format.js';
import { problemsAsJson, problemsAsText } from '../problem-report.js';
import { printable, table } from '../terminal.js';

export interface DumpOptions {
  readonly limit?: number;
  readonly stats: boolean;
  readonly follow: boolean;
  readonly json: boolean;
}

type Details = { readonly [key: string]: Json };

interface Line {
  readonly transaction: string;
  readonly kind: string;
  readonly details: Details;
}

export async function dump(context: CommandContext, options: DumpOptions): Promise<CommandResult> {
  if (options.follow) return await follow(context, options);
  const { root, terminal } = context;
  const inspection = await inspect(root);
  const { problems, log } = inspection;
  const lines = inspection.transactions.flatMap(({ records }) => linesOf(records));
  const shown = options.limit === undefined ? lines : lines.slice(-options.limit);
  const stats = statsOf(inspection, lines);
  const records = log === undefined ? null : shown.map(lineAsJson);
  return {
    exitCode: problems.length === 0 ? exitCodes.clean : exitCodes.findings,
    json: {
      ...(options.stats ? { stats: stats === undefined ? null : { ...stats } } : { records }),
      problems: problemsAsJson(inspection),
    },
    text: () => {
      const said = problemsAsText(inspection, terminal.colors);
      if (stats === undefined) return `${said}not known what the log holds\n`;
      if (!options.stats) return said + (shown.map(lineAsText).join('') || 'the log holds no records\n');
      return (
        said + table(terminal.colors, { head: ['of the log', ''], rows: statsAsRows(stats), right: [1] })
      );
    },
  };
}

/** Records as they come, each once, until Ctrl-C. With --json, a document on each line. */
async function follow(
  { root, terminal, signal }: CommandContext,
  options: DumpOptions,
): Promise<CommandResult> {
  let shown: ReadonlySet<string> = new Set();
  let limit = options.limit ?? Number.POSITIVE_INFINITY;
  for await (const transactions of followLog(root, { signal })) {
    const lines = transactions.flatMap(linesOf).map((line) => ({ line, text: lineAsText(line) }));
    const fresh = lines.filter(({ text }) => !shown.has(text));
    for (const { line, text } of fresh.slice(-Math.min(limit, fresh.length || 1)))
      terminal.write(options.json ? `${JSON.stringify(lineAsJson(line))}\n` : text);
    // What is trimmed does not come again.
    shown = new Set(lines.map(({ text }) => text));
    limit = Number.POSITIVE_INFINITY;
  }
  return { exitCode: exitCodes.interrupted, text: () => '' };
}

function lineAsJson({ transaction, kind, details }: Line): Json {
  return { transaction, kind, ...details };
}

interface LogNumbers {
  readonly transactions: number;
  readonly records: number;
  readonly recordsByKind: Readonly<Record<string, number>>;
  readonly contentBytes: number;
  readonly usedBytes: number;
  readonly fileBytes: number;
}

/** `undefined` where the log cannot be read. */
function statsOf({ transactions, log }: Inspection, lines: readonly Line[]): LogNumbers | undefined {
  if (log === undefined) return undefined;
  const recordsByKind: Record<string, number> = {};
  for (const { kind } of lines) recordsByKind[kind] = (recordsByKind[kind] ?? 0) + 1;
  const contentBytes = transactions
    .flatMap(({ records }) => records.targets)
    .reduce((sum, { content }) => sum + (content?.byteLength ?? 0), 0);
  return {
    transactions: transactions.length,
    records: lines.length,
    recordsByKind,
    contentBytes,
    usedBytes: log.usedBytes,
    fileBytes: log.fileBytes,
  };
}

function statsAsRows(stats: LogNumbers): string[][] {
  return [
    ['transactions', formatCount(stats.transactions)],
    ['records', formatCount(stats.records)],
    ...Object.entries(stats.recordsByKind).map(([kind, count]) => [`  ${kind}`, formatCount(count)]),
    ['content in them', formatBytes(stats.contentBytes)],
    ['used', formatBytes(stats.usedBytes)],
    ['length of the file', formatBytes(stats.fileBytes)],
  ];
}

function linesOf({ id, begin, resumable, targets, commit, applied, abort }: LoggedTransaction): Line[] {
  const lines: Line[] = [];
  const add = (kind: string, details: Details): void => {
    lines.push({ transaction: id, kind, details });
  };
  if (begin !== undefined) {
    const { startedAtMs, bootId, deferred } = begin;
    add('begin', {
      at: formatTime(startedAtMs),
      boot: bootId,
      ...(deferred === true ? { deferred: true } : {}),
    });
  }
  if (resumable !== undefined) {
    add('staging', {
      id: resumable.id,
      name: resumable.staged,
      durableBytes: resumable.offset,
      checksum: formatChecksum(resumable.checksum),
      at: formatTime(resumable.advancedAtMs),
    });
  }
  for (const target of targets) {
    if (target.applyName !== undefined || target.content !== undefined) add('stage', stageOf(target));
    add('checksum', { n: target.index, before: imageOf(target.before), after: imageOf(target.after) });
    add('rename', renameOf(target));
  }
  if (commit !== undefined) {
    const { revision, entries } = commit;
    add('commit', {
      revision,
      targets: targets.length,
      ...(entries.length === 0
        ? {}
        : { entries: entries.map(({ collection, key }) => `${collection}/${key}`) }),
    });
  }
  if (applied !== undefined) add('applied', { boot: applied.bootId });
  if (abort !== undefined) add('abort', { revision: abort.revision });
  return lines;
}

function stageOf({ index, applyName, staged, content }: Target): Details {
  return {
    n: index,
    name: applyName ?? null,
    ...(staged === undefined ? {} : { durable: staged }),
    ...(content === undefined ? {} : { inlineBytes: content.byteLength }),
  };
}

function renameOf({ index, action, path, from, via, beforeName }: Target): Details {
  return {
    n: index,
    action,
    path,
    ...(from === undefined ? {} : { from }),
    ...(via === undefined ? {} : { via }),
    ...(beforeName === undefined ? {} : { beforeName }),
  };
}

/** `file:<bytes>:<checksum>`, or what else it is. */
function imageOf(image: Image): string {
  if (image.type !== 'file') return image.type;
  const checksum = image.checksum === undefined ? '?' : formatChecksum(image.checksum);
  return `file:${image.fingerprint.size}:${checksum}`;
}

function lineAsText({ transaction, kind, details }: Line): string {
  const said = Object.entries(details).map(([key, value]) => `${key}=${printable(valueAsText(value))}`);
  return `${[transaction.padEnd(8), kind.padEnd(8), ...said].join(' ').trimEnd()}\n`;
}

/** Quoted where a blank would end it. */
function valueAsText(value: Json): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /[\s"]/.test(text) && typeof value === 'string' ? JSON.stringify(text) : text;
}
