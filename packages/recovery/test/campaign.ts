/**
 * Random programs of transactions on a simulated disk, with deaths and power cuts anywhere, in recovery too. Whatever
 * happens: after recovery the files are as the last acknowledged transaction left them, or as the one after it, which
 * was under way; nothing is left in the staging areas; and recovering again finds nothing to do.
 */

import { isStoreError, type Operation, type RecoveryReport } from '@forewrit/core';
import { type Fault, Random, sampleChoice, type PersistenceModel } from '@forewrit/testkit';
import {
  applied,
  program,
  type ProgramOptions,
  showTree,
  type Tree,
  withoutDirectories,
} from './campaign-model.js';
import { edit, root, type SimulatedProcess, stagingNames, tree, World } from './world.js';

export interface CampaignOptions extends ProgramOptions {
  readonly model: PersistenceModel;
  /** Of a power cut, as against a death alone. */
  readonly powerCuts: number;
  /** Of a call to the file system that fails. */
  readonly failures?: number;
  /** What is drawn from, if not the seed. */
  readonly random?: Random;
}

const inlineLimitBytes = 24;
const recoveriesMax = 4;

/** One process after the other, each of which dies somewhere. */
export async function runCampaign(seed: number, options: CampaignOptions): Promise<void> {
  await new Campaign(seed, options).told(async (campaign) => {
    const rounds = 1 + campaign.random.below(3);
    let expected: Tree = {};
    for (let round = 0; round < rounds; round += 1) {
      const candidates = await campaign.runProcess(expected);
      await campaign.crashAndRecover();
      expected = campaign.check(candidates);
    }
  });
}

/**
 * Two processes take turns; one of them dies in the middle of something, again and again, and the other recovers what it
 * left and goes on. At last the power goes.
 */
export async function runCampaignOfTwo(seed: number, options: CampaignOptions): Promise<void> {
  await new Campaign(seed, options).told(async (campaign) => {
    const { random } = campaign;
    const survivor = await campaign.start();
    await survivor.process.recover();
    let expected: Tree = {};
    const turns = 1 + random.below(3);
    for (let turn = 0; turn < turns; turn += 1) {
      const victim = await campaign.start(1 + random.below(120));
      let candidates = [expected];
      for (let index = 0; index < 12 && victim.lives(); index += 1) {
        const who = random.chance(0.4) ? survivor : victim;
        candidates = campaign.commit(who) ?? candidates;
        campaign.tidyUp(who, { marks: 0.5, checkpoint: 0.1 });
      }
      victim.process.kill();
      campaign.refuseFalseAlarms(await survivor.process.recover(), false);
      expected = campaign.check(candidates, { stagedNamesMayStay: true });
    }
    campaign.tidyUp(survivor, { marks: 0.5, checkpoint: 0.2 });
    survivor.process.kill();
    await campaign.crashAndRecover();
    campaign.check([expected]);
  });
}

/**
 * Programs that know nothing of the store change files between a death (or a power cut) and recovery. What they wrote is
 * in its place afterwards, or in `conflicts/`; within one boot, and where no directory moved, it is in its place.
 */
export async function runCampaignWithEdits(seed: number, options: CampaignOptions): Promise<void> {
  await new Campaign(seed, options).told(async (campaign) => {
    const { random } = campaign;
    const candidates = await campaign.runProcess({}, 5);
    const cut = random.chance(options.powerCuts);
    if (cut) campaign.cutPower();
    const edits = campaign.editFromOutside();
    await campaign.crashAndRecover({ edited: true });
    campaign.checkEdits(edits, cut || options.directories ? undefined : candidates);
  });
}

interface Mortal {
  readonly process: SimulatedProcess;
  readonly lives: () => boolean;
  readonly kill: () => void;
}

interface Allowance {
  /** Of processes that live. */
  readonly stagedNamesMayStay?: boolean;
}

class Campaign {
  readonly random: Random;
  readonly #seed: number;
  readonly #options: CampaignOptions;
  readonly #trace: string[] = [];
  #world = new World();
  #serial = 0;

  constructor(seed: number, options: CampaignOptions) {
    this.#seed = seed;
    this.#options = options;
    this.random = options.random ?? new Random(seed);
  }

  /** What goes wrong is told with all that went before. */
  async told(run: (campaign: Campaign) => Promise<void>): Promise<void> {
    try {
      await run(this);
    } catch (error) {
      const { model } = this.#options;
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(`seed ${this.#seed} (${model}): ${message}\n${this.#trace.join('\n')}`, {
        cause: error,
      });
    }
  }

  /** A process that dies at that call to its file system, if it gets there. */
  async start(diesIn = Number.POSITIVE_INFINITY, faults: readonly Fault[] = []): Promise<Mortal> {
    let left = diesIn;
    const life: { process?: SimulatedProcess } = {};
    life.process = await this.#world.start({
      inlineLimitBytes,
      faults,
      beforeCall: () => {
        if (life.process !== undefined && left-- === 0) life.process.kill();
      },
    });
    const { process } = life;
    const kill = (): void => {
      left = -1;
      process.kill();
    };
    return { process, lives: () => left >= 0, kill };
  }

  /** Runs until it has done its work, or dies. Returns what the tree may be when it has been recovered. */
  async runProcess(expected: Tree, diesAfter = 1): Promise<Tree[]> {
    const { random } = this;
    const diesIn = diesAfter + random.below(random.chance(0.2) ? 400 : 90);
    const faults = random.chance(this.#options.failures ?? 0) ? [anyFault(random)] : [];
    let candidates = [expected];
    let mortal: Mortal | undefined;
    try {
      mortal = await this.start(diesIn, faults);
      await mortal.process.recover();
      const count = random.below(8);
      for (let index = 0; index < count && mortal.lives(); index += 1) {
        candidates = this.commit(mortal) ?? candidates;
        if (mortal.process.engine.poison !== undefined) break;
        this.tidyUp(mortal, { marks: 0.3, checkpoint: 0.15 });
      }
    } catch (error) {
      if (faults.length === 0 && mortal?.lives() !== false) throw error;
      this.#trace.push(`failed: ${error instanceof Error ? error.message : ''}`);
    }
    mortal?.process.kill();
    return candidates;
  }

  /** Returns what the tree may be now; `undefined` if nothing was tried. */
  commit(who: Mortal): Tree[] | undefined {
    const before = this.tree;
    const operations = program(this.random, before, this.#options, () => `${(this.#serial += 1)}`);
    const after = applied(before, operations);
    this.#trace.push(`${who.process.owner.id}: ${operations.map(showOperation).join('; ')}`);
    const outcome = who.process.attempt(...operations);
    if (!(outcome instanceof Error)) return [after];
    this.#trace.push(`   ${outcome.message}`);
    if (!who.lives() || who.process.engine.poison !== undefined) return [before, after];
    if (isStoreError(outcome, 'ERR_APPLY_BLOCKED')) {
      // Recovery goes forward.
      who.kill();
      return [before, after];
    }
    // Directory moves in a circle, a lock of somebody dead, a roll-back.
    if (isStoreError(outcome) || outcome.message.startsWith('locked')) return [before];
    throw outcome;
  }

  tidyUp(who: Mortal, chances: { readonly marks: number; readonly checkpoint: number }): void {
    try {
      if (who.lives() && this.random.chance(chances.marks)) who.process.flushMarks();
      if (who.lives() && this.random.chance(chances.checkpoint)) who.process.checkpoint();
    } catch (error) {
      if (who.lives() && (this.#options.failures ?? 0) === 0) throw error;
    }
  }

  /** The power may go now, and while recovery runs; at last it runs to its end, and once more. */
  async crashAndRecover({ edited = false } = {}): Promise<void> {
    let cut = edited;
    for (let attempt = 1; ; attempt += 1) {
      if (!edited && this.random.chance(this.#options.powerCuts)) {
        cut = true;
        this.cutPower();
      }
      const last = attempt === recoveriesMax;
      const mortal = await this.start(last ? undefined : 30 + this.random.below(60));
      try {
        const report = await mortal.process.recover();
        this.#trace.push(`recovered: ${JSON.stringify(report)}`);
        mortal.process.kill();
        if (!edited) this.refuseFalseAlarms(report, cut);
        await this.#recoverAgain();
        return;
      } catch (error) {
        if (mortal.lives()) throw error;
        this.#trace.push('died in recovery');
      }
    }
  }

  async #recoverAgain(): Promise<void> {
    const before = this.#world.disk.listing().join('\n');
    const { process } = await this.start();
    const { redone, undone, kept, blocked, conflicts, sweptFiles } = await process.recover();
    process.kill();
    const work = [...redone, ...undone, ...kept, ...blocked, ...conflicts].length + sweptFiles;
    if (work > 0) throw new Error(`a second recovery found work: ${JSON.stringify(process.recovery)}`);
    if (this.#world.disk.listing().join('\n') !== before)
      throw new Error('a second recovery changed something');
  }

  cutPower(): void {
    const { model } = this.#options;
    this.#trace.push('power cut');
    const effects = this.#world.disk.pendingEffects(model);
    this.#world = this.#world.powerCut(sampleChoice(effects, this.random), model);
  }

  /** Nobody but the store has touched anything. */
  refuseFalseAlarms({ kept, blocked, conflicts }: RecoveryReport, cut: boolean): void {
    if (kept.length > 0) throw new Error(`kept: ${kept.join(', ')}`);
    if (blocked.length > 0) throw new Error(`blocked: ${blocked.join(', ')}`);
    if (!cut && conflicts.length > 0) throw new Error(`conflicts: ${JSON.stringify(conflicts)}`);
  }

  get tree(): Tree {
    return tree(this.#world.outside);
  }

  check(candidates: readonly Tree[], allowed: Allowance = {}): Tree {
    const found = this.tree;
    const left = allowed.stagedNamesMayStay === true ? [] : stagingNames(this.#world.outside);
    if (left.length > 0) throw new Error(`left in the staging areas: ${left.join(', ')}`);
    // Parents that were made for a transaction stay when it is rolled back.
    const looseEnds = (this.#options.failures ?? 0) > 0;
    expectOneOf(found, candidates, looseEnds ? (each) => showTree(withoutDirectories(each)) : showTree);
    return found;
  }

  editFromOutside(): Map<string, string | undefined> {
    const edits = new Map<string, string | undefined>();
    const { outside, disk } = this.#world;
    const paths = ['a', 'b', 'd/a', 'd/b', 'e/a'];
    const count = 1 + this.random.below(2);
    for (let index = 0; index < count; index += 1) {
      const path = this.random.pick(paths);
      const absolute = `${root}/${path}`;
      const type = outside.lstat(absolute)?.type;
      if (type === 'directory' || outside.lstat(absolute.replace(/\/[^/]*$/, ''))?.type !== 'directory')
        continue;
      disk.clock.advance(5);
      if (type === 'file' && !edits.has(path) && this.random.chance(0.3)) {
        outside.unlink(absolute);
        edits.set(path, undefined);
      } else {
        edits.set(path, `outside ${index}`);
        edit(outside, path, `outside ${index}`);
      }
      this.#trace.push(`outside: ${path} ${edits.get(path) ?? 'removed'}`);
    }
    return edits;
  }

  checkEdits(edits: ReadonlyMap<string, string | undefined>, candidates: readonly Tree[] | undefined): void {
    const { outside } = this.#world;
    const found = this.tree;
    const kept = [...Object.values(found), ...Object.values(tree(outside, `${root}/.forewrit/conflicts`))];
    for (const [path, content] of edits) {
      if (content === undefined || kept.includes(content)) continue;
      throw new Error(`lost what was written to ${path}: ${content}`);
    }
    if (candidates === undefined) return;
    const edited = candidates.map((candidate) => {
      const files = new Map(Object.entries(candidate));
      for (const [path, content] of edits) {
        if (content === undefined) files.delete(path);
        else files.set(path, content);
      }
      return Object.fromEntries(files);
    });
    expectOneOf(found, edited, showTree);
  }
}

function expectOneOf(found: Tree, candidates: readonly Tree[], show: (each: Tree) => string): void {
  if (candidates.some((candidate) => show(candidate) === show(found))) return;
  throw new Error(`found ${show(found)}, expected ${candidates.map(show).join(' or ')}`);
}

/**
 * Flushes do not fail here: on the simulated disk that is told to the first who asks, where Linux tells everybody who had
 * the file open. They have tests of their own.
 */
function anyFault(random: Random): Fault {
  const error = random.pick(['EIO', 'ENOSPC', 'EACCES', 'EMFILE'] as const);
  const first = 20 + random.below(150);
  const sticky = random.chance(0.2);
  return {
    at: ({ index, method }) => method !== 'sync' && (sticky ? index >= first : index === first),
    error,
    after: random.chance(0.2),
    sticky,
  };
}

function showOperation(operation: Operation): string {
  switch (operation.type) {
    case 'write':
      return `write ${operation.path} (${operation.content.kind === 'bytes' ? operation.content.bytes.byteLength : ''})`;
    case 'rename':
      return `move ${operation.from} ${operation.path}`;
    default:
      return `${operation.type} ${'path' in operation ? operation.path : ''}`;
  }
}
