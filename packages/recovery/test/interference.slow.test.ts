/**
 * Recovery that is interfered with at any of its calls, once: by another program that replaces or removes something that
 * is being recovered, or by an error. Whatever the moment, whoever recovers next brings everything else to where the
 * committed transaction wanted it, blocks nothing, and leaves nothing to do. What somebody has put there is not lost, unless it came in
 * the one moment in which nobody can see it.
 */

import type { Operation } from '@forewrit/core';
import { repairTransaction } from '#src/repair.js';
import { assert, type Fault, type FaultCode, type SimulatedFileSystem, suite } from '@forewrit/testkit';
import {
  blind,
  edit,
  flushing,
  mkdir,
  move,
  type ProcessOptions,
  remove,
  root,
  type SimulatedProcess,
  stagingNames,
  tree,
  World,
  write,
} from './world.js';

const test = suite('interference with recovery', { timeoutMs: 300_000 });

const small: ProcessOptions = { inlineLimitBytes: 1024 };
const large: ProcessOptions = { inlineLimitBytes: 0 };

interface Scenario {
  readonly name: string;
  readonly size: ProcessOptions;
  readonly operations: readonly Operation[];
  /** Where somebody edits, and where that goes from there. */
  readonly paths: Readonly<Record<string, string>>;
}

const scenarios: readonly Scenario[] = [
  {
    name: 'small files',
    size: small,
    operations: [write('a', 'new a', 0o600), write('n/n', 'new n'), remove('b')],
    paths: { a: 'a', 'n/n': 'n/n', n: 'n', b: 'b' },
  },
  {
    name: 'large files',
    size: large,
    operations: [write('a', 'new a', 0o600), write('n', 'new n')],
    paths: { a: 'a', n: 'n' },
  },
  {
    name: 'files that move',
    size: small,
    operations: [move('a', 'n'), move('b', 'd/x')],
    paths: { a: 'n', b: 'd/x', n: 'a', 'd/x': 'b' },
  },
  {
    name: 'directories that move and go',
    size: small,
    operations: [move('d', 'm'), write('m/x', 'new x'), remove('e'), mkdir('o')],
    paths: { d: 'm', m: 'd', 'd/x': 'm/x', e: 'e', o: 'o' },
  },
];

/** Everything is old and durable, and the transaction committed; it was applied up to so many renames, and its process died. */
async function died({ size, operations }: Scenario, applied: number): Promise<World> {
  const world = new World();
  const before = await world.open(size);
  before.commit(...['a', 'b', 'd/x', 'd/y', 'e/z', 'kept'].map((path) => write(path, `old ${path}`)));
  before.checkpoint();
  before.kill();
  let left = Number.POSITIVE_INFINITY;
  const process = await world.open({
    ...size,
    onStep: (what) => {
      if (what === flushing) left = applied;
    },
    beforeCall: ({ method }) => {
      if (method === 'rename' && left-- === 0) process.kill();
    },
  });
  left = Number.POSITIVE_INFINITY;
  const outcome = process.attempt(...operations);
  assert.instance(outcome, Error);
  process.kill();
  return world;
}

async function recoveredTree(world: World): Promise<Record<string, string>> {
  const copy = world.fork();
  await copy.open();
  return tree(copy.outside);
}

interface Interference {
  readonly name: string;
  readonly faults: (at: () => boolean) => readonly Fault[];
  readonly edit?: (fileSystem: SimulatedFileSystem) => void;
  readonly isFree: (path: string) => boolean;
}

function clear(fileSystem: SimulatedFileSystem, absolute: string): void {
  const type = fileSystem.lstat(absolute)?.type;
  if (type === undefined) return;
  if (type !== 'directory') return fileSystem.unlink(absolute);
  for (const name of fileSystem.list(absolute)) clear(fileSystem, `${absolute}/${name}`);
  fileSystem.removeDirectory(absolute);
}

function hasParent(fileSystem: SimulatedFileSystem, absolute: string): boolean {
  return fileSystem.lstat(absolute.slice(0, absolute.lastIndexOf('/')))?.type === 'directory';
}

const edits: Readonly<Record<string, (fileSystem: SimulatedFileSystem, absolute: string) => void>> = {
  'a file is put': (fileSystem, absolute) => {
    clear(fileSystem, absolute);
    if (hasParent(fileSystem, absolute)) edit(fileSystem, absolute, 'edited', 'new');
  },
  'it is removed': clear,
  'a directory is put': (fileSystem, absolute) => {
    clear(fileSystem, absolute);
    if (!hasParent(fileSystem, absolute)) return;
    fileSystem.makeDirectory(absolute, 0o755);
    edit(fileSystem, `${absolute}/edited`, 'edited', 'new');
  },
  'a link is put': (fileSystem, absolute) => {
    clear(fileSystem, absolute);
    if (hasParent(fileSystem, absolute)) fileSystem.symlink(`${root}/kept`, absolute);
  },
};

const errors: readonly FaultCode[] = ['EIO', 'EPERM', 'ENOSPC'];

function concerns(edited: string, path: string): boolean {
  const name = path.replace(/\/$/, '');
  return name === edited || name.startsWith(`${edited}/`) || edited.startsWith(`${name}/`);
}

function interferencesWith({ paths }: Scenario): Interference[] {
  return [
    ...errors.map(
      (error): Interference => ({
        name: error,
        faults: (at) => [{ error, at }],
        isFree: () => false,
      }),
    ),
    ...Object.entries(paths).flatMap(([path, goesTo]) =>
      Object.entries(edits).map(
        ([name, make]): Interference => ({
          name: `where '${path}' was: ${name}`,
          faults: () => [],
          edit: (fileSystem) => make(fileSystem, `${root}/${path}`),
          isFree: (each) => concerns(path, each) || concerns(goesTo, each),
        }),
      ),
    ),
  ];
}

/** Recovers once with the interference before its call `at`; says whether it came so far, and whether that could be seen. */
async function recoverInterfered(
  world: World,
  { faults, edit: change }: Interference,
  at: number,
): Promise<{ readonly reached: boolean; readonly seen: boolean }> {
  let count = 0;
  let armed = false;
  let seen = false;
  const process = await world.start({
    faults: faults(() => armed && count++ === at),
    beforeCall: ({ method }) => {
      if (!armed || change === undefined || count++ !== at) return;
      change(world.outside);
      seen = !blind.has(method) && hasEdit(world);
    },
  });
  armed = true;
  try {
    await process.recover();
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error, `an error with a code, not ${String(error)}`);
  } finally {
    armed = false;
    process.kill();
  }
  return { reached: count > at, seen };
}

function hasEdit({ outside }: World): boolean {
  const everywhere = { ...tree(outside), ...tree(outside, `${root}/.forewrit/conflicts`) };
  return Object.values(everywhere).includes('edited');
}

/**
 * Where somebody has put something that is no directory in the way to a path there is nothing sound to do, and a person
 * decides: then that must be possible.
 */
async function wasBlocked(
  process: SimulatedProcess,
  { edit: change }: Interference,
  what: string,
): Promise<boolean> {
  const [id, ...more] = process.recovery!.blocked;
  if (id === undefined) return false;
  assert.ok(change !== undefined && more.length === 0, what);
  await repairTransaction(process.context, process.owner, { id, direction: 'quarantine', blocked: [id] });
  process.kill();
  return true;
}

for (const scenario of scenarios) {
  for (const boot of ['same', 'other'] as const) {
    test(`${scenario.name} are recovered, interfered with at any call, on ${boot === 'same' ? 'the same' : 'another'} boot`, async () => {
      let met = 0;
      const lost: string[] = [];
      for (const applied of [0, 1]) {
        const before = await died(scenario, applied);
        const start = boot === 'same' ? before : before.powerCut(() => false);
        const expected = await recoveredTree(start);
        for (const interference of interferencesWith(scenario)) {
          for (let at = 0; ; at += 1) {
            const world = start.fork();
            const what = `${applied} applied, ${interference.name}, call ${at}`;
            const { reached, seen } = await recoverInterfered(world, interference, at);
            const next = await world.open();
            if (seen && !hasEdit(world)) lost.push(what);
            if (await wasBlocked(next, interference, what)) {
              if (!reached) break;
              continue;
            }
            const found = tree(world.outside);
            const wrong = [...new Set([...Object.keys(found), ...Object.keys(expected)])].filter(
              (path) => found[path] !== expected[path] && !interference.isFree(path),
            );
            assert.equal(wrong, [], what);
            assert.equal(stagingNames(world.outside), [], what);
            next.kill();
            const last = await world.open();
            const { redone, kept, undone } = last.recovery!;
            assert.equal([...redone, ...kept, ...undone], [], what);
            if (!reached) break;
            met += 1;
          }
        }
      }
      assert.equal(lost, []);
      assert.ok(met > 100, `${met} moments`);
    });
  }
}

test.run();
