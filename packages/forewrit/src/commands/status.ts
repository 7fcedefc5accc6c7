/** `forewrit status`: who has the store open, and what the log still holds. Reads only. */

import { inspect, type Inspection } from '@forewrit/recovery';
import type { CommandContext, CommandResult, Json } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { counted, formatBytes, formatMs, formatTime, shortened } from '../format.js';
import { problemsAsJson, problemsAsText } from '../problem-report.js';
import { type Colors, printable, table } from '../terminal.js';

export async function status({ root, terminal }: CommandContext): Promise<CommandResult> {
  const inspection = await inspect(root);
  const lag = lagOf(inspection, Date.now());
  return {
    exitCode: inspection.clean ? exitCodes.clean : exitCodes.findings,
    json: statusAsJson(inspection, lag),
    text: () => statusAsText(inspection, lag, terminal.colors),
  };
}

/** What is applied and not yet checkpointed. */
interface Lag {
  readonly transactions: number;
  /** Since the oldest of them began; absent when there is none. */
  readonly ageMs?: number;
}

/** `undefined` where the log does not tell. */
function lagOf({ transactions, log }: Inspection, nowMs: number): Lag | undefined {
  if (log === undefined) return undefined;
  const applied = transactions.filter(({ state }) => state === 'applied');
  const begun = applied.flatMap(({ startedAtMs }) => startedAtMs ?? []);
  // Another clock may be ahead of ours.
  const ageMs = Math.max(0, nowMs - Math.min(...begun));
  return { transactions: applied.length, ...(begun.length === 0 ? {} : { ageMs }) };
}

/** `null` is what is not known. */
function statusAsJson(inspection: Inspection, lag: Lag | undefined): Json {
  const { log, transactions, owners } = inspection;
  const ofLog = (value: Json): Json => (log === undefined ? null : value);
  return {
    root: inspection.root,
    storeId: inspection.storeId ?? null,
    formatVersion: inspection.formatVersion ?? null,
    createdAtMs: inspection.createdAtMs ?? null,
    revision: inspection.revision ?? null,
    clean: inspection.clean,
    owners: inspection.ownersKnown
      ? owners.map(({ id, pid, alive, why, openedAtMs }) => ({ id, pid, alive, why, openedAtMs }))
      : null,
    answering: [...inspection.answering],
    transactions: ofLog(
      transactions.map(({ id, owner, state, staging, ownerAlive, revision, startedAtMs, paths }) => ({
        id,
        state,
        ...(staging === undefined ? {} : { staging: { ...staging } }),
        owner: owner.toString(36),
        ownerAlive,
        revision: revision ?? null,
        startedAtMs: startedAtMs ?? null,
        paths: paths.map(({ path, action }) => ({ path, action })),
      })),
    ),
    checkpointLag: lag === undefined ? null : { transactions: lag.transactions, ageMs: lag.ageMs ?? null },
    leftovers: ofLog([...inspection.leftovers]),
    conflicts: ofLog([...inspection.conflicts]),
    history: ofLog({ ...inspection.history }),
    log: log === undefined ? null : { usedBytes: log.usedBytes, fileBytes: log.fileBytes },
    problems: problemsAsJson(inspection),
  };
}

function statusAsText(inspection: Inspection, lag: Lag | undefined, colors: Colors): string {
  const { leftovers, conflicts } = inspection;
  const sections = [
    overview(inspection, lag),
    ownersAsText(inspection, colors),
    transactionsAsText(inspection, colors),
    leftovers.length === 0 ? '' : `${counted(leftovers.length, 'staged name')} of nobody\n`,
    conflicts.length === 0 ? '' : `kept aside for you to look at:\n${conflicts.map(indented).join('')}`,
    problemsAsText(inspection, colors),
    advice(inspection),
  ];
  return sections.filter((section) => section !== '').join('\n');
}

const transactionsShownMax = 50;

function indented(line: string): string {
  return `  ${printable(line)}\n`;
}

function overview(inspection: Inspection, lag: Lag | undefined): string {
  const { root, revision, formatVersion, log } = inspection;
  const facts = [`revision ${revision ?? 'unknown'}`, `format ${formatVersion ?? 'unknown'}`];
  if (log !== undefined) facts.push(`log ${formatBytes(log.usedBytes)} of ${formatBytes(log.fileBytes)}`);
  return [`${printable(root)}\n`, `${facts.join(', ')}\n`, lagAsText(lag), historyAsText(inspection)].join(
    '',
  );
}

function lagAsText(lag: Lag | undefined): string {
  if (lag === undefined) return 'the log does not tell what is under way\n';
  const age = lag.ageMs === undefined ? '' : `, the oldest for ${formatMs(lag.ageMs)}`;
  return `${counted(lag.transactions, 'applied transaction')} waiting for a checkpoint${age}\n`;
}

function historyAsText({ history: { transactions, keptBytes } }: Inspection): string {
  if (transactions === 0) return '';
  return `${counted(transactions, 'transaction')} in history, ${formatBytes(keptBytes)} kept for undo\n`;
}

function ownersAsText({ owners, ownersKnown, answering }: Inspection, colors: Colors): string {
  if (answering.length > 0)
    return `somebody has it open, as ${shortened(answering)} in .forewrit/log answers; the log does not tell who\n`;
  if (!ownersKnown) return 'not known who has it open, as the log does not tell\n';
  if (owners.length === 0) return 'nobody has it open\n';
  const rows = owners.map(({ id, pid, alive, why, openedAtMs }) => [
    id,
    String(pid),
    { text: alive ? 'alive' : 'dead', color: alive ? colors.green : colors.red },
    why,
    formatTime(openedAtMs),
  ]);
  return table(colors, { head: ['owner', 'pid', 'is', 'because', 'opened'], rows });
}

/** Those that wait for nothing but their checkpoint are counted elsewhere. */
function transactionsAsText({ transactions }: Inspection, colors: Colors): string {
  const notable = transactions.filter(({ state, ownerAlive }) => state !== 'applied' || !ownerAlive);
  if (notable.length === 0) return '';
  // Those that wait for somebody come first.
  const urgent = notable.toSorted((one, other) => urgency(one.state) - urgency(other.state));
  const rows = urgent
    .slice(0, transactionsShownMax)
    .map(({ id, state, ownerAlive, paths, staging }) => [
      id,
      { text: state, color: state === 'blocked' ? colors.red : String },
      ownerAlive ? 'alive' : staging === undefined ? 'dead' : 'nobody',
      staging === undefined
        ? shortened(paths.map(({ path }) => path))
        : printable(`'${staging.id}', ${formatBytes(staging.durableBytes)} durable`),
    ]);
  const more = notable.length - rows.length;
  return (
    table(colors, { head: ['transaction', 'is', 'owner', 'paths'], rows }) +
    (more === 0 ? '' : `${more} more; \`--json\` has them all\n`)
  );
}

function urgency(state: Inspection['transactions'][number]['state']): number {
  return state === 'blocked' ? 0 : state === 'applied' ? 2 : 1;
}

function advice({ clean, transactions, problems, owners }: Inspection): string {
  if (clean)
    return owners.some(({ alive }) => !alive) ? 'clean; the dead owner goes with the next open\n' : 'clean\n';
  const blocked = transactions.find(({ state }) => state === 'blocked');
  if (problems.length > 0) return 'not clean; `forewrit check` says more\n';
  if (blocked === undefined) return 'not clean; run: forewrit recover\n';
  return `not clean; run: forewrit repair ${blocked.id} --forward (or --back, or --quarantine)\n`;
}
