/**
 * Scenarios for calls that those of the crash enumeration do not make: file systems without hard links, a second one,
 * an overlay; owners, symbolic links, spare files, content that the caller has staged; and somebody who edits the files.
 */

import { deregisterOwner, hash64, isStoreError, type Operation, type StagingRequest } from '@forewrit/core';
import { type Fault, SimulatedDisk, type SimulatedFileSystem } from '@forewrit/testkit';
import { undoes } from '../crash/history-scenarios.js';
import type { Act } from '../crash/scenarios.js';
import { blockedScenario } from '../crash/undo-scenarios.js';
import { edit, mkdir, move, remove, root, type SimulatedProcess, World, write } from '../world.js';
import type { FaultScenario } from './fault-scenario.js';
import { recoveryScenarios } from './fault-scenarios-recovery.js';

const large = 'LARGE '.repeat(8);
const files = [[write('a', 'a0.'), write('b', 'b0.'), write('d/c', 'c0.')]];
const everything = { start: new Uint8Array(0) };

const noLinks: readonly Fault[] = [{ at: ({ method }) => method === 'link', error: 'EPERM', sticky: true }];
const secondFails: readonly Fault[] = [
  { at: ({ method, dest }) => method === 'rename' && dest === `${root}/b`, error: 'EIO' },
];

/** From here on the free space is looked at. */
const worthALook = 'x'.repeat(1 << 20);

function append(path: string, text: string): Operation {
  return { type: 'append', path, content: { kind: 'bytes', bytes: Buffer.from(text) }, options: {} };
}

function copy(from: string, path: string): Operation {
  return { type: 'copy', from, path, options: {} };
}

/** Done by somebody else before the first step, and durable. */
function before(does: (outside: SimulatedFileSystem) => void): (world: World) => World {
  return (world) => {
    does(world.outside);
    return world;
  };
}

function giveAway(outside: SimulatedFileSystem): void {
  for (const path of ['a', 'd/c']) {
    const descriptor = outside.openRead(`${root}/${path}`);
    outside.chown(descriptor, { uid: 1000, gid: 1000 });
    outside.close(descriptor);
  }
}

/** As a caller does who streams: the content is staged before the transaction is asked for. */
const writesStaged: Act = {
  makes: { a: large, b: `${large}b`, 'd/': '', 'd/c': 'c0.' },
  does(process, { outside }) {
    const [one, two] = [1, 2].map((index) => {
      const bytes = Buffer.from(large);
      const name = `${process.owner.id}-${index}-s`;
      edit(outside, `.forewrit/staged/${name}`, large, 'new');
      return { kind: 'staged', volume: '', name, size: bytes.byteLength, checksum: hash64(bytes) } as const;
    });
    process.commit(
      { type: 'write', path: 'a', content: one!, options: {} },
      { type: 'write', path: 'b', content: two!, options: {} },
      append('b', 'b'),
    );
  },
};

/** By a program that had the file open when it was replaced, into what history keeps of it. */
const writesIntoKept: Act = {
  does(_process, { outside }) {
    const before = `${root}/.forewrit/before`;
    for (const name of outside.list(before)) {
      const descriptor = outside.openUpdate(`${before}/${name}`);
      outside.write(descriptor, Buffer.from('theirs.'), 0);
      outside.sync(descriptor);
      outside.close(descriptor);
    }
  },
};

/** Too old from the beginning, so that recovery need not wait for anybody to go on with it. */
const ttlMs = -1;

function recorder({ engine }: SimulatedProcess): (request: StagingRequest) => void {
  return (request) => {
    const [refusal] = engine.resumables.run([request]);
    if (refusal !== undefined) throw refusal;
  };
}

function beginStaging(
  process: SimulatedProcess,
  outside: SimulatedFileSystem,
  { id, counter, volume }: { readonly id: string; readonly counter: number; readonly volume: string },
): string {
  const staged = `${process.owner.id}-${counter}-s0`;
  const area = volume === '' ? '.forewrit' : `${volume}/.forewrit-staged`;
  edit(outside, `${area}/staged/${staged}`, large, 'new');
  recorder(process)({ kind: 'begin', id, counter, ttlMs, volume, staged });
  return staged;
}

/** Content that arrived over time, in a transaction that is rolled back while somebody replaces its file. */
const adoptsAndRollsBack: Act = {
  does(process, { outside }) {
    const number = { owner: process.owner.number, counter: 1000 };
    const name = beginStaging(process, outside, { id: 'x', counter: number.counter, volume: '' });
    const checksum = hash64(Buffer.from(large));
    recorder(process)({ kind: 'advance', id: 'x', number, offset: large.length, checksum });
    const resumable = { id: 'x', number };
    const content = { kind: 'staged', volume: '', name, size: large.length, checksum, resumable } as const;
    const outcome = process.attempt({ type: 'write', path: 'a', content, options: {} }, write('b', 'b1.'));
    if (outcome instanceof Error && !isStoreError(outcome, 'ERR_APPLY_ROLLED_BACK')) throw outcome;
  },
};

/** Content that arrives over time, on a file system of its own; it is adopted, and something else is discarded. */
const stagesOverTime: Act = {
  makes: { a: 'a0.', b: 'b0.', 'd/': '', 'd/c': 'c0.', 'mnt/': '', 'mnt/x': large },
  does(process, { outside }) {
    const record = recorder(process);
    const begin = (id: string, counter: number, volume: string): string =>
      beginStaging(process, outside, { id, counter, volume });
    const owner = process.owner.number;
    const checksum = hash64(Buffer.from(large));
    record({ kind: 'open-area', volume: 'mnt' });
    const number = { owner, counter: 1000 };
    const name = begin('x', number.counter, 'mnt');
    record({ kind: 'advance', id: 'x', number, offset: large.length, checksum });
    const discarded = begin('y', 1001, '');
    record({ kind: 'discard', id: 'y', number: { owner, counter: 1001 } });
    outside.unlink(`${root}/.forewrit/staged/${discarded}`);
    const content = { kind: 'staged', volume: 'mnt', name, size: large.length, checksum } as const;
    const resumable = { id: 'x', number };
    process.commit({ type: 'write', path: 'mnt/x', content: { ...content, resumable }, options: {} });
  },
};

const atRevision: Operation = {
  type: 'write',
  path: 'a',
  content: { kind: 'bytes', bytes: Buffer.from('a1.') },
  options: { ifRevision: 1 },
};

/** Another program, which flushes what it has written. */
const writesDurably: Act = {
  does(_, { outside }) {
    edit(outside, 'a', 'theirs');
    const descriptor = outside.openRead(`${root}/a`);
    outside.sync(descriptor);
    outside.close(descriptor);
    outside.syncDirectory(root);
  },
};

/** An editor that has a file open, and goes on writing into it. */
const editors = new WeakMap<World, { readonly outside: SimulatedFileSystem; readonly descriptor: number }>();
const opens: Act = {
  does(_, world) {
    const { outside } = world;
    const descriptor = outside.create(`${root}/edited`, 0o644);
    outside.write(descriptor, Buffer.from('first'), 0);
    outside.sync(descriptor);
    outside.syncDirectory(root);
    editors.set(world, { outside, descriptor });
  },
};
const types: Act = {
  does(_, world) {
    const { outside, descriptor } = editors.get(world)!;
    world.disk.clock.advance(5);
    outside.write(descriptor, Buffer.from('typed later'), 0);
    outside.sync(descriptor);
  },
};

/** Into a directory that is removed already, where it stands in `before/`; twice the same name, one below the other. */
const adds: Act = {
  does(_, { outside }) {
    const area = `${root}/.forewrit/before`;
    for (const name of outside.list(area)) {
      if (outside.lstat(`${area}/${name}`)?.type !== 'directory') continue;
      for (const content of ['added', 'added below']) {
        const directory = content === 'added' ? `${area}/${name}` : `${area}/${name}/deep`;
        if (outside.lstat(`${directory}/new`) !== undefined) continue;
        const descriptor = outside.create(`${directory}/new`, 0o644);
        outside.write(descriptor, Buffer.from(content), 0);
        outside.sync(descriptor);
        outside.close(descriptor);
        outside.syncDirectory(directory);
      }
    }
  },
};

const isCommitted = ({ log }: World): boolean => log.rows('log').range(everything).length > 0;

function linkScenario(name: string, everywhere: readonly Fault[]): FaultScenario {
  return {
    name,
    before: files,
    everywhere,
    mayRefuse: everywhere.length > 0,
    prepare: before((outside) => {
      outside.symlink('nowhere', `${root}/l`);
      outside.symlink('a', `${root}/k`);
    }),
    steps: [[move('l', 'm'), write('a', 'a1.')], [move('m', 'k')], [move('b', 'k')], 'checkpoint'],
  };
}

/** Somebody replaces the first file when the second is about to be put in place, which fails. */
const replacesBeforeRollBack: FaultScenario['meddles'] = ({ method, dest }, world) => {
  if (method !== 'rename' || dest !== `${root}/b`) return;
  world.disk.clock.advance(5);
  edit(world.outside, 'a', 'somebody else');
  world.disk.settle();
};

export const faultScenarios: readonly FaultScenario[] = [
  {
    name: 'history: what somebody writes into is let go',
    options: { history: { maxBytes: 250 } },
    before: files,
    steps: [[write('a', 'a1.')], 'checkpoint', writesIntoKept, [write('b', 'b1.')], 'checkpoint'],
    edits: ['theirs.'],
  },
  ...recoveryScenarios,
  {
    name: 'deferred, and somebody has written its file',
    before: files,
    steps: [{ deferred: [write('a', '1.'), write('b', '1.')] }, writesDurably, 'materialize', 'checkpoint'],
    edits: ['theirs'],
  },
  {
    name: 'without hard links',
    before: files,
    everywhere: noLinks,
    steps: [
      [write('a', 'a1.'), write('b', large), move('d/c', 'n')],
      'checkpoint',
      [move('n', 'a'), remove('b')],
    ],
  },
  {
    name: 'on a second file system',
    disk: () => new SimulatedDisk({ volumes: [{ mountPoint: `${root}/mnt` }] }),
    before: files,
    steps: [
      [write('mnt/x', 'x1.'), write('mnt/d/y', large)],
      [write('mnt/x', 'x2.'), remove('mnt/d/y'), write('a', 'a1.')],
      'checkpoint',
    ],
  },
  {
    name: 'on a second file system that the store knows',
    disk: () => new SimulatedDisk({ volumes: [{ mountPoint: `${root}/mnt` }] }),
    before: [...files, [write('mnt/x', 'x0.')]],
    steps: [[write('mnt/x', 'x1.'), write('a', 'a1.')], 'checkpoint'],
  },
  {
    name: 'files of another user',
    before: files,
    options: { privileged: true },
    prepare: before(giveAway),
    steps: [[write('a', 'a1.'), write('d/c', large)], 'checkpoint'],
  },
  {
    name: 'files of another user, without hard links',
    before: files,
    options: { privileged: true },
    everywhere: noLinks,
    prepare: before(giveAway),
    steps: [[write('a', 'a1.'), write('d/c', large)], [move('a', 'n')]],
  },
  {
    name: 'undo of a removed directory with files of another user and a link',
    before: [...files, [write('d/s/e', large)]],
    options: { privileged: true, history: {} },
    prepare: before((outside) => {
      giveAway(outside);
      outside.symlink('nowhere', `${root}/d/s/l`);
    }),
    steps: [
      [remove('d')],
      'checkpoint',
      undoes(1, {
        a: 'a0.',
        b: 'b0.',
        'd/': '',
        'd/c': 'c0.',
        'd/s/': '',
        'd/s/e': large,
        'd/s/l': '<symlink>',
      }),
      'checkpoint',
      undoes(2, { a: 'a0.', b: 'b0.' }),
    ],
  },
  linkScenario('symbolic links', []),
  linkScenario('symbolic links, without hard links', noLinks),
  {
    name: 'spare files',
    before: files,
    steps: [
      { does: ({ context }) => void (context.spares.refill(), context.spares.refill()) },
      [write('a', 'a1.'), write('n', 'n1.')],
      { does: ({ context }) => void context.spares.refill() },
      'checkpoint',
      { does: ({ context }) => context.spares.end() },
    ],
  },
  { name: 'a store that is new', before: [], prepare: () => new World(), steps: [[write('a', 'a1.')]] },
  {
    name: 'with a root that has a name',
    before: files,
    options: { roots: { data: '/data' } },
    prepare: before((outside) => outside.makeDirectory('/data', 0o755)),
    steps: [[write('a', 'a1.')]],
  },
  { name: 'content that the caller has staged', before: files, steps: [writesStaged, 'checkpoint'] },
  {
    name: 'content that arrives over time',
    disk: () => new SimulatedDisk({ volumes: [{ mountPoint: `${root}/mnt` }] }),
    before: files,
    steps: [stagesOverTime, 'checkpoint'],
  },
  {
    name: 'append and copy',
    before: [[write('a', 'a0.'), write('b', large)]],
    steps: [
      [append('a', 'more'), copy('a', 'n')],
      [append('b', 'more'), copy('b', 'm'), append('m', large)],
    ],
  },
  { name: 'a write that is worth a look at the free space', before: [], steps: [[write('a', worthALook)]] },
  {
    name: 'a move onto another link of the same file',
    before: files,
    prepare: before((outside) => outside.link(`${root}/a`, `${root}/l`)),
    steps: [[move('a', 'l'), write('b', 'b1.')]],
  },
  {
    name: 'a move onto another link of the same file, and rolled back',
    before: files,
    prepare: before((outside) => outside.link(`${root}/a`, `${root}/l`)),
    faults: secondFails,
    steps: [[move('a', 'l'), write('b', 'b1.')]],
  },
  {
    name: 'a symbolic link that moved takes no further link, and is rolled back',
    before: files,
    faults: [
      {
        at: ({ method, path, dest }) =>
          method === 'link' && path === `${root}/a` && dest?.endsWith('.apply') === true,
        error: 'EMLINK',
        sticky: true,
      },
      ...secondFails,
    ],
    prepare: before((outside) => outside.symlink('nowhere', `${root}/l`)),
    steps: [[move('l', 'a'), write('b', 'b1.')]],
  },
  {
    name: 'a link in the place of a file, between the last look and the removal',
    before: files,
    edits: ['<symlink>'],
    meddles: ({ method, path, dest }, { outside }) => {
      if (method !== 'rename' || path !== `${root}/a` || !dest!.startsWith(`${root}/.forewrit/before/`))
        return;
      outside.unlink(path);
      outside.symlink('elsewhere', path);
    },
    steps: [[remove('a'), write('b', 'b1.')], 'checkpoint'],
  },
  {
    name: 'at a revision',
    before: [[write('a', 'a0.')]],
    steps: [[atRevision]],
  },
  {
    name: 'at a revision, and somebody has written its file',
    before: files,
    mayRefuse: true,
    steps: [writesDurably, [atRevision, write('b', 'b1.')]],
    edits: ['theirs'],
  },
  {
    name: 'what an editor writes into before-images',
    before: [[mkdir('d'), write('d/c', 'c0.')], [write('d/deep/f', 'f0.')]],
    edits: ['typed later', 'added', 'added below'],
    steps: [opens, [write('edited', 'e1.'), remove('d')], types, adds, 'checkpoint'],
  },
  {
    name: 'an edit that a roll-back meets',
    before: files,
    faults: secondFails,
    edits: ['somebody else'],
    meddles: replacesBeforeRollBack,
    steps: [[write('a', 'a1.'), write('b', 'b1.')]],
  },
  {
    name: 'content that arrived over time, and an edit that its roll-back meets',
    before: files,
    faults: secondFails,
    edits: ['somebody else'],
    meddles: replacesBeforeRollBack,
    steps: [adoptsAndRollsBack],
  },
  {
    name: 'a parent that somebody has made meanwhile',
    before: [],
    meddles: ({ method, path }, world) => {
      const { outside } = world;
      const isDue = method === 'lstat' && path === `${root}/x` && isCommitted(world);
      if (isDue && outside.lstat(path) === undefined) outside.makeDirectory(path, 0o755);
    },
    steps: [[write('x/a', 'a1.')]],
  },
  {
    name: 'a store that was closed',
    before: files,
    async prepare(world) {
      const process = await world.open();
      deregisterOwner(process.context, process.owner.number);
      process.kill();
      edit(world.outside, '.forewrit/staged/1-7-s0', 'left', 'new');
      return world;
    },
    steps: [[write('a', 'a1.')]],
  },
  {
    name: 'a witness of an owner that nobody knows',
    before: files,
    options: { probeWitness: () => Promise.resolve('refused') },
    prepare: before((outside) => {
      outside.close(outside.create(`${root}/.forewrit/log/witness-0`, 0o600));
    }),
    steps: [[write('a', 'a1.')]],
  },
  blockedScenario(
    'blocked, with a directory in the way, and repaired back',
    [write('a', 'a1.'), write('b', large)],
    {
      direction: 'back',
      boot: 'other',
      makes: {},
      edits: ['in the way'],
      meanwhile({ outside }) {
        outside.unlink(`${root}/a`);
        outside.makeDirectory(`${root}/a`, 0o755);
        edit(outside, 'a/file', 'in the way', 'new');
      },
    },
  ),
];
