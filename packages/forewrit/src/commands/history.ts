/** `forewrit history`: what can be undone, the newest first. Reads only. */

import type { HistoryEntry, HistoryPath } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import type { CommandContext, CommandResult, Json, Verb } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { formatBytes, formatTime } from '../format.js';
import { type Colors, printable } from '../terminal.js';

export interface HistoryOptions {
  readonly limit: number;
}

export const historyVerb: Verb<HistoryOptions> = (context, { limit }, { args }) =>
  history(context, { limit, path: args[0] });

async function history(
  { root, terminal }: CommandContext,
  { limit, path }: HistoryOptions & { readonly path: string | undefined },
): Promise<CommandResult> {
  const store = await openStore(root, { create: false, readOnly: true });
  const found: HistoryEntry[] = [];
  let more = false;
  try {
    for await (const entry of store.history(path)) {
      more = found.length === limit;
      if (more) break;
      found.push(entry);
    }
  } finally {
    await store.close();
  }
  return {
    exitCode: exitCodes.clean,
    json: { transactions: found.map(entryAsJson), more },
    text: () => {
      if (found.length === 0) return 'history has nothing\n';
      const parts = found.map((entry) => entryAsText(entry, terminal.colors));
      if (more) parts.push('there is more: --limit\n');
      return parts.join('\n');
    },
  };
}

function entryAsJson(entry: HistoryEntry): Json {
  const { transaction, revision, committedAtMs, paths, entries, keptBytes, undoable, obstacle } = entry;
  return {
    transaction,
    revision,
    committedAtMs,
    paths: paths.map((each) => ({ ...each })),
    entries: entries.map((each) => ({ ...each })),
    keptBytes,
    undoable,
    obstacle: obstacle === undefined ? null : { ...obstacle },
  };
}

export function entryAsText(entry: HistoryEntry, colors: Colors): string {
  const { transaction, committedAtMs, paths, entries, obstacle } = entry;
  const lines = [`${colors.bold(transaction)}  ${formatTime(committedAtMs)}`];
  for (const path of paths) lines.push(`  ${printable(pathAsText(path))}`);
  for (const { collection, key, did } of entries) lines.push(`  ${printable(`${did} ${collection}/${key}`)}`);
  lines.push(
    obstacle === undefined ? '  can be undone' : `  cannot be undone: ${printable(obstacle.message)}`,
  );
  return `${lines.join('\n')}\n`;
}

function pathAsText({ path, did, from, sizeBytes, sizeBytesBefore }: HistoryPath): string {
  const came = from === undefined ? '' : ` from ${from}`;
  const sizes = [sizeBytesBefore, sizeBytes].flatMap((size) => (size === undefined ? [] : formatBytes(size)));
  return `${did} ${path}${came}${sizes.length === 0 ? '' : ` (${sizes.join(' → ')})`}`;
}
