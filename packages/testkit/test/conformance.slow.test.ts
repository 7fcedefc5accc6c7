/** The simulated file system answers as the real one does: same results, same codes, same tree. */
import { isDeepStrictEqual } from 'node:util';
import { type FileSystem, NodeFileSystem } from '@forewrit/core';
import * as assert from '#src/assert.js';
import { announceSeed, Random } from '#src/random.js';
import { SimulatedDisk } from '#src/simulated-disk.js';
import { suite } from '#src/suite.js';
import { temporaryDirectory } from '#src/temp-directory.js';
import { Machine, randomStep, snapshotOf } from './file-system-program.js';

const programCount = 60;
const stepCount = 250;
const traceShown = 60;
const umask = 0o022;

const notLinux = process.platform === 'linux' ? undefined : 'the simulated file system is that of Linux';
const test = suite('SimulatedFileSystem beside the real file system');

/** A simulated file system for a process like this one. */
function simulated(): FileSystem {
  return new SimulatedDisk().mount({
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    umask,
  });
}

/** Makes a directory with its parents, as far as they are missing. */
function prepare(fileSystem: FileSystem, path: string): void {
  const names = path.split('/').slice(1);
  for (const index of names.keys()) {
    const parent = `/${names.slice(0, index + 1).join('/')}`;
    if (fileSystem.lstat(parent) === undefined) fileSystem.makeDirectory(parent, 0o755);
  }
}

test.skipIf(notLinux, 'random programs get the same answers and leave the same tree', () => {
  process.umask(umask);
  const random = new Random(announceSeed('conformance'));
  let steps = 0;
  for (let program = 0; program < programCount; program += 1) {
    using directory = temporaryDirectory('conformance');
    // Symbolic links to '..' lead out of where the program works, so that is far down.
    const base = `${directory.path}/1/2/3/4/5/6/7/8`;
    const real = new Machine(new NodeFileSystem(), base);
    const other = new Machine(simulated(), base);
    for (const { fileSystem } of [real, other]) prepare(fileSystem, base);
    const trace: string[] = [];
    try {
      for (let step = 0; step < stepCount; step += 1) {
        const next = randomStep(random, real.openCount);
        const wanted = real.answer(next);
        trace.push(`${next.name}: ${'code' in wanted ? wanted.code : 'done'}`);
        const got = other.answer(next);
        assert.ok(isDeepStrictEqual(got, wanted), describeDifference({ trace, wanted, got }));
        if (step % 50 === 49) {
          const [left, right] = [snapshotOf(real), snapshotOf(other)];
          assert.ok(isDeepStrictEqual(right, left), describeDifference({ trace, wanted: left, got: right }));
        }
        steps += 1;
      }
    } finally {
      real.closeAll();
    }
  }
  console.log(`conformance: ${steps} steps`);
});

interface Difference {
  readonly trace: readonly string[];
  readonly wanted: unknown;
  readonly got: unknown;
}

function describeDifference({ trace, wanted, got }: Difference): string {
  return `the real one: ${show(wanted)}\nsimulated:    ${show(got)}\nafter:\n${trace.slice(-traceShown).join('\n')}`;
}

function show(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 2_000) ?? 'undefined';
}

test.run();
