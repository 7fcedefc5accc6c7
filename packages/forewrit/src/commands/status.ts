/** `forewrit status`: who has the store open, and what the log still holds. Reads only. */

import { inspect, type Inspection } from '@forewrit/recovery';
import type { CommandContext, CommandResult } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { counted, formatBytes, formatTime, shortened } from '../format.js';
import { type Colors, table } from '../terminal.js';

export async function status({ root, terminal }: CommandContext, _options: object): Promise<CommandResult> {
  const inspection = await inspect(root);
  return {
    exitCode: inspection.clean ? exitCodes.clean : exitCodes.findings,
    json: statusAsJson(inspection),
    text: () => statusAsText(inspection, terminal.colors),
  };
}

function statusAsJson(inspection: Inspection): CommandResult['json'] {
  const { log, transactions, owners, problems } = inspection;
  return {
    root: inspection.root,
    storeId: inspection.storeId ?? null,
    formatVersion: inspection.formatVersion ?? null,
    revision: inspection.revision,
    clean: inspection.clean,
    owners: owners.map(({ id, pid, alive, why, openedAtMs }) => ({ id, pid, alive, why, openedAtMs })),
    transactions: transactions.map(({ id, state, ownerAlive, revision, paths }) => ({
      id,
      state,
      ownerAlive,
      revision: revision ?? null,
      paths: paths.map(({ path, action }) => ({ path, action })),
    })),
    leftovers: [...inspection.leftovers],
    conflicts: [...inspection.conflicts],
    log: log === undefined ? null : { usedBytes: log.usedBytes, fileBytes: log.fileBytes },
    problems: problems.map(({ code, message, hint }) => ({ code, message, hint: hint ?? null })),
  };
}

function statusAsText(inspection: Inspection, colors: Colors): string {
  const { owners, transactions, log, leftovers, conflicts } = inspection;
  const waiting = transactions.filter(({ state }) => state === 'applied').length;
  const parts = [
    `${inspection.root}\n`,
    `revision ${inspection.revision}, format ${inspection.formatVersion ?? 'unknown'}`,
    log === undefined ? '\n' : `, log ${formatBytes(log.usedBytes)} of ${formatBytes(log.fileBytes)}\n`,
    `${counted(waiting, 'applied transaction')} waiting for a checkpoint\n`,
  ];
  if (owners.length > 0) {
    const rows = owners.map(({ id, pid, alive, why, openedAtMs }) => [
      id,
      String(pid),
      { text: alive ? 'alive' : 'dead', color: alive ? colors.green : colors.red },
      why,
      formatTime(openedAtMs),
    ]);
    parts.push('\n', table(colors, { head: ['owner', 'pid', 'state', 'because', 'opened'], rows }));
  }
  const notable = transactions.filter(({ state, ownerAlive }) => state !== 'applied' || !ownerAlive);
  if (notable.length > 0) {
    const rows = notable.map(({ id, state, ownerAlive, paths }) => [
      id,
      { text: state, color: state === 'blocked' ? colors.red : (text: string) => text },
      ownerAlive ? 'alive' : 'dead',
      shortened(paths.map(({ path }) => path)),
    ]);
    parts.push('\n', table(colors, { head: ['transaction', 'state', 'owner', 'paths'], rows }));
  }
  if (leftovers.length > 0) parts.push(`\n${counted(leftovers.length, 'staged name')} of nobody\n`);
  if (conflicts.length > 0) parts.push(`\nkept aside for you to look at:\n  ${conflicts.join('\n  ')}\n`);
  for (const { code, message, hint } of inspection.problems) {
    parts.push(`\n${colors.red(code)}: ${message}\n${hint === undefined ? '' : `  ${hint}\n`}`);
  }
  parts.push('\n', advice(inspection));
  return parts.join('');
}

function advice({ clean, transactions, problems }: Inspection): string {
  if (clean) return 'clean\n';
  const blocked = transactions.find(({ state }) => state === 'blocked');
  if (blocked !== undefined) return `run: forewrit repair ${blocked.id} --forward (or --back, or --quarantine)\n`;
  if (problems.length > 0) return 'keep a copy of .forewrit before anything else\n';
  return 'run: forewrit recover\n';
}
