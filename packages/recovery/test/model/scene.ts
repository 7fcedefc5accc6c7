/**
 * The store, its owners, and what happens to them: deaths, power cuts, failures and edits at any of their calls, and other
 * owners that get in between. It tells the oracle of each commit and of each answer.
 */

import {
  type Commit,
  decodeTransaction,
  isStoreError,
  lockRow,
  type LockRow,
  MemoryLog,
  metaKeys,
  numberRow,
  type RecoveryReport,
} from '@forewrit/core';
import { CrashSignal, type FileSystemCall, Random, sampleChoice } from '@forewrit/testkit';
import { readTransactionRows } from '#src/analysis.js';
import { contentOf, root, World } from '../world.js';
import type { Attempt } from './attempt.js';
import { canEditBefore, editFromOutside } from './edits.js';
import { type Conductor, Member, type Place } from './member.js';
import { Oracle, Violation, violation } from './oracle.js';
import type { Edit, Event, Program } from './program.js';
import type { Timeline } from './timeline.js';
import { changingMethods } from '../monitor.js';
import { editInWords } from './words.js';

const membersMax = 3;

const looking: ReadonlySet<string> = new Set(['lstat', 'link', 'openRead', 'list']);

export type Due = Event | { readonly what: 'rival'; readonly at: number; readonly member: Member };

/** What somebody is at, and what is to happen meanwhile. */
interface Work {
  readonly member: Member;
  readonly due: Due[];
  calls: number;
}

/** How much of everything there was, to see that a campaign does what it is for. */
export type Tally = Map<string, number>;

/** A blocked transaction: where the program ends. */
export class NeedsPerson extends Error {
  override readonly name = 'NeedsPerson';
}

export class Scene implements Conductor {
  readonly trace: string[] = [];
  revision = 0;
  readonly program: Program;
  readonly #tally: Tally;
  readonly oracle = new Oracle();
  readonly members: (Member | undefined)[] = Array.from({ length: membersMax });
  readonly #looks = new Map<Member, Map<string, number>>();
  /** Names in the staging areas, with what they were linked from. */
  readonly #links = new Map<string, string>();
  /** Owners that died, or were poisoned, and are not recovered yet. */
  readonly dead = new Set<Member>();
  readonly works: Work[] = [];
  world: World;
  #violation: unknown;
  #moment = 0;
  serial = 0;
  timeline: Timeline | undefined;
  cutSinceRecovery = false;
  /** As the content under a staged name is the same inode, it cannot be put anywhere after a power cut. */
  #editedInPlace = false;
  /** What failed may have been done all the same: what that left is swept at the next open. */
  readonly failed = new Set<string>();
  /** Something has happened in this step that may make a transaction fail. */
  disturbed = false;

  constructor(program: Program, tally: Tally) {
    this.program = program;
    this.#tally = tally;
    this.world = new World(undefined, undefined, undefined, (error) => {
      this.#violation ??= error;
    });
  }

  // What happens while somebody works.

  reached(member: Member, place: Place, call: FileSystemCall | undefined): void {
    this.#moment += 1;
    if (place === 'before a commit of the log') member.accepted = [];
    if (place === 'after a commit of the log') this.#flushed(member);
    if (call === undefined || changingMethods.has(call.method))
      this.timeline?.add(this.world, this.oracle.newest);
    const work = this.works.at(-1);
    if (work?.member === member) this.#happenIn(work, place, call);
    if (call !== undefined && looking.has(call.method)) this.#noteLook(member, call);
  }

  #happenIn(work: Work, place: Place, call: FileSystemCall | undefined): void {
    work.calls += 1;
    for (const event of work.due.slice()) {
      if (event.at > work.calls || !this.#isPossible(event, place, call)) continue;
      work.due.splice(work.due.indexOf(event), 1);
      this.#happen(work.member, event, place);
    }
  }

  #isPossible({ what }: Due, place: Place, call: FileSystemCall | undefined): boolean {
    switch (what) {
      case 'kill':
      case 'power cut':
        return true;
      case 'log fails':
        return place !== 'call';
      case 'error':
      case 'short write':
        return place === 'call';
      case 'edit':
        return place !== 'after a commit of the log' && (call === undefined || canEditBefore(call));
      case 'checkpoint':
      case 'rival':
        return this.world.log.busy === 'no';
    }
  }

  #happen(member: Member, event: Due, place: Place): void {
    this.disturbed = true;
    this.count(event.what);
    if (event.what !== 'rival')
      this.trace.push(`   ${event.what} at call ${this.works.at(-1)?.calls} (${place})`);
    switch (event.what) {
      case 'kill':
        this.kill(member);
        throw new CrashSignal('killed');
      case 'power cut':
        this.cutPower(event.seed);
        throw new CrashSignal('the power is cut');
      case 'log fails':
        throw new Error('the flush of the log fails');
      case 'error':
        this.failed.add(member.process.owner.id);
        member.arm(event);
        break;
      case 'short write':
        member.arm({ shortWrite: event.bytes });
        break;
      case 'edit':
        this.edit(event.edit);
        break;
      case 'checkpoint': {
        const other = this.members[event.owner];
        if (other?.lives !== true || this.works.some((work) => work.member === other)) break;
        this.work(other, [], () => other.process.checkpoint());
        break;
      }
      case 'rival':
        this.runQueue(event.member, []);
        break;
    }
  }

  #noteLook(member: Member, { path, method, dest }: FileSystemCall): void {
    const looks = this.#looks.get(member) ?? new Map<string, number>();
    this.#looks.set(member, looks);
    if (method === 'link' && dest !== undefined) this.#links.set(dest, path);
    // What is seen under another name is the same file.
    for (const each of [path, this.#links.get(path)])
      if (each !== undefined) looks.set(each.slice(root.length + 1), (this.#moment += 1));
  }

  /** A batch of this owner is durable. */
  #flushed(member: Member): void {
    const revision = this.#newestRevision();
    const { accepted } = member;
    member.accepted = [];
    if (accepted.length > 0) {
      const looks = this.#looks.get(member);
      for (const { attempt } of accepted) {
        this.guard(() => {
          attempt.undo = this.oracle.commit(attempt, (path, moment) => (looks?.get(path) ?? 0) > moment);
        });
        attempt.stage = 'committed';
        member.unanswered.push(attempt);
        this.count('committed');
        this.trace.push(`   ${attempt.name} is committed, revision ${attempt.revision}`);
      }
    } else if (revision > this.revision && member.unanswered.length > 0) {
      // One that was forced is tried again, and not answered when it has been taken back.
      const attempt = member.unanswered.find(({ stage }) => stage === 'committed') ?? member.unanswered[0];
      if (attempt!.undo !== undefined) this.oracle.undo(attempt!.undo);
      attempt!.stage = 'undone';
      this.count('rolled back');
      this.trace.push(`   ${attempt!.name} is rolled back`);
    }
    this.revision = revision;
  }

  #newestRevision(): number {
    const value = this.world.log.rows('meta').get(metaKeys.revision);
    return value === undefined ? 0 : numberRow.decode(metaKeys.revision, value);
  }

  #revisionsLogged(): Set<number> {
    const logged = new MemoryLog(this.world.log).view(readTransactionRows);
    const transactions = logged.map(({ number, rows }) => decodeTransaction(number, rows));
    return new Set(
      transactions.flatMap(({ commit, abort }) =>
        commit === undefined || abort !== undefined ? [] : [commit.revision],
      ),
    );
  }

  passed(attempt: Attempt): void {
    attempt.stage = 'committed';
    this.guard(() => {
      this.oracle.checkReads(attempt);
      if (!this.oracle.isIdle(attempt)) throw violation(`${attempt.name} has no revision of its own`);
    });
  }

  resolved(attempt: Attempt, { revision }: Commit): void {
    this.guard(() => {
      if (attempt.stage !== 'committed')
        throw violation(`${attempt.name} is acknowledged, and ${attempt.stage}`);
      if (revision !== attempt.revision)
        throw violation(`${attempt.name} has revision ${attempt.revision}, and is told ${revision}`);
    });
    attempt.stage = 'acknowledged';
    this.count('acknowledged');
  }

  rejected(member: Member, attempt: Attempt, error: unknown): void {
    attempt.error = error;
    const isUnknown = isStoreError(error, 'ERR_STORE_POISONED') || isStoreError(error, 'ERR_APPLY_BLOCKED');
    this.trace.push(`   ${attempt.name}: ${error instanceof Error ? error.message : String(error)}`);
    if (attempt.stage === 'committed' && member.lives && !isUnknown)
      this.guard(() => {
        throw violation(`${attempt.name} is refused, and committed: ${String(error)}`);
      });
    if (attempt.stage === 'asked') attempt.stage = 'refused';
    if (isStoreError(error, 'ERR_APPLY_BLOCKED')) this.blocked.add(member);
    if (isStoreError(error)) this.count(error.code);
    else if (member.lives && !member.isPoisoned)
      this.guard(() => {
        throw violation(`${attempt.name} fails with an error without a code: ${String(error)}`);
      });
  }

  readonly blocked = new Set<Member>();

  timePasses(): void {
    for (const member of this.living())
      if (member.lives) this.work(member, [], () => member.process.flushMarks());
  }

  async recoverDead(member: Member): Promise<void> {
    for (const each of this.living()) this.materialize(each, []);
    this.timePasses();
    if (this.dead.size > 0) await this.recover(member, []);
  }

  /** Some of what is committed is in no file yet. */
  get isDeferred(): boolean {
    return this.living().some(({ process }) => process.engine.deferred.transactions > 0);
  }

  materialize(member: Member, events: readonly Due[]): void {
    this.work(member, events, () => {
      const { conflicts, failures } = member.process.materialize();
      this.count('materialized');
      if (conflicts.length > 0 && !this.oracle.everEdited)
        throw violation(`taken for an edit: ${JSON.stringify(conflicts)}`);
      for (const { transaction, error } of failures) {
        this.trace.push(`   ${transaction} cannot follow: ${error.message}`);
        if (isStoreError(error, 'ERR_APPLY_BLOCKED')) this.blocked.add(member);
      }
    });
  }

  runQueue(member: Member, events: readonly Due[]): number[] {
    let waitingFor: number[] = [];
    if (!member.lives || !member.hasWork) return waitingFor;
    this.work(member, events, () => {
      waitingFor = member.run();
    });
    return waitingFor;
  }

  /** Runs something of a member, with what happens meanwhile. Whatever it throws is its end, or nothing at all. */
  work(member: Member, due: readonly Due[], action: () => unknown): void {
    if (!member.lives) return;
    const work: Work = { member, due: [...due], calls: 0 };
    this.works.push(work);
    try {
      action();
    } catch (error) {
      if (error instanceof Violation) this.#violation ??= error;
      if (member.lives && !this.disturbed && !(error instanceof CrashSignal)) this.#violation ??= error;
      this.trace.push(`   ${member.name} fails: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.works.pop();
      member.disarm();
    }
    this.#tally.set('calls max', Math.max(this.#tally.get('calls max') ?? 0, work.calls));
  }

  async member(number: number, events: readonly Event[] = []): Promise<Member | undefined> {
    const known = this.members[number];
    if (known?.lives === true) return known;
    const member = await Member.start(
      this.world,
      { number, inlineLimitBytes: this.program.inlineLimitBytes },
      this,
    );
    this.revision = this.#newestRevision();
    this.members[number] = member;
    this.trace.push(`   ${member.name} opens`);
    await this.recover(member, events);
    return member.lives ? member : undefined;
  }

  async recover(member: Member, events: readonly Event[]): Promise<void> {
    const dead = [...this.dead];
    const work: Work = { member, due: [...events], calls: 0 };
    this.works.push(work);
    let report: RecoveryReport | undefined;
    try {
      report = await member.process.recover();
    } catch (error) {
      this.trace.push(`   ${member.name} fails to recover: ${String(error)}`);
      if (member.lives && !this.disturbed) throw error;
      // Who cannot recover cannot open.
      if (member.lives) this.kill(member);
    } finally {
      this.works.splice(this.works.indexOf(work), 1);
      member.disarm();
    }
    if (report === undefined) return;
    for (const each of dead) this.dead.delete(each);
    this.count('recovered');
    const living = new Set(this.living().map((each) => each.process.owner.id));
    for (const owner of Array.from(this.failed)) if (!living.has(owner)) this.failed.delete(owner);
    const { blocked, kept, conflicts } = report;
    this.trace.push(`   ${member.name} recovers: ${JSON.stringify(report)}`);
    if (blocked.length > 0) {
      if (!this.#editedInPlace) throw violation(`blocked: ${blocked.join(', ')}`);
      throw new NeedsPerson(blocked.join(', '));
    }
    if (!this.oracle.everEdited && kept.length > 0) throw violation(`taken for an edit: ${kept.join(', ')}`);
    if (!this.oracle.everEdited && !this.cutSinceRecovery && conflicts.length > 0)
      throw violation(`conflicts that nobody made: ${JSON.stringify(conflicts)}`);
    if (this.dead.size === 0) this.cutSinceRecovery = false;
  }

  kill(member: Member): void {
    if (!member.lives) return;
    member.kill();
    this.dead.add(member);
    this.members[this.members.indexOf(member)] = undefined;
    this.trace.push(`   ${member.name} is dead`);
  }

  cutPower(seed: number): void {
    const effects = this.world.disk.pendingEffects('weakest');
    const world = this.world.powerCut(sampleChoice(effects, new Random(seed)));
    for (const member of this.living()) this.kill(member);
    this.world = world;
    this.timeline = undefined;
    this.cutSinceRecovery = true;
    this.oracle.powerCut(this.#revisionsLogged());
    this.count('power cuts');
  }

  edit(edit: Edit): void {
    const isDisputed = this.works.length > 0 || this.dead.size > 0 || this.isDeferred;
    this.serial += 1;
    const replaced = contentOf(this.world.outside, edit.path);
    const edited = editFromOutside(this.world, edit, `<e${this.serial}>`);
    if (edited === undefined) return;
    const { content } = edited;
    this.#moment += 1;
    this.disturbed = true;
    this.#editedInPlace ||= edit.how === 'in place';
    this.trace.push(`   ${editInWords(edit)}: ${content}`);
    this.count('edits');
    const { path, flushed } = edit;
    this.oracle.edit({ path, content, flushed, replaced, disputed: isDisputed }, this.#moment);
  }

  // Checks.

  /** Owners that cannot go on are gone, as their committer sees to. */
  tidyUp(): void {
    for (const member of this.living()) {
      if (!member.isPoisoned && !this.blocked.has(member)) continue;
      if (member.isPoisoned) member.deregister();
      this.kill(member);
    }
    this.check();
  }

  get isQuiet(): boolean {
    // What was edited before its transaction is recorded as applied passes for not being applied yet.
    if (this.oracle.everEdited && this.#locks().length > 0) return false;
    return this.dead.size === 0 && this.oracle.isSettled && !this.disturbed;
  }

  /** Some transaction waits for a person, though nobody may have been told yet: deferred saves are answered before. */
  get isBlocked(): boolean {
    return this.blocked.size > 0 || this.#locks().some(({ blocked }) => blocked);
  }

  #locks(): LockRow[] {
    return this.world.log
      .rows('locks')
      .range({ start: new Uint8Array(0) })
      .map(([key, value]) => lockRow.decode(key, value));
  }

  living(): Member[] {
    return this.members.filter((member) => member?.lives === true) as Member[];
  }

  /** What goes wrong inside the engine must not be taken for an error of the disk. */
  guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#violation ??= error;
    }
  }

  check(): void {
    if (this.#violation !== undefined) throw this.#violation;
  }

  count(what: string): void {
    this.#tally.set(what, (this.#tally.get(what) ?? 0) + 1);
  }
}
