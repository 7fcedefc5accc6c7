/** What the simulated file system does beyond what random programs compare: limits, volumes, handles, time. */
import { type FileSystem, NodeFileSystem } from '@forewrit/core';
import * as assert from '#src/assert.js';
import { isCrashSignal } from '#src/crash-signal.js';
import { SimulatedClock } from '#src/simulated-clock.js';
import { SimulatedDisk } from '#src/simulated-disk.js';
import { suite } from '#src/suite.js';
import { put, shown, textOf } from './disk-files.js';

const test = suite('SimulatedFileSystem');

const special: readonly (readonly [call: string, run: (fileSystem: FileSystem) => unknown, code: string])[] =
  [
    ['create /', (fileSystem) => fileSystem.create('/', 0o644), 'EEXIST'],
    ['makeDirectory /', (fileSystem) => fileSystem.makeDirectory('/', 0o755), 'EEXIST'],
    ['removeDirectory /', (fileSystem) => fileSystem.removeDirectory('/'), 'EBUSY'],
    ['unlink /', (fileSystem) => fileSystem.unlink('/'), 'EISDIR'],
    ['rename / to a name', (fileSystem) => fileSystem.rename('/', '/none'), 'EBUSY'],
    ['rename a missing file to /', (fileSystem) => fileSystem.rename('/none', '/'), 'EBUSY'],
    ['link / to itself', (fileSystem) => fileSystem.link('/', '/'), 'EEXIST'],
    ['symlink at /', (fileSystem) => fileSystem.symlink('x', '/'), 'EEXIST'],
    ['a path that is too long', (fileSystem) => fileSystem.list(`/${'a/'.repeat(2_048)}a`), 'ENAMETOOLONG'],
    [
      'a long path of wide letters',
      (fileSystem) => fileSystem.list(`/${'ä/'.repeat(1_366)}a`),
      'ENAMETOOLONG',
    ],
    [
      'a target that is too long',
      (fileSystem) => fileSystem.symlink('a'.repeat(4_096), '/none'),
      'ENAMETOOLONG',
    ],
  ];
for (const [call, run, code] of special) {
  test(`${call} is ${code}`, () => {
    assert.throwsWithCode(() => run(new SimulatedDisk().mount()), code);
    // None of these changes anything.
    if (process.platform === 'linux') assert.throwsWithCode(() => run(new NodeFileSystem()), code);
  });
}

test('paths that are not absolute and tidy are a mistake of the caller', () => {
  const fileSystem = new SimulatedDisk().mount();
  for (const path of ['', 'a', './a', '/a/', '/a\0b']) {
    assert.throws(
      () => fileSystem.lstat(path),
      (error: unknown) => error instanceof TypeError,
    );
  }
});

test('a removed file lives on as long as somebody has it open', () => {
  const disk = new SimulatedDisk();
  const [writer, reader] = [disk.mount(), disk.mount()];
  const written = writer.create('/f', 0o644);
  const read = reader.openRead('/f');
  writer.unlink('/f');
  writer.write(written, Buffer.from('text'), 0);
  writer.close(written);
  const into = Buffer.alloc(8);
  assert.is(reader.read(read, into, 0), 4);
  assert.is(into.toString('latin1', 0, 4), 'text');
  assert.is(reader.stat(read).nlink, 0);
  assert.is(reader.lstat('/f'), undefined);
});

test('processes see at once what others do, and have descriptors of their own', () => {
  const disk = new SimulatedDisk();
  const [one, two] = [disk.mount(), disk.mount()];
  const descriptor = one.create('/f', 0o644);
  one.write(descriptor, Buffer.from('text'), 0);
  assert.is(textOf(two, '/f'), 'text');
  assert.throwsWithCode(() => two.stat(descriptor), 'EBADF');
  assert.equal(one.openPaths, ['/f']);
  assert.equal(two.openPaths, []);
});

test('a killed process leaves what it wrote, and its descriptors close', () => {
  const disk = new SimulatedDisk();
  const fileSystem = disk.mount();
  put(fileSystem, '/f', 'text');
  const descriptor = fileSystem.create('/g', 0o644);
  fileSystem.unlink('/g');
  fileSystem.kill();
  assert.throws(() => fileSystem.stat(descriptor), isCrashSignal);
  assert.throws(() => fileSystem.lstat('/f'), isCrashSignal);
  assert.is(shown(disk), '/f "text"');
  disk.remount('/');
});

test('too many open files are EMFILE, and nothing is created', () => {
  const fileSystem = new SimulatedDisk().mount({ descriptorsMax: 1 });
  const descriptor = fileSystem.create('/f', 0o644);
  assert.throwsWithCode(() => fileSystem.create('/g', 0o644), 'EMFILE');
  assert.throwsWithCode(() => fileSystem.openRead('/f'), 'EMFILE');
  assert.is(fileSystem.lstat('/g'), undefined);
  fileSystem.close(descriptor);
  fileSystem.openRead('/f');
});

test('on a full disk a write is short, and the next one is ENOSPC', () => {
  const disk = new SimulatedDisk({ root: { capacityBytes: 3 * 4096 } });
  const fileSystem = disk.mount();
  // One block is the root directory's.
  assert.is(fileSystem.space('/').availableBytes, 2 * 4096);
  const descriptor = fileSystem.create('/f', 0o644);
  assert.is(fileSystem.write(descriptor, new Uint8Array(10_000), 0), 8_192);
  assert.throwsWithCode(() => fileSystem.write(descriptor, new Uint8Array(1), 8_192), 'ENOSPC');
  assert.throwsWithCode(() => fileSystem.makeDirectory('/d', 0o755), 'ENOSPC');
  assert.is(fileSystem.write(descriptor, new Uint8Array(10), 0), 10);
  fileSystem.truncate(descriptor, 4_096);
  fileSystem.makeDirectory('/d', 0o755);
  assert.is(fileSystem.space('/').availableBytes, 0);
});

test('the space of a removed file is free when nobody has it open', () => {
  const fileSystem = new SimulatedDisk({ root: { capacityBytes: 2 * 4096 } }).mount();
  const descriptor = fileSystem.create('/f', 0o644);
  fileSystem.write(descriptor, new Uint8Array(1), 0);
  fileSystem.unlink('/f');
  assert.is(fileSystem.space('/').availableBytes, 0);
  fileSystem.close(descriptor);
  assert.is(fileSystem.space('/').availableBytes, 4_096);
});

test('between two volumes renames and links are EXDEV, and a mount point is EBUSY', () => {
  const disk = new SimulatedDisk({ volumes: [{ mountPoint: '/mnt/data', device: 99n }] });
  const fileSystem = disk.mount();
  put(fileSystem, '/f', 'f');
  put(fileSystem, '/mnt/data/g', 'g');
  assert.is(fileSystem.lstat('/mnt/data/g')?.dev, 99n);
  assert.is.not(fileSystem.lstat('/mnt')?.dev, 99n);
  assert.throwsWithCode(() => fileSystem.rename('/f', '/mnt/data/f'), 'EXDEV');
  assert.throwsWithCode(() => fileSystem.rename('/none', '/mnt/data/f'), 'EXDEV');
  assert.throwsWithCode(() => fileSystem.link('/f', '/mnt/data/f'), 'EXDEV');
  assert.throwsWithCode(() => fileSystem.link('/f', '/mnt/data/g'), 'EEXIST');
  assert.throwsWithCode(() => fileSystem.rename('/mnt/data', '/other'), 'EBUSY');
  assert.throwsWithCode(() => fileSystem.removeDirectory('/mnt/data'), 'EBUSY');
  assert.throwsWithCode(() => fileSystem.makeDirectory('/mnt/data', 0o755), 'EEXIST');
  fileSystem.rename('/mnt', '/moved');
  assert.is(textOf(fileSystem, '/moved/data/g'), 'g');
  assert.is(textOf(fileSystem, '/moved/data/../../f'), 'f');
});

test('a volume survives a power cut where it was mounted', () => {
  const disk = new SimulatedDisk({ volumes: [{ mountPoint: '/data' }] });
  const fileSystem = disk.mount();
  put(fileSystem, '/data/g', 'g', { sync: true });
  fileSystem.syncDirectory('/data');
  put(fileSystem, '/f', 'f');
  const image = disk.crash(() => false);
  assert.is(shown(image), '/data/  /data/g "g"');
  assert.is(image.mount().lstat('/data')?.dev, fileSystem.lstat('/data')?.dev);
});

test('mounting again changes the mount id, and the device if asked to', () => {
  const disk = new SimulatedDisk({ volumes: [{ mountPoint: '/data' }] });
  const fileSystem = disk.mount();
  put(fileSystem, '/data/g', 'g');
  const before = { root: fileSystem.mountId('/'), data: fileSystem.mountId('/data/g') };
  assert.is.not(before.root, before.data);
  disk.remount('/data', { device: 1234n });
  assert.is(fileSystem.mountId('/'), before.root);
  assert.is.not(fileSystem.mountId('/data/g'), before.data);
  assert.is(fileSystem.lstat('/data/g')?.dev, 1234n);
  assert.is(fileSystem.mountId('/none/x'), undefined);
  const open = fileSystem.openRead('/data/g');
  assert.throws(() => disk.remount('/data'), /open/);
  fileSystem.close(open);
});

test('links are followed on the way and counted; a circle is ELOOP', () => {
  const fileSystem = new SimulatedDisk().mount();
  fileSystem.makeDirectory('/d', 0o755);
  put(fileSystem, '/d/f', 'f');
  fileSystem.symlink('d', '/relative');
  fileSystem.symlink('/relative', '/absolute');
  fileSystem.symlink('circle', '/circle');
  fileSystem.symlink('d/f', '/last');
  assert.is(textOf(fileSystem, '/absolute/f'), 'f');
  assert.is(fileSystem.lstat('/last')?.type, 'symlink');
  assert.is(fileSystem.readlink('/absolute'), '/relative');
  assert.throwsWithCode(() => fileSystem.openRead('/last'), 'ELOOP');
  assert.throwsWithCode(() => fileSystem.lstat('/circle/x'), 'ELOOP');
  fileSystem.symlink('/d', '/chain0');
  for (let index = 1; index <= 40; index += 1) fileSystem.symlink(`/chain${index - 1}`, `/chain${index}`);
  assert.is(textOf(fileSystem, '/chain39/f'), 'f');
  assert.throwsWithCode(() => fileSystem.lstat('/chain40/f'), 'ELOOP');
});

test('inode numbers are never given out twice, unless that is asked for', () => {
  for (const reusesInodeNumbers of [false, true]) {
    const fileSystem = new SimulatedDisk({ root: { reusesInodeNumbers } }).mount();
    put(fileSystem, '/f', 'f');
    const first = fileSystem.lstat('/f')?.ino;
    fileSystem.unlink('/f');
    put(fileSystem, '/g', 'g');
    assert.is(fileSystem.lstat('/g')?.ino === first, reusesInodeNumbers);
  }
});

test('times come from the clock, in its grain', () => {
  const clock = new SimulatedClock({ startMs: 1_000, tickNs: 0 });
  const disk = new SimulatedDisk({ clock, mtimeGrainNs: 4_000_000n });
  const fileSystem = disk.mount();
  const descriptor = fileSystem.create('/f', 0o644);
  clock.advance(3);
  fileSystem.write(descriptor, Buffer.from('x'), 0);
  assert.is(fileSystem.stat(descriptor).mtimeNs, 1_000_000_000n);
  clock.advance(2);
  fileSystem.write(descriptor, Buffer.from('x'), 0);
  assert.is(fileSystem.stat(descriptor).mtimeNs, 1_004_000_000n);
  assert.is(fileSystem.stat(descriptor).birthtimeNs, 1_000_000_000n);
});

test('what a caller does with its buffer after a write does not matter', () => {
  const fileSystem = new SimulatedDisk().mount();
  const descriptor = fileSystem.create('/f', 0o644);
  const buffer = Buffer.from('text');
  fileSystem.write(descriptor, buffer, 0);
  buffer.fill(0);
  assert.is(textOf(fileSystem, '/f'), 'text');
});

test('a directory counts itself, its name and the directories in it', () => {
  const disk = new SimulatedDisk();
  const fileSystem = disk.mount();
  for (const path of ['/d', '/d/a', '/d/b', '/e']) fileSystem.makeDirectory(path, 0o755);
  assert.is(fileSystem.lstat('/')?.nlink, 4);
  assert.is(fileSystem.lstat('/d')?.nlink, 4);
  fileSystem.rename('/d/a', '/e/a');
  assert.is(fileSystem.lstat('/d')?.nlink, 3);
  assert.is(fileSystem.lstat('/e')?.nlink, 3);
  assert.is(
    disk
      .crash(() => true)
      .mount()
      .lstat('/e')?.nlink,
    3,
  );
  const open = fileSystem.openRead('/e/a');
  fileSystem.removeDirectory('/e/a');
  assert.is(fileSystem.lstat('/e')?.nlink, 2);
  assert.is(fileSystem.stat(open).nlink, 0);
});

test('what is neither file, directory nor link is "other"', () => {
  const fileSystem = new SimulatedDisk().mount();
  fileSystem.makeOther('/fifo', 0o644);
  assert.is(fileSystem.lstat('/fifo')?.type, 'other');
});

test.run();
