/**
 * Random programs of transactions on a simulated disk, with deaths and power cuts anywhere, in recovery too. Whatever
 * happens: after recovery the files are as the last acknowledged transaction left them, or as the one after it, which
 * was under way; nothing is left in the staging areas; and recovering again finds nothing to do.
 */

import { isStoreError, type Operation, type RecoveryReport } from '@forewrit/core';
import { type Fault, Random, type SimulatedDisk, sampleChoice, type PersistenceModel } from '@forewrit/testkit';
import {
  edit,
  mkdir,
  move,
  remove,
  root,
  stagingNames,
  tree,
  World,
  write,
} from './world.js';

export interface CampaignOptions {
  readonly model: PersistenceModel;
  readonly directories: boolean;
  /** Of a power cut, as against a death alone. */
  readonly powerCuts: number;
  /** Of a call to the file system that fails. */
  readonly failures?: number;
}

const inlineLimitBytes = 24;
const transactionsMax = 8;

type Tree = Record<string, string>;

export async function runCampaign(seed: number, options: CampaignOptions): Promise<void> {
  const random = new Random(seed);
  let world = new World();
  let expected: Tree = {};
  let serial = 0;
  const rounds = 1 + random.below(3);
  const trace: string[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) {
      const dies = { in: 1 + random.below(random.chance(0.2) ? 400 : 90) };
      const killer = { kill: (): void => undefined };
      const process = await world.start({
        inlineLimitBytes,
        faults: random.chance(options.failures ?? 0) ? [anyFault(random)] : [],
        beforeCall: () => {
          if (dies.in-- === 0) killer.kill();
        },
      });
      killer.kill = () => process.kill();
      let candidates: Tree[] = [expected];
      try {
        await process.recover();
        const count = random.below(transactionsMax);
        for (let index = 0; index < count; index += 1) {
          const before = treeOf(world);
          const operations = program(random, before, options, () => `${(serial += 1)}`);
          trace.push(`round ${round}: ${operations.map(show).join('; ')}`);
          const after = applied(before, operations);
          candidates = [before, after];
          const outcome = process.attempt(...operations);
          if (globalThis.process.env['DBG']) console.log(operations.map(show).join('; '), outcome instanceof Error ? outcome.message : JSON.stringify(outcome));
          if (dies.in < 0) throw outcome;
          if (process.engine.poison !== undefined || isStoreError(outcome, 'ERR_APPLY_BLOCKED')) {
            trace.push(`poisoned or blocked: ${outcome instanceof Error ? outcome.message : ''}`);
            break;
          }
          // Directory moves in a circle, and the like.
          if (isStoreError(outcome)) {
            candidates = [before];
            continue;
          }
          if (outcome instanceof Error) throw outcome;
          candidates = [after];
          if (random.chance(0.3)) process.flushMarks();
          if (random.chance(0.15)) process.checkpoint();
        }
      } catch (error) {
        if (dies.in >= 0 && (options.failures ?? 0) === 0) throw error;
        trace.push(`round ${round}: died (${error instanceof Error ? error.message : ''})`);
      }
      process.kill();
      world = await crashAndRecover(world, random, options, trace);
      expected = check(world, candidates, { emptyDirectoriesMayStay: (options.failures ?? 0) > 0 });
    }
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new Error(`campaign ${seed} (${options.model}): ${message}\n${trace.join('\n')}`, { cause: error });
  }
}

function anyFault(random: Random): Fault {
  const error = random.pick(['EIO', 'ENOSPC', 'EACCES', 'EMFILE'] as const);
  const after = random.chance(0.2);
  // A flush that fails once more succeeds the next time, and lies: see the tests of poisoned stores.
  const first = 20 + random.below(150);
  const sticky = random.chance(0.2);
  return { at: ({ index, method }) => method !== 'sync' && (sticky ? index >= first : index === first), error, after, sticky };
}

/**
 * Two processes take turns; one of them dies in the middle of something, again and again, and the other recovers what it
 * left and goes on. At last the power goes.
 */
export async function runCampaignOfTwo(seed: number, options: CampaignOptions): Promise<void> {
  const random = new Random(seed);
  let world = new World();
  let expected: Tree = {};
  let serial = 0;
  const trace: string[] = [];
  try {
    const survivor = await world.open({ inlineLimitBytes });
    const turns = 1 + random.below(3);
    for (let turn = 0; turn < turns; turn += 1) {
      const dies = { in: 1 + random.below(120) };
      const killer = { kill: (): void => undefined };
      const victim = await world.start({
        inlineLimitBytes,
        beforeCall: () => {
          if (dies.in-- === 0) killer.kill();
        },
      });
      killer.kill = () => victim.kill();
      let candidates: Tree[] = [expected];
      for (let index = 0; index < 12 && dies.in >= 0; index += 1) {
        const who = random.chance(0.4) ? survivor : victim;
        const before = treeOf(world);
        const operations = program(random, before, options, () => `${(serial += 1)}`);
        const after = applied(before, operations);
        trace.push(`${who === survivor ? 'survivor' : 'victim'}: ${operations.map(show).join('; ')}`);
        const outcome = who.attempt(...operations);
        if (dies.in < 0) candidates = who === victim ? [before, after] : [after];
        else if (outcome instanceof Error && !isStoreError(outcome) && !outcome.message.startsWith('locked')) throw outcome;
        else if (outcome instanceof Error) candidates = [before];
        else candidates = [after];
        if (dies.in >= 0 && random.chance(0.5)) tolerate(dies, () => who.flushMarks());
        if (dies.in >= 0 && random.chance(0.1)) tolerate(dies, () => who.checkpoint());
      }
      victim.kill();
      if (globalThis.process.env['DBG']) console.log('--- live before recovery\n' + world.disk.listing().filter((l) => !l.includes('/log')).join('\n'));
      if (globalThis.process.env['DBG']) for (const e of world.disk.pendingEffects('weakest')) console.log(e.describe(1));
      const report = await survivor.recover();
      if (globalThis.process.env['DBG']) console.log('--- after');
      if (globalThis.process.env['DBG']) for (const e of world.disk.pendingEffects('weakest')) console.log(e.describe(1));
      trace.push(`recovered: ${show(report)}`);
      refuseFalseAlarms(report, false);
      expected = check(world, candidates, { stagedNamesMayStay: true });
    }
    if (random.chance(0.5)) survivor.flushMarks();
    if (random.chance(0.2)) survivor.checkpoint();
    survivor.kill();
    world = await crashAndRecover(world, random, options, trace);
    check(world, [expected]);
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new Error(`campaign of two ${seed}: ${message}\n${trace.join('\n')}`, { cause: error });
  }
}

/**
 * Programs that know nothing of the store change files between a death (or a power cut) and recovery. What they wrote is
 * in its place afterwards, or in `conflicts/`; within one boot it is in its place, as far as no directory moved.
 */
export async function runCampaignWithEdits(seed: number, options: CampaignOptions): Promise<void> {
  const random = new Random(seed);
  let world = new World();
  let serial = 0;
  const trace: string[] = [];
  try {
    const dies = { in: 5 + random.below(90) };
    const killer = { kill: (): void => undefined };
    const process = await world.start({
      inlineLimitBytes,
      beforeCall: () => {
        if (dies.in-- === 0) killer.kill();
      },
    });
    killer.kill = () => process.kill();
    let candidates: Tree[] = [{}];
    const count = 1 + random.below(5);
    for (let index = 0; index < count && dies.in >= 0; index += 1) {
      const before = treeOf(world);
      const operations = program(random, before, options, () => `${(serial += 1)}`);
      const after = applied(before, operations);
      trace.push(operations.map(show).join('; '));
      const outcome = process.attempt(...operations);
      if (dies.in < 0) candidates = [before, after];
      else if (!(outcome instanceof Error)) candidates = [after];
      if (dies.in >= 0 && random.chance(0.3)) tolerate(dies, () => process.flushMarks());
      if (dies.in >= 0 && random.chance(0.1)) tolerate(dies, () => process.checkpoint());
    }
    process.kill();
    const cut = random.chance(options.powerCuts);
    if (cut) {
      trace.push('power cut');
      world = powerCut(world, random, options.model);
    }
    const edits = outsideEdits(world, random, trace);
    world = await crashAndRecover(world, random, { ...options, powerCuts: 0 }, trace, true);
    checkEdits(world, { edits, candidates, exact: !cut && !options.directories });
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new Error(`campaign with edits ${seed}: ${message}\n${trace.join('\n')}`, { cause: error });
  }
}

function outsideEdits(world: World, random: Random, trace: string[]): Map<string, string | undefined> {
  const edits = new Map<string, string | undefined>();
  const count = 1 + random.below(2);
  for (let index = 0; index < count; index += 1) {
    const path = random.pick(names);
    const content = `outside ${index}`;
    const { outside } = world;
    const parent = `${root}/${path}`.split('/').slice(0, -1).join('/');
    if (outside.lstat(parent)?.type !== 'directory') continue;
    const type = outside.lstat(`${root}/${path}`)?.type;
    if (type === 'directory') continue;
    world.disk.clock.advance(5);
    if (type === 'file' && !edits.has(path) && random.chance(0.3)) {
      outside.unlink(`${root}/${path}`);
      edits.set(path, undefined);
    } else {
      edit(outside, path, content);
      edits.set(path, content);
    }
    trace.push(`outside: ${path} ${edits.get(path) ?? 'removed'}`);
  }
  return edits;
}

function checkEdits(
  world: World,
  { edits, candidates, exact }: {
    readonly edits: ReadonlyMap<string, string | undefined>;
    readonly candidates: readonly Tree[];
    readonly exact: boolean;
  },
): void {
  const found = treeOf(world);
  const kept = [...Object.values(found), ...allConflicts(world)];
  for (const [path, content] of edits) {
    if (content !== undefined && !kept.includes(content)) throw new Error(`lost what was written to ${path}: ${content}`);
  }
  if (!exact) return;
  const expected = candidates.map((candidate) => {
    const edited: Tree = { ...candidate };
    for (const [path, content] of edits) {
      if (content === undefined) delete edited[path];
      else edited[path] = content;
    }
    return show(sorted(edited));
  });
  if (!expected.includes(show(sorted(found)))) {
    throw new Error(`found ${show(sorted(found))}, expected ${expected.join(' or ')}`);
  }
}

function allConflicts(world: World): string[] {
  return Object.values(tree(world.outside, `${root}/.forewrit/conflicts`));
}

function tolerate(dies: { readonly in: number }, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (dies.in >= 0) throw error;
  }
}

/** The power may go now, and while recovery runs; at last it runs to its end, and once more. */
async function crashAndRecover(
  begun: World,
  random: Random,
  options: CampaignOptions,
  trace: string[],
  edited = false,
): Promise<World> {
  let world = begun;
  let cut = false;
  for (let attempt = 0; attempt < 4; attempt += 1) {
    if (random.chance(options.powerCuts)) {
      cut = true;
      trace.push('power cut');
      world = powerCut(world, random, options.model);
    }
    const dies = { in: random.below(60) };
    const killer = { kill: (): void => undefined };
    if (globalThis.process.env['DBG']) console.log('--- attempt', attempt, '\n' + world.disk.listing().filter((l) => !l.includes('/log')).join('\n'));
    const process = await world.start({
      inlineLimitBytes,
      beforeCall: () => {
        if (attempt < 3 && dies.in-- === 0) killer.kill();
      },
    });
    killer.kill = () => process.kill();
    try {
      const report = await process.recover();
      trace.push(`recovered: ${show(report)}`);
      if (!edited) refuseFalseAlarms(report, cut);
      count(report, stats);
      await recoverAgain(world);
      process.kill();
      return world;
    } catch (error) {
      if (dies.in >= 0 || attempt === 3) throw error;
      trace.push('died in recovery');
      process.kill();
    }
  }
  throw new Error('unreachable');
}

/** Nobody but the store has touched anything. */
function refuseFalseAlarms({ kept, blocked, conflicts }: RecoveryReport, cut: boolean): void {
  if (kept.length > 0) throw new Error(`kept: ${kept.join(', ')}`);
  if (blocked.length > 0) throw new Error(`blocked: ${blocked.join(', ')}`);
  if (!cut && conflicts.length > 0) throw new Error(`conflicts: ${JSON.stringify(conflicts)}`);
}

export const stats: Record<string, number> = {};

function count(report: RecoveryReport, into: Record<string, number>): void {
  for (const name of ['redone', 'undone', 'conflicts'] as const) into[name] = (into[name] ?? 0) + report[name].length;
}

async function recoverAgain(world: World): Promise<void> {
  const before = listingOf(world.disk);
  const second = await world.start();
  const report = await second.recover();
  second.kill();
  const { redone, undone, kept, blocked, conflicts, sweptFiles } = report;
  if ([...redone, ...undone, ...kept, ...blocked, ...conflicts].length + sweptFiles > 0) {
    throw new Error(`a second recovery found work: ${show(report)}`);
  }
  if (listingOf(world.disk) !== before) throw new Error('a second recovery changed something');
}

function listingOf(disk: SimulatedDisk): string {
  return disk.listing().join('\n');
}

function powerCut(world: World, random: Random, model: PersistenceModel): World {
  const effects = world.disk.pendingEffects(model);
  return world.powerCut(sampleChoice(effects, random), model);
}

interface Allowance {
  /** Of processes that live. */
  readonly stagedNamesMayStay?: boolean;
  /** Parents that were made for a transaction stay when it is rolled back. */
  readonly emptyDirectoriesMayStay?: boolean;
}

function check(world: World, candidates: readonly Tree[], allowed: Allowance = {}): Tree {
  const found = treeOf(world);
  const left = allowed.stagedNamesMayStay === true ? [] : stagingNames(world.outside);
  if (left.length > 0) throw new Error(`left in the staging areas: ${left.join(', ')}`);
  const seen = (each: Tree): string => {
    const files = allowed.emptyDirectoriesMayStay === true ? withoutDirectories(each) : each;
    return show(sorted(files));
  };
  if (!candidates.some((candidate) => seen(candidate) === seen(found))) {
    throw new Error(`found ${seen(found)}, expected ${candidates.map(seen).join(' or ')}`);
  }
  return found;
}

function withoutDirectories(each: Tree): Tree {
  return Object.fromEntries(Object.entries(each).filter(([path]) => !path.endsWith('/')));
}

function treeOf(world: World): Tree {
  return tree(world.outside);
}

function sorted(unsorted: Tree): Tree {
  return Object.fromEntries(Object.entries(unsorted).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const names = ['a', 'b', 'c', 'd/a', 'd/b', 'e/a'];
const directoryNames = ['d', 'e', 'f', 'd/g', 'e/g'];

/** Operations that are possible one after the other on what is there. */
function program(random: Random, before: Tree, options: CampaignOptions, next: () => string): Operation[] {
  for (;;) {
    const operations = anyProgram(random, before, options, next);
    if (!leavesEmptyParent(before, operations)) return operations;
  }
}

/**
 * A parent that is made for a file which the same transaction takes away again: it has no row, so it may be lost in a
 * power cut when a newer transaction moves it.
 */
function leavesEmptyParent(before: Tree, operations: readonly Operation[]): boolean {
  const asked = new Set(operations.map((each) => (each.type === 'make-directory' ? each.path : '')));
  const after = applied(before, operations);
  return Object.keys(after).some((path) => {
    if (!path.endsWith('/') || path in before || asked.has(path.slice(0, -1))) return false;
    return !Object.keys(after).some((other) => other !== path && other.startsWith(path));
  });
}

function anyProgram(random: Random, before: Tree, { directories }: CampaignOptions, next: () => string): Operation[] {
  const operations: Operation[] = [];
  let now = before;
  const count = 1 + random.below(4);
  for (let tries = 0; operations.length < count && tries < 40; tries += 1) {
    const operation = directories && random.chance(0.4) ? directoryOperation(random, now) : fileOperation(random, now, next);
    if (operation === undefined) continue;
    try {
      now = applied(now, [operation]);
    } catch {
      continue;
    }
    operations.push(operation);
  }
  return operations;
}

function fileOperation(random: Random, now: Tree, next: () => string): Operation | undefined {
  const path = random.pick(names);
  const files = Object.keys(now).filter((each) => !each.endsWith('/'));
  const content = `${next()} `.repeat(random.chance(0.6) ? 2 : 12);
  switch (random.below(files.length > 0 ? 4 : 1)) {
    case 2:
      return remove(random.pick(files));
    case 3:
      return move(random.pick(files), path);
    default:
      return write(path, content);
  }
}

function directoryOperation(random: Random, now: Tree): Operation | undefined {
  const found = Object.keys(now).filter((each) => each.endsWith('/')).map((each) => each.slice(0, -1));
  const path = random.pick(directoryNames);
  switch (random.below(found.length > 0 ? 3 : 1)) {
    case 1:
      return remove(random.pick(found));
    case 2:
      return move(random.pick(found), path);
    default:
      return mkdir(path);
  }
}

/** What the tree is to be after these operations; throws where one of them is impossible. */
function applied(before: Tree, operations: readonly Operation[]): Tree {
  const now: Tree = { ...before };
  for (const operation of operations) {
    switch (operation.type) {
      case 'write':
        if (`${operation.path}/` in now) throw new Error('is a directory');
        addParents(now, operation.path);
        now[operation.path] = operation.content.kind === 'bytes' ? Buffer.from(operation.content.bytes).toString() : '';
        break;
      case 'make-directory':
        if (operation.path in now || `${operation.path}/` in now) throw new Error('exists');
        requireParent(now, operation.path);
        now[`${operation.path}/`] = '';
        break;
      case 'remove':
        for (const path of below(now, operation.path)) delete now[path];
        break;
      case 'rename':
        renamed(now, operation.from, operation.path);
        break;
      default:
        throw new Error('not in this model');
    }
  }
  return now;
}

function renamed(now: Tree, from: string, to: string): void {
  if (from === to || to.startsWith(`${from}/`) || from.startsWith(`${to}/`)) throw new Error('into itself');
  const isDirectory = `${from}/` in now;
  if (`${to}/` in now || (isDirectory && to in now)) throw new Error('exists');
  addParents(now, to);
  for (const path of below(now, from)) {
    const content = now[path] ?? '';
    delete now[path];
    now[`${to}${path.slice(from.length)}`] = content;
  }
}

function below(now: Tree, path: string): string[] {
  const found = Object.keys(now).filter((each) => each === path || each.startsWith(`${path}/`));
  if (found.length === 0) throw new Error('nothing there');
  return found;
}

function addParents(now: Tree, path: string): void {
  const parts = path.split('/').slice(0, -1);
  for (const [index] of parts.entries()) {
    const parent = parts.slice(0, index + 1).join('/');
    if (parent in now) throw new Error('not a directory');
    now[`${parent}/`] = '';
  }
}

function requireParent(now: Tree, path: string): void {
  const parent = path.split('/').slice(0, -1).join('/');
  if (parent !== '' && !(`${parent}/` in now)) throw new Error('no parent');
}

function show(value: RecoveryReport | Tree | Operation): string {
  if ('type' in value) {
    const operation = value as Operation;
    if (operation.type === 'write') {
      return `write ${operation.path} ${operation.content.kind === 'bytes' ? operation.content.bytes.byteLength : ''}`;
    }
    if (operation.type === 'rename') return `move ${operation.from} ${operation.path}`;
    return `${operation.type} ${'path' in operation ? operation.path : ''}`;
  }
  return JSON.stringify(value);
}

