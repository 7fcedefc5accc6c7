/** Whole contents over a file system that gives and takes less than asked, and what tells one file from another. */

import { mkdirSync, readFileSync, symlinkSync, writeFileSync, readlinkSync, statSync } from 'node:fs';
import { changedCodes } from '#src/errors.js';
import { copyDurably, eachPiece, readFileAt, writeFully } from '#src/files/content.js';
import type { FileStat } from '#src/files/file-system.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { makeDirectoryIfMissing, recordedMount, recordMounts, Volumes } from '#src/files/volume.js';
import { watchFallbackMs, watchLog } from '#src/log/log-watch.js';
import { imageOf, sameFingerprint, showsImage } from '#src/record/image.js';
import { assert, FaultyFileSystem, suite, temporaryDirectory } from '@forewrit/testkit';

const test = suite('content');

/** Gives at most three bytes at once. */
class Sparing extends NodeFileSystem {
  readonly chowned: string[] = [];
  uid: number | undefined;

  override read(descriptor: number, into: Uint8Array, position: number): number {
    return super.read(descriptor, into.subarray(0, 3), position);
  }
  override chown(_descriptor: number, { uid }: { readonly uid: number; readonly gid: number }): void {
    this.chowned.push(String(uid));
  }
  override stat(descriptor: number): FileStat {
    const stat = super.stat(descriptor);
    return this.uid === undefined || stat.size === 0 ? stat : { ...stat, uid: this.uid };
  }
}

test('a content is read whole, however little comes at once, and as far as it goes', () => {
  using directory = temporaryDirectory('content');
  const file = `${directory.path}/a`;
  writeFileSync(file, '0123456789');
  assert.is(Buffer.from(readFileAt(new Sparing(), file)).toString(), '0123456789');
  class Longer extends NodeFileSystem {
    override stat(descriptor: number): FileStat {
      return { ...super.stat(descriptor), size: 100 };
    }
  }
  assert.is(Buffer.from(readFileAt(new Longer(), file)).toString(), '0123456789');
});

test('the first bytes of a content are read, and nothing beyond them', () => {
  using directory = temporaryDirectory('content');
  const file = `${directory.path}/a`;
  const content = Buffer.alloc(200_000, 'the content of a file that is read in several pieces ');
  writeFileSync(file, content);
  for (const fileSystem of [new NodeFileSystem(), new Sparing()]) {
    for (const bytesMax of [0, 1, 65_536, 65_537, 199_999, 200_000, 200_001, undefined]) {
      // Three bytes at once are enough of a file's beginning.
      if (fileSystem instanceof Sparing && (bytesMax === undefined || bytesMax > 65_537)) continue;
      const descriptor = fileSystem.openRead(file);
      const pieces: Buffer[] = [];
      let end = 0;
      const read = eachPiece(
        fileSystem,
        descriptor,
        (piece, position) => {
          assert.is(position, end);
          end += piece.length;
          pieces.push(Buffer.from(piece));
        },
        bytesMax,
      );
      fileSystem.close(descriptor);
      const expected = content.subarray(0, bytesMax);
      assert.is(read, expected.length);
      assert.ok(Buffer.concat(pieces).equals(expected), `${bytesMax}`);
    }
  }
});

test('a content is read at once as far as it is known to go', () => {
  using directory = temporaryDirectory('content');
  writeFileSync(`${directory.path}/a`, '0123456789');
  const reads: number[] = [];
  class Counting extends NodeFileSystem {
    override read(descriptor: number, into: Uint8Array, position: number): number {
      reads.push(into.length);
      return super.read(descriptor, into, position);
    }
  }
  const fileSystem = new Counting();
  const descriptor = fileSystem.openRead(`${directory.path}/a`);
  eachPiece(fileSystem, descriptor, () => undefined, 10);
  fileSystem.close(descriptor);
  assert.equal(reads, [10]);
});

test('a file system that takes no more bytes, and says nothing, is an error', () => {
  using directory = temporaryDirectory('content');
  const fileSystem = new FaultyFileSystem(new NodeFileSystem(), {
    faults: [{ shortWrite: 0, at: () => true }],
  });
  const descriptor = fileSystem.create(`${directory.path}/a`, 0o600);
  assert.throwsWithCode(() => writeFully(fileSystem, descriptor, Buffer.from('x'), 0), 'EIO');
  fileSystem.close(descriptor);
});

test('a copy has content, mode and owner of the first, and of a link its target', () => {
  using directory = temporaryDirectory('content');
  writeFileSync(`${directory.path}/a`, 'content', { mode: 0o640 });
  const fileSystem = new Sparing();
  fileSystem.uid = 4711;
  copyDurably(fileSystem, `${directory.path}/a`, `${directory.path}/b`);
  assert.is(readFileSync(`${directory.path}/b`, 'utf8'), 'content');
  assert.is(statSync(`${directory.path}/b`).mode & 0o777, 0o640);
  fileSystem.uid = undefined;
  symlinkSync('somewhere/else', `${directory.path}/link`);
  copyDurably(fileSystem, `${directory.path}/link`, `${directory.path}/copy`);
  assert.is(readlinkSync(`${directory.path}/copy`), 'somewhere/else');
});

test('the owner of a copy is given only where it is another', () => {
  using directory = temporaryDirectory('content');
  writeFileSync(`${directory.path}/a`, 'content');
  let looks = 0;
  class Owned extends Sparing {
    override stat(descriptor: number): FileStat {
      looks += 1;
      return { ...super.stat(descriptor), uid: looks % 2 === 1 ? 7 : 8 };
    }
  }
  const owned = new Owned();
  copyDurably(owned, `${directory.path}/a`, `${directory.path}/b`);
  assert.equal(owned.chowned, ['7']);
  const same = new Sparing();
  copyDurably(same, `${directory.path}/a`, `${directory.path}/c`);
  assert.equal(same.chowned, []);
});

test('a birth time that is not known says nothing', () => {
  const one = { ino: 1n, size: 2, mtimeNs: 3n, birthtimeNs: 4n };
  assert.is(sameFingerprint(one, { ...one }), true);
  assert.is(sameFingerprint(one, { ...one, birthtimeNs: 0n }), true);
  assert.is(sameFingerprint({ ...one, birthtimeNs: 0n }, one), true);
  assert.is(sameFingerprint(one, { ...one, birthtimeNs: 5n }), false);
  for (const other of [{ ino: 9n }, { size: 9 }, { mtimeNs: 9n }]) {
    assert.is(sameFingerprint(one, { ...one, ...other }), false);
  }
});

test('an image is shown by what it was taken of, and by nothing of another type', () => {
  using directory = temporaryDirectory('content');
  writeFileSync(`${directory.path}/file`, 'x');
  mkdirSync(`${directory.path}/directory`);
  symlinkSync('x', `${directory.path}/link`);
  const fileSystem = new NodeFileSystem();
  const stats = ['file', 'directory', 'link', 'nothing'].map((name) =>
    fileSystem.lstat(`${directory.path}/${name}`),
  );
  for (const [n, stat] of stats.entries()) {
    for (const [m, other] of stats.entries()) assert.is(showsImage(other, imageOf(stat)), n === m);
  }
  assert.is(showsImage(stats[1], { type: 'directory' }), true, 'any directory will do');
});

test('each area has the mount that was recorded for it, and none that was not', () => {
  const recorded = recordMounts('root mount', [
    { path: 'mnt', mount: 'one' },
    { path: 'one', mount: '' },
  ]);
  assert.is(recordedMount(recorded, ''), 'root mount');
  assert.is(recordedMount(recorded, 'mnt'), 'one');
  assert.is(recordedMount(recorded, 'one'), '');
  assert.is(recordedMount(recorded, 'other'), '');
  assert.is(recordedMount('root mount\0mnt', 'mnt'), '', 'cut short');
});

test('a directory of ours may be there already, and any other failure is told', () => {
  using directory = temporaryDirectory('content');
  const path = `${directory.path}/d`;
  assert.is(makeDirectoryIfMissing(new NodeFileSystem(), path), true);
  assert.is(makeDirectoryIfMissing(new NodeFileSystem(), path), false);
  const failing = (error: 'EEXIST' | 'ENOSPC'): FaultyFileSystem =>
    new FaultyFileSystem(new NodeFileSystem(), {
      faults: [{ error, at: ({ method }) => method === 'makeDirectory' }],
    });
  assert.is(makeDirectoryIfMissing(failing('EEXIST'), `${path}2`), false);
  assert.throwsWithCode(() => makeDirectoryIfMissing(failing('ENOSPC'), `${path}2`), 'ENOSPC');
});

test('where no mount can be told an area has none', () => {
  class Unknown extends NodeFileSystem {
    override mountId(): undefined {
      return undefined;
    }
  }
  using directory = temporaryDirectory('content');
  const volumes = new Volumes(new Unknown(), { root: directory.path, named: new Map() });
  assert.is(volumes.main.mount, '');
});

test('where a directory cannot be watched a change is found by looking', async () => {
  let version = 1;
  let heard = 0;
  const unwatch = watchLog({
    directory: '/missing/directory',
    fileName: 'data.mdb',
    version: () => version,
    listener: () => (heard += 1),
  });
  version = 2;
  const keepAlive = setInterval(() => undefined, 1000);
  for (let waited = 0; heard === 0 && waited < 10 * watchFallbackMs; waited += 20) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  clearInterval(keepAlive);
  assert.is(heard, 1);
  unwatch();
});

test('what the system answers for a file that became something else is told apart from failure', () => {
  using directory = temporaryDirectory('content');
  writeFileSync(`${directory.path}/file`, 'x');
  symlinkSync('file', `${directory.path}/link`);
  const fileSystem = new NodeFileSystem();
  for (const name of ['none', 'file/below', 'link']) {
    try {
      fileSystem.close(fileSystem.openRead(`${directory.path}/${name}`));
      assert.unreachable(name);
    } catch (error) {
      assert.ok(changedCodes.has((error as { code: string }).code), name);
    }
  }
});

test.run();
