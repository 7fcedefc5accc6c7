/** After the crash: a recovery without faults finds all or nothing, leaves nothing behind, and all of it is durable. */

import { metaKeys } from '@forewrit/core';
import type { Tree } from '../campaign-model.js';
import { inlineLimitBytes } from '../crash/preparation.js';
import { historyProblem, namesBesideHistory } from '../history-world.js';
import { root, type SimulatedProcess, stagingNames, tree, type World } from '../world.js';
import type { Expectation } from './expectation.js';
import type { FaultScenario } from './fault-scenario.js';

export interface Judged {
  readonly scenario: FaultScenario;
  readonly expectation: Expectation;
  readonly allowed: readonly Tree[];
  /** Of what somebody has written, what must not be lost; `undefined` where nobody writes. */
  readonly edits: readonly string[] | undefined;
  /** It cannot be known whether all that was recovered is durable. */
  readonly inDoubt?: boolean;
}

/** Of what somebody has written, what a name leads to: the rest is yet to be written, or a power cut has taken it. */
export function editsIn({ outside }: World, { edits }: FaultScenario): readonly string[] | undefined {
  const areas = ['before', 'conflicts', 'staged'].map((name) => `${root}/.forewrit/${name}`);
  const directories = [root, ...areas.filter((area) => outside.lstat(area) !== undefined)];
  const there = new Set(directories.flatMap((directory) => Object.values(tree(outside, directory))));
  return edits?.filter((edit) => there.has(edit));
}

export async function judge(world: World, given: Omit<Judged, 'edits'>): Promise<void> {
  const { scenario } = given;
  const judged = { ...given, edits: editsIn(world, scenario) };
  const process = await open(world, scenario);
  checkReport(process, judged);
  await scenario.afterRecovery?.does(process);
  checkTree(world, judged);
  checkNothingLeft(world, scenario);
  process.kill();
  if (judged.inDoubt === true) return;
  const found = tree(world.outside);
  const cut = world.powerCut(() => false);
  const next = await open(cut, scenario);
  // Names that were removed may come back, and are swept once more.
  const { redone, kept, blocked } = next.recovery!;
  const work = [...redone, ...kept, ...blocked];
  if (work.length > 0) throw new Error(`a second recovery found work: ${JSON.stringify(next.recovery)}`);
  const lasting = tree(cut.outside);
  const lost = Object.keys(found).filter((path) => lasting[path] !== found[path]);
  const back = Object.keys(lasting).filter((path) => !(path in found));
  if (lost.length + back.length > 0)
    throw new Error(`not durable after recovery: ${[...lost, ...back].join(', ')}`);
}

/** But for the owner that has just opened the store; and for that of a blocked transaction, until the next one does. */
export function checkNothingLeft(world: World, { afterRecovery, edits }: FaultScenario): void {
  const { outside, log } = world;
  const further = `${root}/mnt/.forewrit-staged`;
  const names = namesBesideHistory(world);
  if (outside.lstat(further) !== undefined) names.push(...stagingNames(outside, further));
  if (names.length > 0) throw new Error(`left in the staging areas: ${names.join(', ')}`);
  // What history has may be what somebody has written into.
  const problem = edits === undefined ? historyProblem(world) : undefined;
  if (problem !== undefined) throw new Error(problem);
  const everything = { start: new Uint8Array(0) };
  const rows = (['log', 'locks'] as const).map((table) => log.rows(table).range(everything).length);
  const owners = log.rows('owners').range(everything).length - (afterRecovery === undefined ? 1 : 2);
  rows.push(owners, log.rows('meta').range(metaKeys.unflusheds).length);
  if (rows.some((count) => count > 0))
    throw new Error(`left in log, locks, owners, notes: ${rows.join(', ')}`);
}

async function open(world: World, { options, everywhere = [] }: FaultScenario): Promise<SimulatedProcess> {
  return await world.openStore({ ...options, inlineLimitBytes, faults: everywhere });
}

function checkReport({ recovery }: SimulatedProcess, { scenario }: Judged): void {
  const { blocked, kept } = recovery!;
  if (blocked.length > 0 && scenario.afterRecovery === undefined)
    throw new Error(`blocked: ${blocked.join(', ')}`);
  if (kept.length > 0 && scenario.edits === undefined) throw new Error(`kept: ${JSON.stringify(recovery)}`);
}

/** Where somebody has edited files, nothing of that is lost, and nothing is torn. */
export function checkTree(world: World, { scenario, edits, expectation, allowed }: Judged): void {
  const found = tree(world.outside);
  if (edits === undefined || scenario.recoversTo !== undefined) {
    const problem = expectation.problem(found, allowed);
    if (problem !== undefined) throw new Error(problem);
  }
  if (edits === undefined) return;
  const aside = ['conflicts', 'before'].map((area) => tree(world.outside, `${root}/.forewrit/${area}`));
  const kept = new Set([found, ...aside].flatMap((each) => Object.values(each)));
  for (const edit of edits) if (!kept.has(edit)) throw new Error(`lost what somebody has written: ${edit}`);
}
