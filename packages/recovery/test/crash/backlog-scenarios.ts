/** Recovery that answers before all that it has put in its place is durable, and what is saved meanwhile. */

import type { Operation } from '@forewrit/core';
import type { Tree } from '../campaign-model.js';
import {
  mkdir,
  move,
  type ProcessOptions,
  remove,
  type SimulatedProcess,
  type World,
  write,
} from '../world.js';
import { inlineLimitBytes } from './preparation.js';
import type { Act, Scenario } from './scenarios.js';

const files = [[write('a', 'a0.'), write('b', 'b0.'), write('d/c', 'c0.'), write('gone', 'g0.')]];
const large = 'LARGE '.repeat(8);

/** Commits each of these; the last one is not applied. */
export async function leavesBehind(
  world: World,
  ...transactions: readonly (readonly Operation[])[]
): Promise<World> {
  const last = transactions.length - 1;
  const dying = await world.open({
    inlineLimitBytes,
    failpoint: { name: 'log.after', action: 'throw', skip: last },
  });
  for (const operations of transactions.slice(0, last)) dying.commit(...operations);
  if (!(dying.attempt(...transactions[last]!) instanceof Error)) throw new Error('it did not die');
  dying.kill();
  return world;
}

const finishes: Act = { does: async (process: SimulatedProcess) => void (await process.finishBacklog()) };
const options = { flushesMax: 0 } satisfies ProcessOptions;
const keeping = { flushesMax: 0, keepsBacklog: true } satisfies ProcessOptions;
const afterBoth: Tree = { a: 'a2.', b: large, 'd/': '', 'd/c': 'c0.' };

export const backlogScenarios: readonly Scenario[] = [
  {
    name: 'backlog: applied by one, and by nobody, and made durable later',
    before: files,
    prepare: (world) =>
      leavesBehind(world, [write('a', 'a1.')], [write('a', 'a2.'), write('b', large), remove('gone')]),
    recoversTo: afterBoth,
    options,
    steps: [],
  },
  {
    name: 'backlog: saves and a checkpoint before it is made durable',
    before: files,
    prepare: (world) => leavesBehind(world, [write('a', 'a1.'), write('b', 'b1.')], [write('b', 'b2.')]),
    recoversTo: { a: 'a1.', b: 'b2.', 'd/': '', 'd/c': 'c0.', gone: 'g0.' },
    options: keeping,
    steps: [[write('a', 'a3.'), write('n/e', 'e3.')], 'checkpoint', finishes, [write('b', 'b4.')]],
  },
  {
    name: 'backlog: directories made and moved',
    before: files,
    prepare: (world) =>
      leavesBehind(
        world,
        [mkdir('e'), write('e/f', 'f1.')],
        [move('d', 'e/d'), write('e/d/c', 'c2.'), move('a', 'z')],
      ),
    recoversTo: { b: 'b0.', 'e/': '', 'e/d/': '', 'e/d/c': 'c2.', 'e/f': 'f1.', gone: 'g0.', z: 'a0.' },
    options: keeping,
    steps: [[write('z', 'z3.')], finishes],
  },
];
