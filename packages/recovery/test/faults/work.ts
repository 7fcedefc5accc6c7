/** A scenario that is carried out while its calls fail, and what its processes say of that. */

import { isStoreError, type Operation, type StoreError } from '@forewrit/core';
import type { FileSystemCall, Random } from '@forewrit/testkit';
import { inlineLimitBytes, type Moment } from '../crash/preparation.js';
import { Impossible } from '../crash/impossible.js';
import type { Step } from '../crash/scenarios.js';
import { type ProcessOptions, type SimulatedProcess, tree, type World, write } from '../world.js';
import { Expectation } from './expectation.js';
import type { FaultScenario } from './fault-scenario.js';
import { isRightCode } from './fault-kinds.js';
import type { Injector } from './injector.js';
import { checkNothingLeft, checkTree, editsIn } from './judge.js';
import { type Keeps, MomentKeeper } from './moment-keeper.js';

export interface Ran {
  readonly moments: readonly Moment[];
  readonly expectation: Expectation;
}

interface Actor {
  readonly process: SimulatedProcess;
  readonly world: World;
}

export class Work {
  readonly #scenario: FaultScenario;
  readonly #world: World;
  readonly #injector: Injector;
  #processes: readonly SimulatedProcess[] = [];
  readonly #expectation: Expectation;
  readonly #keeper: MomentKeeper;
  /** A transaction is blocked, or its outcome unknown: until it is recovered, some of its files may be new. */
  #isLogUnusable = false;
  #isHalfDone: boolean;

  constructor(
    scenario: FaultScenario,
    world: World,
    injector: Injector,
    options: { readonly random: Random; readonly keeps: Keeps },
  ) {
    this.#scenario = scenario;
    this.#world = world;
    this.#injector = injector;
    this.#expectation = new Expectation(
      scenario.afterRecovery?.makes ?? scenario.recoversTo ?? tree(world.outside),
    );
    this.#isHalfDone = scenario.afterRecovery !== undefined;
    this.#keeper = new MomentKeeper(world, injector, {
      ...options,
      allowed: () => this.#expectation.allowed,
    });
  }

  async run(): Promise<Ran> {
    const { steps, others = [], faults = [], everywhere = [], options = {}, meddles } = this.#scenario;
    const beforeCall = (call: FileSystemCall): void => meddles?.(call, this.#world);
    const given: ProcessOptions = {
      ...options,
      inlineLimitBytes,
      faults: everywhere,
      onStep: this.#keeper.step,
    };
    const first = await openOr(
      this.#world,
      this.#injector.options({ ...given, faults: [...faults, ...everywhere], beforeCall }),
      this.#injector,
    );
    if (first !== undefined) {
      const second = others.length === 0 ? first : await this.#world.openStore(given);
      this.#processes = [first, second];
      for (let turn = 0; turn < Math.max(steps.length, others.length); turn += 1) {
        await this.#carryOut({ process: first, world: this.#world }, steps[turn]);
        await this.#carryOut({ process: second, world: this.#world }, others[turn]);
      }
      this.#goOn(first);
    }
    if (!this.#injector.done) throw new Error('a fault was not met: the run was another one');
    this.#keeper.keepEnd();
    return { moments: this.#keeper.moments, expectation: this.#expectation };
  }

  async #carryOut(actor: Actor, step: Step | undefined): Promise<void> {
    if (step === undefined) return;
    const { process } = actor;
    if (typeof step === 'object' && !('does' in step)) {
      const operations = 'deferred' in step ? step.deferred : step;
      this.#expectation.begin(operations);
      this.#expectation.end(this.#attempt(process, operations, 'deferred' in step));
      return;
    }
    if (typeof step === 'object' && step.makes !== undefined) this.#expectation.beginOther(step.makes);
    try {
      if (step === 'checkpoint') process.checkpoint();
      else if (step === 'marks') process.flushMarks();
      else if (step === 'materialize') this.#materialize(process);
      else await step.does(process, actor.world);
      this.#expectation.end(typeof step === 'object' && step.makes !== undefined ? 'done' : 'unknown');
    } catch (error) {
      if (error instanceof Impossible && this.#injector.happened.length > 0) {
        this.#expectation.end('not done');
        return;
      }
      assertRight(error, this.#injector);
      // A repair writes to the log without the engine, which meets that when it writes next.
      if (isStoreError(error, 'ERR_STORE_POISONED')) this.#isLogUnusable = true;
      if (isStoreError(error, 'ERR_APPLY_BLOCKED')) this.#isHalfDone = true;
      this.#expectation.end('unknown');
    }
  }

  #attempt(
    process: SimulatedProcess,
    operations: readonly Operation[],
    deferred = false,
  ): 'done' | 'not done' | 'unknown' {
    const { poison } = process.engine;
    const outcome = deferred ? process.attemptDeferred(...operations) : process.attempt(...operations);
    if (!(outcome instanceof Error)) {
      this.#check('done');
      return 'done';
    }
    // Of another process: it waits for one that has failed.
    if (outcome.message.startsWith('locked')) return 'not done';
    // What an earlier failure has made impossible is refused for what it is.
    const { faults = [], mayRefuse = false } = this.#scenario;
    const isExpected = !this.#expectation.isPossible || faults.length > 0 || mayRefuse;
    assertRight(outcome, this.#injector, isExpected);
    if (poison !== undefined) {
      if (!isStoreError(outcome, 'ERR_STORE_POISONED'))
        throw new Error(`poisoned, and said ${outcome.message}`);
      return 'not done';
    }
    if (isStoreError(outcome, 'ERR_STORE_POISONED') || isStoreError(outcome, 'ERR_APPLY_BLOCKED')) {
      this.#isHalfDone = true;
      return 'unknown';
    }
    this.#check('not done');
    return 'not done';
  }

  /** A caller who was told what has become of it sees just that. */
  #check(outcome: 'done' | 'not done'): void {
    const trees = this.#expectation.after(outcome);
    if (this.#scenario.edits !== undefined || this.#isHalfDone || this.#isDeferred) return;
    checkTree(this.#world, {
      scenario: this.#scenario,
      expectation: this.#expectation,
      allowed: trees,
      edits: undefined,
    });
  }

  /** What fails is tried again later; until then, as in a poisoned store, the files lag behind. */
  #materialize(process: SimulatedProcess): void {
    for (const { error } of process.materialize().failures) {
      if (isStoreError(error, 'ERR_APPLY_BLOCKED') || isStoreError(error, 'ERR_STORE_POISONED'))
        this.#isHalfDone = true;
    }
    if (process.engine.poison !== undefined) this.#isHalfDone = true;
    this.#check('not done');
  }

  get #isDeferred(): boolean {
    return this.#processes.some(({ engine }) => engine.deferred.transactions > 0);
  }

  #tolerate(action: () => void): void {
    try {
      action();
    } catch (error) {
      assertRight(error, this.#injector);
    }
  }

  /** Poisoned it refuses, and touches nothing; otherwise it goes on as if nothing had been. */
  #goOn(process: SimulatedProcess): void {
    const probe = [write('probe', 'probe.')];
    const mayFail = !this.#injector.done || this.#injector.happened.some(({ sticky }) => sticky);
    const poisoned = this.#isLogUnusable || process.engine.poison !== undefined;
    this.#expectation.begin(probe);
    const outcome = this.#attempt(process, probe);
    this.#expectation.end(outcome);
    if (poisoned) return;
    if (mayFail) {
      this.#tolerate(() => process.checkpoint());
      return;
    }
    if (outcome !== 'done') throw new Error('after a single fault the store does not go on');
    process.checkpoint();
    if (process.openPaths.some((path) => !path.includes('/spare/')))
      throw new Error(`left open: ${process.openPaths.join(', ')}`);
  }
}

/** What fails does so with the code that belongs to the fault. */
export function assertRight(error: unknown, injector: Injector, isExpected = false): void {
  if (!isStoreError(error)) throw new Error(`not a StoreError: ${String(error)}`, { cause: error });
  const kinds = injector.happened.map(({ kind }) => kind);
  if (isExpected) return;
  if (!kinds.some((kind) => isRightCode(kind, error)))
    throw new Error(`a wrong code: ${describe(error)}`, { cause: error });
}

function describe({ code, message }: StoreError): string {
  return `${code} (${message})`;
}

/** `undefined` if it could not be opened, for the right reason. */
export async function openOr(
  world: World,
  options: ProcessOptions,
  injector: Injector,
): Promise<SimulatedProcess | undefined> {
  try {
    return await world.openStore(options);
  } catch (error) {
    assertRight(error, injector);
    return undefined;
  }
}

/** Recovery, and what a person does after it, while calls fail. */
export async function recoverWithFaults(
  world: World,
  {
    scenario,
    expectation,
    start,
  }: { readonly scenario: FaultScenario; readonly expectation: Expectation; readonly start: Moment },
  { injector, keeper }: { readonly injector: Injector; readonly keeper: MomentKeeper },
): Promise<void> {
  const { options, everywhere = [], meddlesInRecovery } = scenario;
  const given: ProcessOptions = {
    ...options,
    inlineLimitBytes,
    faults: everywhere,
    beforeCall: (call) => meddlesInRecovery?.(call, world),
    onStep: keeper.step,
  };
  const edits = editsIn(world, scenario);
  const process = await openOr(world, injector.options(given), injector);
  if (process !== undefined) {
    const isBlocked = process.recovery!.blocked.length > 0;
    if (isBlocked && scenario.afterRecovery === undefined && injector.happened.length === 0)
      throw new Error(`blocked: ${JSON.stringify(process.recovery)}`);
    try {
      await scenario.afterRecovery?.does(process);
      if (!isBlocked || scenario.afterRecovery !== undefined) {
        checkTree(world, { scenario, expectation, allowed: start.allowed, edits });
        checkNothingLeft(world, scenario);
      }
    } catch (error) {
      if (scenario.afterRecovery === undefined || !isStoreError(error)) throw error;
      assertRight(error, injector);
    }
    process.kill();
  }
  if (!injector.done) throw new Error('a fault was not met: the run was another one');
  keeper.keepEnd();
}
