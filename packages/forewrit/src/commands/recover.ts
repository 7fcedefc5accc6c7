/** `forewrit recover`: finishes or sweeps what dead processes left, or shows what that would be. */

import { inspect, type Inspection, openStore } from '@forewrit/recovery';
import type { RecoveryReport } from '@forewrit/core';
import type { CommandContext, CommandResult } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { counted, formatMs } from '../format.js';
import { type Colors, table } from '../terminal.js';

export interface RecoverOptions {
  readonly dryRun: boolean;
  readonly ownerDead?: string;
}

export async function recover(context: CommandContext, options: RecoverOptions): Promise<CommandResult> {
  const ownersDead = options.ownerDead === undefined ? [] : [options.ownerDead];
  // Nothing is made where there is no store.
  const before = await inspect(context.root, { ownersDead });
  if (options.dryRun) return dryRun(before, context.terminal.colors);
  context.terminal.progress('recovering');
  const store = await openStore(context.root, { create: false, committer: 'inline', ownersDead });
  const report = store.recovery;
  await store.close();
  return {
    exitCode: report.blocked.length + report.conflicts.length === 0 ? exitCodes.clean : exitCodes.findings,
    json: reportAsJson(report),
    text: () => reportAsText(report, context.terminal.colors),
  };
}

function dryRun(inspection: Inspection, colors: Colors): CommandResult {
  const pending = inspection.transactions.filter(({ ownerAlive }) => !ownerAlive);
  const { leftovers, problems, clean } = inspection;
  return {
    exitCode: clean ? exitCodes.clean : exitCodes.findings,
    json: {
      clean,
      transactions: pending.map(({ id, state, paths }) => ({
        id,
        state,
        paths: paths.map(({ path, action, verdict, row, reason }) => ({
          path,
          action,
          verdict: verdict ?? null,
          row: row ?? null,
          reason: reason ?? null,
        })),
      })),
      leftovers: [...leftovers],
      problems: problems.map(({ code, message }) => ({ code, message })),
    },
    text: () => {
      const parts = problems.map(({ code, message }) => `${colors.red(code)}: ${message}\n`);
      for (const { id, paths } of pending) {
        const rows = paths.map(({ path, action, verdict, row, reason }) => [
          path,
          action,
          verdict ?? 'sweep',
          row === undefined ? '' : String(row),
          reason ?? '',
        ]);
        parts.push(
          `transaction ${id}\n`,
          table(colors, { head: ['path', 'action', 'decision', 'row', 'because'], rows, right: [3] }),
          '\n',
        );
      }
      if (leftovers.length > 0) parts.push(`${counted(leftovers.length, 'staged name')} would be swept\n`);
      return clean ? 'nothing to recover\n' : parts.join('');
    },
  };
}

function reportAsJson(report: RecoveryReport): CommandResult['json'] {
  return {
    redone: [...report.redone],
    undone: [...report.undone],
    kept: [...report.kept],
    blocked: [...report.blocked],
    conflicts: report.conflicts.map(({ path, savedAs }) => ({ path, savedAs })),
    sweptFiles: report.sweptFiles,
    durationMs: report.durationMs,
  };
}

function reportAsText(report: RecoveryReport, colors: Colors): string {
  const { redone, undone, kept, blocked, conflicts, sweptFiles, durationMs } = report;
  const lines: string[] = [];
  const say = (what: string, ids: readonly string[]): void => {
    if (ids.length > 0) lines.push(`${what}: ${ids.join(', ')}`);
  };
  say('carried out', redone);
  say('swept, never committed', undone);
  say('left as somebody has changed it', kept);
  for (const { path, savedAs } of conflicts) lines.push(`kept aside: ${path} is now ${savedAs}`);
  for (const id of blocked) lines.push(colors.red(`blocked: ${id}; run: forewrit repair ${id} --forward (or --back, or --quarantine)`));
  if (lines.length === 0 && sweptFiles === 0) return 'nothing to recover\n';
  lines.push(`${counted(sweptFiles, 'name')} swept, in ${formatMs(durationMs)}`);
  return `${lines.join('\n')}\n`;
}
