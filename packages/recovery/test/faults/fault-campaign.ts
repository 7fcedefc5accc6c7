/**
 * Faults at every call: a scenario runs, and one call that it makes of the file system or of the log fails, once or from
 * then on, in every way there is; and where that makes it call something that it does not call otherwise (a roll-back, a
 * clean-up), that fails as well. The same is done to recovery, after a crash at any of the scenario's calls.
 *
 * Whatever happens, a transaction is done or not, and the caller is told which by the right code; the store goes on, or
 * says that it is poisoned. After a kill or a power cut, right after the fault, later, or at the end, recovery finds all
 * or nothing and leaves nothing behind.
 *
 * Calls are told apart by their stacks. Each stack is met by every kind of fault; with `everything`, each single call.
 */

import { describeChoice, Random, sampleChoice } from '@forewrit/testkit';
import { type Moment, prepared } from '../crash/preparation.js';
import { World } from '../world.js';
import type { Expectation } from './expectation.js';
import { kindsOf } from './fault-kinds.js';
import type { FaultScenario } from './fault-scenario.js';
import { describeInjection, type Injection, Injector, type Notes, type SeenCall } from './injector.js';
import { judge } from './judge.js';
import { MomentKeeper } from './moment-keeper.js';
import { Tally } from './tally.js';
import { recoverWithFaults, Work } from './work.js';

export interface CampaignOptions {
  readonly seed: number;
  /** Every call of every scenario, and more crashes after each fault. */
  readonly everything: boolean;
}

const firstPid = 1000;
/** One of so many crashes of a scenario has its recovery disturbed, if not everything is asked for. */
const stride = 5;

/** Of each moment: so many power cuts beside a death. */
const cuts = { some: 1, everything: 3 } as const;

/** `crashes`: whether moments after the faults are crashed, too. */
export type Run = (
  plan: readonly Injection[],
  notes: Notes,
  crashes: boolean,
) => Promise<readonly SeenCall[]>;

export class FaultCampaign {
  readonly tally = new Tally();
  readonly #random: Random;
  readonly #everything: boolean;
  /** Stack, kind of fault, once or sticky. */
  readonly #met = new Set<string>();
  /** Stacks of which it was looked, in this scenario, where a failure leads. */
  readonly #led = new Set<string>();

  constructor({ seed, everything }: CampaignOptions) {
    this.#random = new Random(seed);
    this.#everything = everything;
  }

  /** Faults while a scenario runs: in its opening, transactions and checkpoints. */
  async ofWork(scenario: FaultScenario): Promise<void> {
    this.#led.clear();
    const start = await prepared(scenario);
    await this.#everywhere(async (plan, notes, crashes) => {
      const injector = new Injector(plan, notes);
      const where = [scenario.name, ...plan.map(describeInjection)].join('\n  ');
      const keeps = crashes ? 'some' : 'none';
      const work = new Work(scenario, start.fork(), injector, { random: this.#random, keeps });
      const { moments, expectation } = await told(where, () => work.run());
      for (const moment of moments) await this.#crash(moment, { scenario, where, expectation });
      return injector.seen;
    });
  }

  /** Faults while a recovery runs, after crashes of the scenario. */
  async ofRecovery(scenario: FaultScenario): Promise<void> {
    this.#led.clear();
    const start = await prepared(scenario);
    const options = { random: this.#random, keeps: 'all' } as const;
    const { moments, expectation } = await new Work(
      scenario,
      start.fork(),
      new Injector([], 'nothing'),
      options,
    ).run();
    // Neighbours have nearly all calls of their recoveries in common.
    const first = this.#random.below(stride);
    for (const [index, moment] of moments.entries()) {
      // What `prepare` has left is recovered as it is.
      const isLeft = index === 0 && scenario.prepare !== undefined;
      if (!this.#everything && index % stride !== first && !isLeft) continue;
      for (const { world, how } of this.#crashesOf(moment)) {
        const crashed = { scenario, expectation, moment, where: `${scenario.name}, ${moment.what}, ${how}` };
        await this.#everywhere((plan, notes, crashes) =>
          this.#recovery(world, crashed, { plan, notes, crashes }),
        );
      }
    }
  }

  async #recovery(
    start: World,
    {
      scenario,
      expectation,
      moment,
      where: what,
    }: {
      readonly scenario: FaultScenario;
      readonly expectation: Expectation;
      readonly moment: Moment;
      readonly where: string;
    },
    {
      plan,
      notes,
      crashes,
    }: { readonly plan: readonly Injection[]; readonly notes: Notes; readonly crashes: boolean },
  ): Promise<readonly SeenCall[]> {
    const injector = new Injector(plan, notes);
    const where = [what, ...plan.map(describeInjection)].join('\n  ');
    const world = start.fork();
    const keeper = new MomentKeeper(world, injector, {
      random: this.#random,
      keeps: crashes ? 'some' : 'none',
      allowed: () => moment.allowed,
    });
    const recovering = { scenario, expectation, start: moment };
    await told(where, () => recoverWithFaults(world, recovering, { injector, keeper }));
    for (const each of keeper.moments) await this.#crash(each, { scenario, where, expectation });
    return injector.seen;
  }

  /** Faults at whatever else calls the seams: `run` does the same each time, but for the faults. */
  async of(run: Run): Promise<void> {
    this.#led.clear();
    await this.#everywhere(run);
  }

  /** Runs without a fault, then with each, then with each second one where the first leads to calls of its own. */
  async #everywhere(run: Run): Promise<void> {
    const seen = await run([], 'everything', false);
    const calls = new Set(seen.map(({ stack }) => stack.join(' ')));
    for (const call of seen) {
      for (const { injection, isNew } of this.#injectionsAt(call, true)) {
        const led = await run([injection], 'after', isNew);
        for (const next of led) {
          if (calls.has(next.stack.join(' '))) continue;
          for (const { injection: second } of this.#injectionsAt(next, false)) {
            this.tally.seconds += 1;
            await run([injection, second], 'nothing', true);
          }
        }
      }
    }
  }

  *#injectionsAt(call: SeenCall, isFirst: boolean): Generator<{ injection: Injection; isNew: boolean }> {
    this.tally.sees(call);
    const stack = call.stack.join(' ');
    for (const kind of kindsOf(call.seam, call.method)) {
      for (const sticky of [false, true]) {
        const key = `${kind.name} ${sticky} ${stack}`;
        const injection = { call, kind, sticky };
        const isNew = !this.#met.has(key) || this.#everything;
        if (isNew) {
          this.#met.add(key);
          this.tally.injects(injection);
        }
        // What one call that fails leads to is another thing in each scenario.
        const leads = isFirst && !sticky && kind.name === 'EIO' && !this.#led.has(stack);
        if (leads) this.#led.add(stack);
        if (isNew || leads) yield { injection, isNew };
      }
    }
  }

  async #crash(
    moment: Moment,
    {
      scenario,
      where,
      expectation,
    }: { readonly scenario: FaultScenario; readonly where: string; readonly expectation: Expectation },
  ): Promise<void> {
    for (const { world, how } of this.#crashesOf(moment)) {
      this.tally.crashes += 1;
      const { allowed, flushInDoubt = false } = moment;
      const judged = { scenario, expectation, allowed, inDoubt: flushInDoubt && how === 'killed' };
      await told(`${where}\n${moment.what}, ${how}`, () => judge(world, judged));
    }
  }

  *#crashesOf({ crash, death }: Moment): Generator<{ readonly world: World; readonly how: string }> {
    yield { world: death.fork(), how: 'killed' };
    const { effects } = crash;
    const choices = [
      sampleChoice(effects, this.#random),
      effects.map(() => 0),
      effects.map(({ whole }) => whole),
    ];
    for (const choice of choices.slice(0, this.#everything ? cuts.everything : cuts.some)) {
      const world = new World(crash.image(choice), death.log.clone(), { alive: new Set(), next: firstPid });
      yield { world, how: `power cut; survivors:\n${describeChoice(effects, choice)}` };
    }
  }
}

async function told<T>(where: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw new Error(`${where}\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, {
      cause: error,
    });
  }
}
