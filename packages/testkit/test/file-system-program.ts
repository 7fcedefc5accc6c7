/** Random programs of file system calls, for running the same one against two file systems. */
import type { Descriptor, FileStat, FileSystem } from '@forewrit/core';
import type { Random } from '#src/random.js';

/** What a call gave: a value that can be compared, or the code of its error. */
export type Answer = { readonly value: unknown } | { readonly code: string };

export interface Step {
  readonly name: string;
  run(machine: Machine): unknown;
}

const names = ['a', 'b', 'c', 'd'] as const;
const contentBytesMax = 6_000;

/** A file system, the directory the program works in, and the files that it has open, by number. */
export class Machine {
  readonly fileSystem: FileSystem;
  readonly base: string;
  readonly #open: Descriptor[] = [];

  constructor(fileSystem: FileSystem, base: string) {
    this.fileSystem = fileSystem;
    this.base = base;
  }

  get openCount(): number {
    return this.#open.length;
  }

  answer(step: Step): Answer {
    try {
      return { value: step.run(this) };
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (typeof code !== 'string') throw error;
      // POSIX leaves the choice where a rename meets a directory that is not empty, and xfs says EEXIST.
      return { code: code === 'EEXIST' && step.name.startsWith('rename ') ? 'ENOTEMPTY' : code };
    }
  }

  at(path: string): string {
    return path === '' ? this.base : `${this.base}/${path}`;
  }

  keepOpen(descriptor: Descriptor): void {
    this.#open.push(descriptor);
  }

  opened(number: number): Descriptor {
    return this.#open[number] as Descriptor;
  }

  close(number: number): void {
    const [descriptor] = this.#open.splice(number, 1);
    if (descriptor !== undefined) this.fileSystem.close(descriptor);
  }

  closeAll(): void {
    while (this.#open.length > 0) this.close(0);
  }
}

/**
 * The comparable part of a stat: inode numbers and times are each file system's own, and so is what it makes of the
 * size and the links of a directory.
 */
function comparable(stat: FileStat | undefined): unknown {
  if (stat === undefined) return undefined;
  const { type, size, mode, uid, gid, nlink } = stat;
  return type === 'directory' ? { type, mode, uid, gid } : { type, size, mode, uid, gid, nlink };
}

type Run = (machine: Machine) => unknown;
type StepMaker = (random: Random, openCount: number) => Step;

/** The next step of a random program. `openCount` is how many files it has open. */
export function randomStep(random: Random, openCount: number): Step {
  const makers = openCount > 0 && random.chance(0.4) ? descriptorSteps : pathSteps;
  return random.pick(makers)(random, openCount);
}

function randomPath(random: Random): string {
  const depth = random.pick([1, 1, 1, 2, 2, 3]);
  const parts: string[] = Array.from({ length: depth }, () => random.pick(names));
  // Never out of the directory it works in.
  if (depth > 1 && random.chance(0.05)) parts[depth - 1] = random.pick(['.', '..']);
  if (depth === 3 && random.chance(0.05)) parts[1] = random.pick(['.', '..']);
  if (random.chance(0.01)) parts[depth - 1] = 'x'.repeat(random.pick([255, 256]));
  return parts.join('/').replace(/\.\.\/\.\.$/, '../a');
}

function randomMode(random: Random): number {
  return random.pick([0o600, 0o644, 0o640, 0o755, 0o777]);
}

function onPath(
  name: string,
  prepare: (random: Random) => (machine: Machine, path: string) => unknown,
): StepMaker {
  return (random) => {
    const path = randomPath(random);
    const run = prepare(random);
    return { name: `${name} ${path}`, run: (machine) => run(machine, machine.at(path)) };
  };
}

function onTwoPaths(name: string, run: (machine: Machine, from: string, to: string) => unknown): StepMaker {
  return (random) => {
    const from = randomPath(random);
    const to = randomPath(random);
    return {
      name: `${name} ${from} ${to}`,
      run: (machine) => run(machine, machine.at(from), machine.at(to)),
    };
  };
}

function onOpen(
  name: string,
  prepare: (random: Random) => (machine: Machine, descriptor: Descriptor) => unknown,
): StepMaker {
  return (random, openCount) => {
    const number = random.below(openCount);
    const run = prepare(random);
    return {
      name: `${name} of the open file ${number}`,
      run: (machine) => run(machine, machine.opened(number)),
    };
  };
}

const create = onPath('create', (random) => {
  const mode = randomMode(random);
  return (machine, path) => machine.keepOpen(machine.fileSystem.create(path, mode));
});
const openRead = onPath(
  'openRead',
  () => (machine, path) => machine.keepOpen(machine.fileSystem.openRead(path)),
);
const openUpdate = onPath(
  'openUpdate',
  () => (machine, path) => machine.keepOpen(machine.fileSystem.openUpdate(path)),
);
const lstat = onPath('lstat', () => (machine, path) => comparable(machine.fileSystem.lstat(path)));
const list = onPath('list', () => (machine, path) => machine.fileSystem.list(path).sort());
const readlink = onPath('readlink', () => (machine, path) => machine.fileSystem.readlink(path));
const unlink = onPath('unlink', () => (machine, path) => machine.fileSystem.unlink(path));
const removeDirectory = onPath(
  'removeDirectory',
  () => (machine, path) => machine.fileSystem.removeDirectory(path),
);
const makeDirectory = onPath('makeDirectory', (random) => {
  const mode = randomMode(random) | 0o700;
  return (machine, path) => machine.fileSystem.makeDirectory(path, mode);
});
const chmodPath = onPath('chmodPath', (random) => {
  const mode = randomMode(random) | 0o700;
  return (machine, path) => machine.fileSystem.chmodPath(path, mode);
});
const symlink: StepMaker = (random) => {
  const path = randomPath(random);
  const target = random.chance(0.1) ? random.pick(['', '.', '..', '../a/b', './b']) : randomPath(random);
  const absolute = random.chance(0.2);
  return {
    name: `symlink ${path} to ${absolute ? 'absolute ' : ''}'${target}'`,
    run: (machine) =>
      machine.fileSystem.symlink(absolute && target !== '' ? machine.at(target) : target, machine.at(path)),
  };
};
const syncDirectory = onPath(
  'syncDirectory',
  () => (machine, path) => machine.fileSystem.syncDirectory(path),
);
const mountId = onPath('mountId', () => (machine, path) => machine.fileSystem.mountId(path) !== undefined);
const link = onTwoPaths('link', (machine, from, to) => machine.fileSystem.link(from, to));
const rename = onTwoPaths('rename', (machine, from, to) => machine.fileSystem.rename(from, to));

const write = onOpen('write', (random) => {
  const position = random.pick([0, 0, random.below(contentBytesMax)]);
  const bytes = random.bytes(random.below(contentBytesMax));
  return (machine, descriptor) => machine.fileSystem.write(descriptor, bytes, position);
});
const read = onOpen('read', (random) => {
  const position = random.pick([0, 0, random.below(contentBytesMax)]);
  const length = random.below(contentBytesMax);
  return (machine, descriptor) => {
    const into = Buffer.alloc(length);
    const count = machine.fileSystem.read(descriptor, into, position);
    return { count, content: into.toString('latin1') };
  };
});
const truncate = onOpen('truncate', (random) => {
  const size = random.below(contentBytesMax);
  return (machine, descriptor) => machine.fileSystem.truncate(descriptor, size);
});
const chmod = onOpen('chmod', (random) => {
  const mode = randomMode(random) | 0o700;
  return (machine, descriptor) => machine.fileSystem.chmod(descriptor, mode);
});
const stat = onOpen('stat', () => (machine, descriptor) => comparable(machine.fileSystem.stat(descriptor)));
const sync = onOpen('sync', () => (machine, descriptor) => machine.fileSystem.sync(descriptor));
const close: StepMaker = (random, openCount) => {
  const number = random.below(openCount);
  const run: Run = (machine) => machine.close(number);
  return { name: `close the open file ${number}`, run };
};

// Often is what changes the tree, seldom what waits for a disk.
const pathSteps = weighted([
  [create, 3],
  [makeDirectory, 3],
  [symlink, 2],
  [link, 2],
  [rename, 6],
  [unlink, 1],
  [removeDirectory, 1],
  [openRead, 1],
  [openUpdate, 1],
  [lstat, 3],
  [list, 1],
  [readlink, 1],
  [chmodPath, 1],
  [syncDirectory, 1],
  [mountId, 1],
]);
const descriptorSteps = weighted([
  [write, 4],
  [read, 3],
  [truncate, 1],
  [chmod, 1],
  [stat, 3],
  [sync, 1],
  [close, 4],
]);

function weighted(makers: readonly (readonly [StepMaker, number])[]): readonly StepMaker[] {
  return makers.flatMap(([maker, weight]) => Array.from({ length: weight }, () => maker));
}

/** Everything below the directory of the program: stats, contents, targets. */
export function snapshotOf(machine: Machine): unknown {
  const { fileSystem } = machine;
  const found: unknown[] = [];
  // Inodes by the order in which they are met: links of one inode are seen as such.
  const inodes: bigint[] = [];
  const visit = (path: string): void => {
    const stat = fileSystem.lstat(path);
    if (stat !== undefined && !inodes.includes(stat.ino)) inodes.push(stat.ino);
    const inode = inodes.indexOf(stat?.ino ?? 0n);
    found.push([path.slice(machine.base.length), inode, comparable(stat)]);
    if (stat?.type === 'directory') {
      for (const name of fileSystem.list(path).sort()) visit(`${path}/${name}`);
    } else if (stat?.type === 'symlink') {
      found.push(fileSystem.readlink(path));
    } else if (stat?.type === 'file') {
      const descriptor = fileSystem.openRead(path);
      const content = Buffer.alloc(stat.size + 1);
      const count = fileSystem.read(descriptor, content, 0);
      fileSystem.close(descriptor);
      found.push(content.toString('latin1', 0, count));
    }
  };
  visit(machine.base);
  return found;
}
