/**
 * Scenarios for what recovery seldom does: a process is dead already, and somebody has touched what it left, or the power
 * was cut in just that moment. Recovery runs when the store is opened; there are no steps but that.
 */

import type { Operation } from '@forewrit/core';
import type { Fault } from '@forewrit/testkit';
import type { RepairDirection } from '#src/repair.js';
import type { Tree } from '../campaign-model.js';
import { undo } from '../history-world.js';
import { inlineLimitBytes } from '../crash/preparation.js';
import { blockedScenario, repairs } from '../crash/undo-scenarios.js';
import {
  contentOf,
  edit,
  mkdir,
  move,
  type ProcessOptions,
  remove,
  root,
  type SimulatedProcess,
  type World,
  write,
} from '../world.js';
import type { FaultScenario } from './fault-scenario.js';

const large = 'LARGE '.repeat(8);
const files = [[write('a', 'a0.'), write('b', 'b0.'), write('d/c', 'c0.')]];
const old: Tree = { a: 'a0.', b: 'b0.', 'd/': '', 'd/c': 'c0.' };
const area = `${root}/.forewrit`;

const noLinks: readonly Fault[] = [{ at: ({ method }) => method === 'link', error: 'EPERM', sticky: true }];

/** Commits these, and dies before the last one is applied. */
async function diesAfterCommit(
  world: World,
  ...transactions: readonly (readonly Operation[])[]
): Promise<void> {
  const applied = await world.open({ inlineLimitBytes });
  for (const operations of transactions.slice(0, -1)) applied.commit(...operations);
  applied.kill();
  await dies(world, 'log.after', transactions.at(-1)!);
}

async function dies(
  world: World,
  at: NonNullable<ProcessOptions['failpoint']>['name'],
  operations: readonly Operation[],
): Promise<void> {
  const dying = await world.open({ inlineLimitBytes, failpoint: { name: at, action: 'throw' } });
  if (!(dying.attempt(...operations) instanceof Error)) throw new Error('it did not die');
  dying.kill();
}

/** Commits and applies these; then the power is cut, and nothing survives that was not flushed. */
async function losesAll(world: World, ...transactions: readonly (readonly Operation[])[]): Promise<World> {
  const process = await world.open({ inlineLimitBytes });
  for (const operations of transactions) process.commit(...operations);
  process.kill();
  return world.powerCut(() => false);
}

/** Durable content of large files, but for their apply names. */
function stagedNames({ outside }: World): string[] {
  return outside.list(`${area}/staged`).filter((name) => !name.endsWith('.apply'));
}

/** A directory that was removed comes back, as its removal is blocked; and there is a file in its place since. */
function directoryCameBack(name: string, before: readonly (readonly Operation[])[]): FaultScenario {
  const does = (process: SimulatedProcess): Promise<void> => repairs(process, 'back');
  const makes = { a: 'a0.', d: 'd1.' };
  return {
    name,
    before: [[write('a', 'a0.')], ...before],
    async prepare(world) {
      const cut = await losesAll(world, [remove('d'), write('rotten', large)], [write('d', 'd1.')]);
      for (const each of stagedNames(cut)) cut.outside.unlink(`${area}/staged/${each}`);
      return cut;
    },
    steps: [{ does, makes }],
    afterRecovery: { does, makes },
  };
}

/** An undo was to bring a directory back, and died: before it moved to its place, or before the file that follows. */
async function undoDies(world: World, before: 'd' | 'gone'): Promise<void> {
  const history = {};
  const process = await world.open({ inlineLimitBytes, history });
  process.commit(remove('d'), remove('gone'));
  process.checkpoint();
  process.kill();
  const dying = await world.open({
    inlineLimitBytes,
    history,
    beforeCall: ({ method, dest }) => {
      if (method === 'rename' && dest === `${root}/${before}`) dying.kill();
    },
  });
  const id = `${process.owner.id}-1`;
  const outcome: unknown = await undo(dying, id).catch((error: unknown) => error);
  if (!(outcome instanceof Error)) throw new Error('it did not die');
}

/** What comes back with it is lost, and a person takes all of it back. */
function undoRepaired(name: string, direction: RepairDirection, makes: Tree): FaultScenario {
  const does = (process: SimulatedProcess): Promise<void> => repairs(process, direction);
  return {
    name,
    before: [...files, [write('gone', large)]],
    options: { history: {} },
    async prepare(world) {
      await undoDies(world, direction === 'back' ? 'gone' : 'd');
      for (const each of stagedNames(world).filter((found) => !found.endsWith('.tree')))
        world.outside.unlink(`${area}/staged/${each}`);
      return world;
    },
    steps: [{ does, makes }],
    afterRecovery: { does, makes },
  };
}

export const recoveryScenarios: readonly FaultScenario[] = [
  {
    name: 'recovery: a file came back where there is to be a directory',
    before: files,
    prepare: (world) => losesAll(world, [remove('a')], [mkdir('a'), write('a/x', 'x1.')]),
    recoversTo: { 'a/': '', 'a/x': 'x1.', b: 'b0.', 'd/': '', 'd/c': 'c0.' },
    steps: [],
  },
  directoryCameBack('recovery: an empty directory came back where there is to be a file', [[mkdir('d')]]),
  directoryCameBack('recovery: a directory came back where there is to be a file', [[write('d/c', 'c0.')]]),
  {
    name: 'recovery: a parent that another program had made is lost',
    before: files,
    async prepare(world) {
      world.outside.makeDirectory(`${root}/n`, 0o755);
      return await losesAll(world, [write('n/a', 'a1.')]);
    },
    recoversTo: { ...old, 'n/': '', 'n/a': 'a1.' },
    steps: [],
  },
  {
    name: 'recovery: a directory that was made, removed by somebody and made again has never been',
    before: files,
    async prepare(world) {
      const process = await world.open({ inlineLimitBytes });
      process.commit(mkdir('n'));
      world.outside.removeDirectory(`${root}/n`);
      process.commit(mkdir('n'));
      process.kill();
      return world.powerCut(() => false);
    },
    recoversTo: { ...old, 'n/': '' },
    steps: [],
  },
  {
    name: 'recovery: a file has lost its mode',
    before: files,
    async prepare(world) {
      const process = await world.open({ inlineLimitBytes });
      process.commit(write('a', large, 0o640));
      process.kill();
      world.outside.chmodPath(`${root}/a`, 0o600);
      world.disk.settle();
      return world.powerCut();
    },
    recoversTo: { ...old, a: large },
    steps: [],
  },
  {
    name: 'recovery: somebody has filled a directory that was never put in its place',
    before: files,
    edits: ['filled'],
    async prepare(world) {
      await dies(world, 'stage.after', [mkdir('n')]);
      const { outside } = world;
      for (const name of outside.list(`${area}/staged`)) {
        edit(outside, `.forewrit/staged/${name}/file`, 'filled', 'new');
      }
      return world;
    },
    recoversTo: old,
    steps: [],
  },
  {
    name: 'recovery: a file that is to move has lost its staged name',
    before: files,
    async prepare(world) {
      await diesAfterCommit(world, [move('a', 'n')]);
      for (const name of stagedNames(world)) world.outside.unlink(`${area}/staged/${name}`);
      return world;
    },
    recoversTo: { b: 'b0.', 'd/': '', 'd/c': 'c0.', n: 'a0.' },
    steps: [],
  },
  {
    name: 'recovery: somebody puts our own file in its place at the last moment',
    before: files,
    async prepare(world) {
      await diesAfterCommit(world, [write('a', 'a1.')]);
      return world;
    },
    meddlesInRecovery({ method, path }, { outside }) {
      // It is about to be compared with what was staged.
      if (method !== 'openRead' || !path.endsWith('.apply') || contentOf(outside, path) !== 'a1.') return;
      outside.unlink(`${root}/a`);
      outside.link(path, `${root}/a`);
    },
    recoversTo: { ...old, a: 'a1.' },
    steps: [],
  },
  {
    name: 'recovery: somebody has put something where a directory was to come back',
    before: [...files, [write('gone', 'g0.')]],
    options: { history: {} },
    async prepare(world) {
      await undoDies(world, 'd');
      world.disk.clock.advance(5);
      edit(world.outside, 'd', 'theirs');
      world.disk.settle();
      return world;
    },
    edits: ['theirs'],
    recoversTo: { a: 'a0.', b: 'b0.', d: 'theirs', gone: 'g0.' },
    steps: [],
  },
  undoRepaired('recovery: a directory that has come back, repaired back', 'back', { a: 'a0.', b: 'b0.' }),
  undoRepaired('recovery: a directory that was to come back, left as it is', 'quarantine', {
    a: 'a0.',
    b: 'b0.',
  }),
  {
    name: 'recovery: a symbolic link that moved takes no further link',
    before: files,
    async prepare(world) {
      world.outside.symlink('nowhere', `${root}/l`);
      world.disk.settle();
      await diesAfterCommit(world, [move('l', 'm')]);
      return world.powerCut(() => false);
    },
    everywhere: noLinks,
    recoversTo: { ...old, m: '<symlink>' },
    steps: [],
  },
  blockedScenario(
    'recovery: blocked with a new file, and repaired back',
    [write('n', 'n1.'), write('a', large)],
    {
      direction: 'back',
      boot: 'same',
      makes: { ...old, gone: 'g0.' },
    },
  ),
  blockedScenario(
    'recovery: blocked with a directory that is gone, and repaired back',
    [remove('d'), remove('gone')],
    {
      direction: 'back',
      boot: 'other',
      makes: { ...old, gone: 'g0.' },
      diesAt: ({ method, path }) => method === 'rename' && path === `${root}/gone`,
      meanwhile: ({ outside }) => outside.unlink(`${root}/rotten`),
    },
  ),
  blockedScenario(
    'recovery: blocked, and somebody saves the old content once more, and repaired back',
    [write('b', 'b1.')],
    {
      direction: 'back',
      boot: 'same',
      makes: { ...old, gone: 'g0.' },
      diesAt: ({ method, dest }) => method === 'rename' && dest === `${root}/b`,
      meanwhile({ disk, outside }) {
        disk.clock.advance(5);
        const descriptor = outside.openWrite(`${root}/b`);
        outside.write(descriptor, Buffer.from('b0.'), 0);
        outside.sync(descriptor);
        outside.close(descriptor);
      },
    },
  ),
];
