/**
 * Runs a program step by step, and looks at the whole tree whenever all is quiet: it is what the oracle has, nothing is
 * left by anybody who is gone, and at the end recovery finds nothing to do. A run depends on its program alone.
 */

import { isStoreError, StoreError } from '@forewrit/core';
import { root, stagingNames, tree } from '../world.js';
import { ask, type Attempt, collection, isGivenUp, nextTurn } from './attempt.js';
import type { Member } from './member.js';
import { Violation, violation } from './oracle.js';
import { placeName, type Program, type Rival, type Step, type TransactionSpec } from './program.js';
import { readBeside } from './reader.js';
import { type Due, NeedsPerson, Scene, type Tally } from './scene.js';
import { Timeline } from './timeline.js';

const roundsMax = 8;
const recoveriesMax = 6;

export async function runProgram(program: Program, tally: Tally = new Map()): Promise<void> {
  const run = new Run(program, tally);
  try {
    await run.run();
  } catch (error) {
    if (error instanceof NeedsPerson) {
      tally.set('needs a person', (tally.get('needs a person') ?? 0) + 1);
      return;
    }
    const thrown = error instanceof Error ? error : new Error(String(error));
    throw new Error(`${thrown.stack}\n\nWhat happened:\n${run.trace.join('\n')}`, { cause: error });
  }
}

const typeChangeCodes = new Set(['ERR_INVALID_PATH', 'ERR_IS_DIRECTORY', 'ERR_NOT_DIRECTORY', 'ERR_EXISTS']);

/** Not every way in which files and directories trade places can be one transaction. */
function isTooMuch(error: unknown, changes: Attempt['changes']): boolean {
  if (!isStoreError(error) || !typeChangeCodes.has(error.code)) return false;
  return changes.some((each) => 'path' in each && each.path === placeName);
}

class Run {
  readonly #scene: Scene;
  #transactions = 0;

  constructor(program: Program, tally: Tally) {
    this.#scene = new Scene(program, tally);
  }

  get trace(): readonly string[] {
    return this.#scene.trace;
  }

  async run(): Promise<void> {
    for (const step of this.#scene.program.steps) {
      await this.#perform(step);
      this.#scene.check();
    }
    await this.#end();
  }

  // Steps.

  async #perform(step: Step): Promise<void> {
    this.#scene.disturbed = false;
    this.#scene.trace.push(`${step.step}${'owner' in step ? ` of owner ${step.owner}` : ''}`);
    switch (step.step) {
      case 'work':
        await this.#performWork(step);
        break;
      case 'checkpoint': {
        const member = await this.#scene.member(step.owner);
        if (member !== undefined) this.#scene.work(member, step.events, () => member.process.checkpoint());
        break;
      }
      case 'record': {
        const member = this.#scene.members[step.owner];
        if (member !== undefined) this.#scene.work(member, [], () => member.process.flushMarks());
        break;
      }
      case 'materialize': {
        const member = await this.#scene.member(step.owner);
        if (member !== undefined) this.#scene.materialize(member, step.events);
        break;
      }
      case 'recover': {
        const member = await this.#scene.member(step.owner, step.events);
        if (member !== undefined && this.#scene.dead.size > 0) await this.#scene.recover(member, step.events);
        break;
      }
      case 'kill': {
        const member = this.#scene.members[step.owner];
        if (member !== undefined) this.#scene.kill(member);
        break;
      }
      case 'close':
        await this.#close(step.owner);
        break;
      case 'edit':
        // Somebody who edits now and then: what was applied is recorded by then.
        this.#scene.timePasses();
        this.#scene.edit(step.edit);
        break;
      case 'power cut':
        this.#scene.cutPower(step.seed);
        break;
    }
    this.#scene.tidyUp();
    await this.#settle();
  }

  async #performWork(step: Extract<Step, { readonly step: 'work' }>): Promise<void> {
    const member = await this.#scene.member(step.owner);
    if (member === undefined) return;
    const attempts = await this.#askAll(member, step.transactions);
    const rivals: Due[] = [];
    const later: Member[] = [];
    for (const rival of step.rivals) {
      const other = await this.#askRival(rival, member, attempts);
      if (other === undefined) continue;
      if (other !== member) rivals.push({ what: 'rival', at: rival.at, member: other });
      later.push(other);
    }
    const isQuiet = this.#scene.isQuiet && attempts.length === 1;
    const asked = attempts.filter(({ stage }) => stage === 'asked');
    this.#scene.timeline = step.readers.length > 0 ? new Timeline() : undefined;
    this.#scene.timeline?.add(this.#scene.world, this.#scene.oracle.newest);
    this.#scene.runQueue(member, [...step.events, ...rivals]);
    for (const each of later) this.#scene.runQueue(each, []);
    const timeline = this.#scene.timeline;
    this.#scene.timeline = undefined;
    await this.#finishQueues();
    if (isQuiet && !this.#scene.disturbed) {
      for (const { name, error, stage, changes } of asked) {
        if (stage !== 'acknowledged' && !isTooMuch(error, changes))
          throw violation(`${name} was refused for no reason: ${String(error)}`);
      }
    }
    this.#scene.tidyUp();
    for (const spec of step.readers) {
      const reader = this.#scene.members[spec.owner];
      if (reader?.lives !== true || timeline === undefined || this.#scene.cutSinceRecovery) continue;
      this.#scene.count('reads beside');
      const mayBeBlocked = this.#scene.isBlocked;
      await readBeside({ member: reader, oracle: this.#scene.oracle, timeline, spec, mayBeBlocked }, (what) =>
        this.#scene.trace.push(what),
      );
    }
    await Promise.all(attempts.filter(({ stage }) => stage !== 'asked').map(({ answer }) => answer));
  }

  async #askAll(member: Member, specs: readonly TransactionSpec[]): Promise<Attempt[]> {
    const attempts: Attempt[] = [];
    for (const spec of specs) {
      if (!member.lives) break;
      this.#transactions += 1;
      const asking = {
        member,
        oracle: this.#scene.oracle,
        nextText: () => `<${(this.#scene.serial += 1)}>`,
        isQuiet: this.#scene.isQuiet,
      };
      const attempt = await ask(asking, spec, `transaction ${this.#transactions} of ${member.name}`);
      this.#scene.trace.push(
        `   ${attempt.name} asks for ${JSON.stringify(attempt.changes)} (${attempt.stage})`,
      );
      const { error } = attempt;
      if (error instanceof Violation) throw error;
      if (
        attempt.stage === 'refused' &&
        !isGivenUp(error) &&
        !(isStoreError(error) && !this.#scene.isQuiet)
      ) {
        if (member.lives) throw violation(`${attempt.name} cannot even ask: ${String(error)}`);
      }
      attempts.push(attempt);
    }
    return attempts;
  }

  async #askRival(rival: Rival, runner: Member, attempts: Attempt[]): Promise<Member | undefined> {
    const other = await this.#scene.member(rival.owner);
    if (other === undefined || !runner.lives) return undefined;
    attempts.push(...(await this.#askAll(other, rival.transactions)));
    return other;
  }

  /** What met a lock waits as long as it makes sense: for the owner to go on, or to be recovered. */
  async #finishQueues(): Promise<void> {
    for (let round = 0; round < roundsMax; round += 1) {
      const waiting = this.#scene.living().filter((member) => member.hasWork);
      if (waiting.length === 0) return;
      for (const member of waiting) {
        const waitingFor = this.#scene.runQueue(member, []);
        if (waitingFor.length === 0) continue;
        this.#scene.count('waited for a lock');
        this.#scene.tidyUp();
        if (this.#scene.dead.size > 0) await this.#scene.recover(member, []);
        for (const other of this.#scene.living()) {
          if (!waitingFor.includes(other.process.owner.number)) continue;
          this.#scene.materialize(other, []);
          this.#scene.work(other, [], () => {
            other.process.flushMarks();
            other.process.checkpoint();
          });
        }
      }
    }
    for (const member of this.#scene.living()) {
      if (!member.hasWork) continue;
      if (!this.#scene.disturbed) throw violation(`${member.name} waits for ever`);
      member.giveUp(new StoreError('ERR_STORE_LOCKED', 'waited too long', { op: 'commit' }));
    }
  }

  async #close(number: number): Promise<void> {
    const member = this.#scene.members[number];
    if (member === undefined || !member.lives) return;
    this.#scene.work(member, [], () => void member.close());
    this.#scene.members[number] = undefined;
    member.kill();
    await nextTurn();
  }

  /** If nobody dead is left to be recovered, everything is in its place. */
  async #settle(): Promise<void> {
    if (this.#scene.dead.size > 0) return;
    // What is deferred is read as it will be, and looked for when it is there.
    if (!this.#scene.isDeferred) this.#scene.oracle.settle(this.#files(), this.#aside());
    const living = new Set(this.#scene.living().map((member) => member.process.owner.id));
    const left = this.#staged().filter((name) => {
      const owner = name.split('/')[1]!.split('-')[0]!;
      return !living.has(owner) && !this.#scene.failed.has(owner);
    });
    // What a power cut brings back is swept by whoever opens the store next.
    if (left.length > 0 && !this.#scene.cutSinceRecovery)
      throw violation(`left by owners that are gone: ${left.join(', ')}`);
    const [member] = this.#scene.living();
    if (member === undefined) return;
    const found = new Map(await member.store.collection<string>(collection).range());
    this.#scene.oracle.checkReads({
      name: member.name,
      changes: [],
      reads: [{ kind: 'entries', entries: found }],
    });
  }

  #files(): Map<string, string | undefined> {
    return new Map(
      Object.entries(tree(this.#scene.world.outside)).map(([path, content]) =>
        path.endsWith('/') ? [path.slice(0, -1), undefined] : [path, content],
      ),
    );
  }

  /** What is kept besides the tree. */
  #aside(): string[] {
    return ['conflicts', 'before', 'staged'].flatMap((place) => this.#contentsOf(place));
  }

  #contentsOf(place: string): string[] {
    const { outside } = this.#scene.world;
    const directory = `${root}/.forewrit/${place}`;
    return outside.lstat(directory) === undefined ? [] : Object.values(tree(outside, directory));
  }

  /** What is left in the staging areas, once there are any. */
  #staged(): string[] {
    const { outside } = this.#scene.world;
    return outside.lstat(`${root}/.forewrit/before`) === undefined ? [] : stagingNames(outside);
  }

  /** Everybody dies; whoever comes next recovers, and may die of it. At last the store is what it must be. */
  async #end(): Promise<void> {
    this.#scene.trace.push('the end');
    for (const member of this.#scene.living()) this.#scene.kill(member);
    for (const event of this.#scene.program.end.slice(0, recoveriesMax)) {
      const member = await this.#scene.member(0, [event]);
      this.#scene.check();
      if (member !== undefined) this.#scene.kill(member);
    }
    this.#scene.disturbed = false;
    const last = await this.#scene.member(0);
    if (last === undefined) throw violation('nobody can open the store');
    await this.#settle();
    if (!this.#scene.oracle.everEdited) {
      const { findings } = await last.store.verify();
      if (findings.length > 0) throw violation(`verify finds ${JSON.stringify(findings)}`);
    }
    this.#scene.kill(last);
    await this.#recoverAgain();
    this.#scene.check();
  }

  async #recoverAgain(): Promise<void> {
    const left = this.#staged();
    if (left.length > 0) throw violation(`left in the staging areas: ${left.join(', ')}`);
    const conflicts = this.#contentsOf('conflicts');
    const files = [...this.#files().values()].filter((content) => content !== undefined);
    this.#scene.oracle.checkTokens([...files, ...conflicts]);
    const before = this.#scene.world.disk.listing().join('\n');
    const {
      redone,
      undone,
      kept,
      blocked,
      conflicts: saved,
      sweptFiles,
    } = await (await this.#scene.world.open()).recover();
    const work = [...redone, ...undone, ...kept, ...blocked, ...saved].length + sweptFiles;
    if (work > 0) throw violation('a second recovery finds something to do');
    if (this.#scene.world.disk.listing().join('\n') !== before)
      throw violation('a second recovery changes something');
  }
}
