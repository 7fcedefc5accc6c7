/** `forewrit recover`: finishes or sweeps what dead processes left, or shows what that would be. */

import { StoreError } from '@forewrit/core';
import {
  inspect,
  type InspectedOwner,
  type InspectedTransaction,
  type Inspection,
  recover as recoverStore,
  type RecoverReport,
} from '@forewrit/recovery';
import type { Command } from 'commander';
import type { CommandContext, CommandResult, Json } from '../command.js';
import { requireConfirmation } from '../confirm.js';
import { exitCodes } from '../exit-code.js';
import { counted, formatMs } from '../format.js';
import { discard, reset } from './last-resort.js';
import { problemsAsJson, problemsAsText } from '../problem-report.js';
import { type Colors, printable, table } from '../terminal.js';

export interface RecoverOptions {
  readonly dryRun: boolean;
  readonly ownerDead?: string;
  readonly resetLog: boolean;
  readonly discard?: string;
  readonly yes: boolean;
}

export async function recover(
  context: CommandContext,
  options: RecoverOptions,
  command: Command,
): Promise<CommandResult> {
  if (options.resetLog) return await reset(context, options, command);
  if (options.discard !== undefined) return await discard(context, options.discard, options, command);
  const { root, terminal } = context;
  const ownersDead = options.ownerDead === undefined ? [] : [options.ownerDead];
  if (options.dryRun || ownersDead.length > 0) {
    const inspection = await inspect(root, { ownersDead });
    const owners = ownersDead.flatMap((id) => ownerOf(inspection, id) ?? []);
    if (options.dryRun) return dryRun(inspection, terminal.colors);
    for (const owner of owners) await confirmDeath(context, owner, options, command);
  }
  terminal.progress('recovering');
  const report = await recoverStore(root, { ownersDead });
  return {
    exitCode: report.blocked.length + report.conflicts.length === 0 ? exitCodes.clean : exitCodes.findings,
    json: reportAsJson(report),
    text: () => reportAsText(report, terminal.colors),
  };
}

/** Of a log that cannot be read nothing is known; opening it says so. */
function ownerOf({ owners, problems }: Inspection, id: string): InspectedOwner | undefined {
  const found = owners.find((owner) => owner.id === id);
  if (found !== undefined || problems.length > 0) return found;
  throw new StoreError('ERR_NOT_FOUND', `There is no owner ${id}`, {
    op: 'recover',
    hint: '`forewrit status` lists the owners. It may have been recovered just now.',
  });
}

/** What proves a life; of anything else a person may know better. */
const proofsOfLife: Partial<Record<InspectedOwner['why'], string>> = {
  self: 'is this one',
  witness: 'answers at its socket',
  process: 'is there, the same that opened the store',
};

/** Against a proof of life nobody says it by mistake. */
async function confirmDeath(
  context: CommandContext,
  { id, pid, why }: InspectedOwner,
  { yes }: RecoverOptions,
  command: Command,
): Promise<void> {
  const proof = proofsOfLife[why];
  if (proof === undefined) return;
  await requireConfirmation(context, {
    yes,
    because: `Owner ${id} is proven alive: process ${pid} ${proof}, and may be writing now`,
    question: 'Take it for dead, and finish or sweep what it has begun?',
    command,
  });
}

function dryRun(inspection: Inspection, colors: Colors): CommandResult {
  const pending = inspection.transactions.filter(({ ownerAlive }) => !ownerAlive);
  const { leftovers, problems, clean } = inspection;
  return {
    exitCode: clean ? exitCodes.clean : exitCodes.findings,
    json: {
      clean,
      transactions: pending.map(transactionAsJson),
      leftovers: [...leftovers],
      problems: problemsAsJson(inspection),
    },
    text: () => {
      const parts = pending.map((transaction) => transactionAsText(transaction, colors));
      if (leftovers.length > 0) parts.push(`${counted(leftovers.length, 'staged name')} would be swept\n`);
      if (problems.length > 0) parts.push(problemsAsText(inspection, colors), 'nothing would be recovered\n');
      return parts.length === 0 ? 'nothing to recover\n' : parts.join('\n');
    },
  };
}

function transactionAsJson({ id, state, paths }: InspectedTransaction): Json {
  return {
    id,
    state,
    paths: paths.map(({ path, action, verdict, row, reason }) => ({
      path,
      action,
      verdict: verdict ?? null,
      row: row ?? null,
      reason: reason ?? null,
    })),
  };
}

function transactionAsText(transaction: InspectedTransaction, colors: Colors): string {
  const { id, state, paths, staging } = transaction;
  const title = `transaction ${id}, ${state}\n`;
  if (staging?.overdue === false) {
    return `${title}waits to be continued: ${printable(staging.id)}, ${staging.durableBytes} bytes durable\n`;
  }
  if (paths.every(({ verdict }) => verdict === undefined)) return `${title}would be swept\n`;
  const rows = paths.map(({ path, action, verdict = '', row, reason = '' }) => [
    path,
    action,
    { text: verdict, color: verdict === 'block' ? colors.red : String },
    row === undefined ? '' : String(row),
    reason,
  ]);
  const head = ['path', 'action', 'decision', 'row', 'because'];
  return title + table(colors, { head, rows, right: [3] });
}

function reportAsJson(report: RecoverReport): Json {
  return {
    redone: [...report.redone],
    undone: [...report.undone],
    kept: [...report.kept],
    blocked: [...report.blocked],
    conflicts: report.conflicts.map(({ path, savedAs }) => ({ path, savedAs })),
    sweptFiles: report.sweptFiles,
    durationMs: report.durationMs,
    leftovers: report.leftovers,
    unlocked: [...report.unlocked],
  };
}

function reportAsText(report: RecoverReport, colors: Colors): string {
  const { redone, undone, kept, blocked, conflicts, sweptFiles, durationMs, leftovers, unlocked } = report;
  const lines: string[] = [];
  const say = (what: string, ids: readonly string[]): void => {
    if (ids.length > 0) lines.push(`${what}: ${ids.join(', ')}`);
  };
  say('carried out', redone);
  say('swept, as it had not been committed', undone);
  say('left as somebody has changed it', kept);
  for (const { path, savedAs } of conflicts)
    lines.push(`kept aside: ${printable(path)} is now ${printable(savedAs)}`);
  for (const id of blocked) {
    lines.push(
      `${colors.red('blocked')}: ${id}; run: forewrit repair ${id} --forward (or --back, or --quarantine)`,
    );
  }
  for (const what of unlocked) lines.push(`unlocked, as its transaction is gone: ${printable(what)}`);
  const swept = sweptFiles + leftovers;
  if (lines.length === 0 && swept === 0) return 'nothing to recover\n';
  lines.push(`${counted(swept, 'file')} swept, in ${formatMs(durationMs)}`);
  return `${lines.join('\n')}\n`;
}
