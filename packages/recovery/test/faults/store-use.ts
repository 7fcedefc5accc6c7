/**
 * A store that is opened, read and closed by its public surface while calls fail: whatever is answered is what was
 * answered without a fault, or the right code. Nothing is committed, and nothing changes.
 */

import { isStoreError, type Store, type StoreOptions } from '@forewrit/core';
import { openStore } from '#src/open.js';
import { showTree, type Tree } from '../campaign-model.js';
import { inlineLimitBytes } from '../crash/preparation.js';
import { checkNothingLeft } from './judge.js';
import { root, tree, type World } from '../world.js';
import type { Run } from './fault-campaign.js';
import { isRightCode } from './fault-kinds.js';
import { describeInjection, Injector } from './injector.js';

const idleTurns = 20;

export type Use = (store: Store) => Promise<unknown>;

export interface StoreScenario {
  readonly name: string;
  /** What is there when the store is opened, all of it durable. */
  readonly prepare: () => Promise<World>;
  readonly at?: string;
  readonly options?: StoreOptions;
  readonly uses: readonly Use[];
  /** Done by whoever opens the store without faults, before nothing must be left. */
  readonly tidies?: (store: Store) => Promise<void>;
  /** What is there once somebody has opened the store without faults. */
  readonly makes: Tree;
}

/** On the simulated disk, by a process of its own. */
export async function openOn(
  world: World,
  { options, at = root }: Pick<StoreScenario, 'options' | 'at'>,
  injector = new Injector([], 'nothing'),
): Promise<{ store: Store; kill: () => void }> {
  const { kill, ...seams } = world.seams(injector.options({}));
  const given = {
    committer: 'inline',
    clock: world.disk.clock,
    inlineLimitBytes,
    ...options,
    ...seams,
  } as const;
  try {
    return { store: await openStore(at, given), kill };
  } catch (error) {
    kill();
    throw error;
  }
}

export async function faultsInUse(
  scenario: StoreScenario,
  everywhere: (run: Run) => Promise<void>,
): Promise<void> {
  const start = await scenario.prepare();
  const expected: unknown[] = [];
  await everywhere(async (plan, notes) => {
    const injector = new Injector(plan, notes);
    const world = start.fork();
    try {
      await use(world, { scenario, injector, expected });
      if (!injector.done) throw new Error('a fault was not met: the run was another one');
      await judgeUse(world, scenario);
    } catch (error) {
      const where = [scenario.name, ...plan.map(describeInjection)].join('\n  ');
      throw new Error(`${where}\n${error instanceof Error ? error.stack : String(error)}`, { cause: error });
    }
    return injector.seen;
  });
}

async function use(
  world: World,
  {
    scenario,
    injector,
    expected,
  }: { readonly scenario: StoreScenario; readonly injector: Injector; readonly expected: unknown[] },
): Promise<void> {
  const opened = await rightly(injector, () => openOn(world, scenario, injector));
  if (opened === undefined) return;
  const { store, kill } = opened.answer;
  const isSingle = (): boolean => injector.happened.every(({ sticky }) => !sticky);
  for (const [index, each] of scenario.uses.entries()) {
    const found = await rightly(injector, () => each(store));
    await idle();
    if (found === undefined) continue;
    const text = JSON.stringify(found.answer);
    expected[index] ??= text;
    if (text !== expected[index])
      throw new Error(`use ${index} answered ${text}, not ${String(expected[index])}`);
  }
  // Once more: a fault that is over has left nothing behind. No second fault comes here.
  const seen = injector.seen.length;
  if (injector.happened.length > 0 && injector.done && isSingle() && store.status === 'open') {
    for (const [index, each] of scenario.uses.entries()) {
      const text = JSON.stringify(await each(store));
      await idle();
      if (text !== expected[index]) throw new Error(`then use ${index} answered ${text}`);
    }
  }
  injector.seen.splice(seen);
  await rightly(injector, () => store.close());
  kill();
}

/** Spare files are made in idle turns: always in the same ones, or runs would not be the same. */
async function idle(): Promise<void> {
  for (let turn = 0; turn < idleTurns; turn += 1) await new Promise(setImmediate);
}

/** `undefined` if it failed, with a code that belongs to the fault. */
async function rightly<T>(
  injector: Injector,
  action: () => Promise<T>,
): Promise<{ readonly answer: T } | undefined> {
  try {
    return { answer: await action() };
  } catch (error) {
    if (isStoreError(error) && injector.happened.some(({ kind }) => isRightCode(kind, error)))
      return undefined;
    throw error;
  }
}

async function judgeUse(world: World, { at, makes, tidies }: StoreScenario): Promise<void> {
  const dead = world.fork();
  const { store, kill } = await openOn(dead, at === undefined ? {} : { at });
  await tidies?.(store);
  const [found, wanted] = [tree(dead.outside), makes].map(showTree);
  if (found !== wanted) throw new Error(`afterwards there is ${found}, not ${wanted}`);
  if (at === undefined) checkNothingLeft(dead, { name: '', before: [], steps: [] });
  await store.close();
  kill();
}
