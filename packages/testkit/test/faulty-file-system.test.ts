import { readdirSync } from 'node:fs';
import { type FileSystem, NodeFileSystem } from '@forewrit/core';
import * as assert from '#src/assert.js';
import { CrashSignal, isCrashSignal } from '#src/crash-signal.js';
import {
  describeCall,
  FaultyFileSystem,
  type FaultyFileSystemOptions,
  type FileSystemCall,
} from '#src/faulty-file-system.js';
import { SimulatedDisk } from '#src/simulated-disk.js';
import { suite } from '#src/suite.js';
import { temporaryDirectory } from '#src/temp-directory.js';
import { imagesOf, put, shown, textOf } from './disk-files.js';

const test = suite('FaultyFileSystem');

function faulty(options: FaultyFileSystemOptions = {}): {
  disk: SimulatedDisk;
  fileSystem: FaultyFileSystem;
} {
  const disk = new SimulatedDisk();
  return { disk, fileSystem: new FaultyFileSystem(disk.mount(), options) };
}

test('it records every call, by the path that a descriptor was opened with', () => {
  const { fileSystem } = faulty();
  put(fileSystem, '/f', 'text', { sync: true });
  fileSystem.rename('/f', '/g');
  assert.equal(fileSystem.calls.map(describeCall), [
    '0 create /f',
    '1 write /f',
    '2 sync /f',
    '3 close /f',
    '4 rename /f -> /g',
  ]);
  assert.is(fileSystem.callCount, 5);
});

test('every method of the seam reaches the file system behind it', () => {
  const { disk, fileSystem } = faulty({ records: false });
  fileSystem.makeDirectory('/d', 0o755);
  const descriptor = fileSystem.create('/d/f', 0o600);
  fileSystem.write(descriptor, Buffer.from('text'), 0);
  fileSystem.truncate(descriptor, 3);
  fileSystem.chmod(descriptor, 0o640);
  fileSystem.chown(descriptor, { uid: 1, gid: 2 });
  assert.is(fileSystem.stat(descriptor).mode, 0o640);
  fileSystem.sync(descriptor);
  fileSystem.close(descriptor);
  assert.is(textOf(fileSystem, '/d/f'), 'tex');
  fileSystem.link('/d/f', '/g');
  fileSystem.symlink('g', '/l');
  assert.is(fileSystem.readlink('/l'), 'g');
  fileSystem.chmodPath('/d', 0o700);
  fileSystem.syncDirectory('/d');
  fileSystem.unlink('/d/f');
  assert.equal(fileSystem.list('/d'), []);
  fileSystem.removeDirectory('/d');
  assert.ok(fileSystem.space('/').availableBytes > 0);
  assert.is(fileSystem.mountId('/'), disk.mount().mountId('/'));
  assert.is(shown(disk), '/g "tex"  /l -> g');
  assert.equal(fileSystem.calls, []);
});

test('an error comes once, instead of the call', () => {
  const { disk, fileSystem } = faulty({ faults: [{ at: 0, error: 'EMFILE' }] });
  const error = assert.throwsWithCode(() => fileSystem.create('/f', 0o644), 'EMFILE');
  assert.match(error.message, /'\/f'/);
  assert.is(shown(disk), '');
  put(fileSystem, '/f', 'text');
  assert.is(shown(disk), '/f "text"');
  assert.equal(fileSystem.unused, []);
});

test('a sticky error comes at every later call of the method', () => {
  const { fileSystem } = faulty({ faults: [{ at: 1, error: 'ENOSPC', sticky: true }] });
  const descriptor = fileSystem.create('/f', 0o644);
  assert.throwsWithCode(() => fileSystem.write(descriptor, Buffer.from('x'), 0), 'ENOSPC');
  assert.throwsWithCode(() => fileSystem.write(descriptor, Buffer.from('x'), 0), 'ENOSPC');
  fileSystem.close(descriptor);
  fileSystem.create('/g', 0o644);
});

function removesBad({ method, path }: FileSystemCall): boolean {
  return method === 'unlink' && path.startsWith('/bad');
}

test('a function says which call fails, once or each time', () => {
  const once = faulty({ faults: [{ at: removesBad, error: 'EPERM' }] }).fileSystem;
  assert.throwsWithCode(() => once.unlink('/bad1'), 'EPERM');
  assert.throwsWithCode(() => once.unlink('/bad2'), 'ENOENT');
  const always = faulty({ faults: [{ at: removesBad, error: 'EPERM', sticky: true }] }).fileSystem;
  assert.throwsWithCode(() => always.unlink('/bad1'), 'EPERM');
  assert.throwsWithCode(() => always.unlink('/bad2'), 'EPERM');
  assert.throwsWithCode(() => always.unlink('/good'), 'ENOENT');
  const third = faulty({ faults: [{ at: ({ nth }) => nth === 2, error: 'EACCES' }] }).fileSystem;
  for (const code of ['ENOENT', 'ENOENT', 'EACCES']) assert.throwsWithCode(() => third.unlink('/f'), code);
});

test('an error after the call: it happened, and the caller is told that it failed', () => {
  const { disk, fileSystem } = faulty({
    faults: [
      { at: ({ method }) => method === 'rename', error: 'EIO', after: true },
      { at: ({ path }) => path === '/opened', error: 'EIO', after: true },
    ],
  });
  put(fileSystem, '/f', 'text');
  assert.throwsWithCode(() => fileSystem.rename('/f', '/g'), 'EIO');
  assert.throwsWithCode(() => fileSystem.create('/opened', 0o644), 'EIO');
  assert.is(shown(disk), '/g "text"  /opened ""');
  // What nobody has a descriptor of is not open.
  disk.remount('/');
});

test('a descriptor is closed whatever close answers', () => {
  const { disk, fileSystem } = faulty({ faults: [{ at: ({ method }) => method === 'close', error: 'EIO' }] });
  const descriptor = fileSystem.create('/f', 0o644);
  assert.throwsWithCode(() => fileSystem.close(descriptor), 'EIO');
  assert.throwsWithCode(() => fileSystem.close(descriptor), 'EBADF');
  disk.remount('/');
});

test('a short write writes so much, and says so', () => {
  const { disk, fileSystem } = faulty({
    faults: [
      { at: 1, shortWrite: 3 },
      { at: 2, shortWrite: 0 },
    ],
  });
  const descriptor = fileSystem.create('/f', 0o644);
  assert.is(fileSystem.write(descriptor, Buffer.from('text'), 0), 3);
  assert.is(fileSystem.write(descriptor, Buffer.from('t'), 3), 0);
  assert.is(fileSystem.write(descriptor, Buffer.from('t'), 3), 1);
  assert.is(shown(disk), '/f "text"');
});

test('a fault that never came is told, a short write of another call among them', () => {
  const faults = [
    { at: 9, error: 'EIO' },
    { at: 0, shortWrite: 1 },
  ] as const;
  const { fileSystem } = faulty({ faults });
  fileSystem.makeDirectory('/d', 0o755);
  assert.equal(fileSystem.unused, faults);
});

test('a failed flush of a simulated disk loses the content, though the next flush succeeds', () => {
  const { disk, fileSystem } = faulty({ faults: [{ at: ({ method }) => method === 'sync', error: 'EIO' }] });
  const descriptor = fileSystem.create('/f', 0o644);
  fileSystem.syncDirectory('/');
  fileSystem.write(descriptor, Buffer.from('text'), 0);
  assert.throwsWithCode(() => fileSystem.sync(descriptor), 'EIO');
  fileSystem.sync(descriptor);
  assert.equal(imagesOf(disk), ['/f "0000"']);
});

test('a crash before or after a call: every later call of that process dies too', () => {
  for (const after of [false, true]) {
    const { disk, fileSystem } = faulty({ faults: [{ at: 1, crash: true, after }] });
    const descriptor = fileSystem.create('/f', 0o644);
    const write = (): number => fileSystem.write(descriptor, Buffer.from('x'), 0);
    assert.throws(write, isCrashSignal);
    assert.throws(write, isCrashSignal);
    assert.throws(() => fileSystem.lstat('/f'), isCrashSignal);
    assert.is(fileSystem.callCount, 2);
    assert.is(shown(disk), `/f ${after ? '"x"' : '""'}`);
    // Its descriptors are closed, and another process is free to go on.
    disk.remount('/');
    assert.is(disk.mount().lstat('/f')?.type, 'file');
  }
});

test('the power may be cut before every call of one run', () => {
  const images: string[][] = [];
  const { disk, fileSystem } = faulty({ beforeCall: () => images.push(imagesOf(disk)) });
  put(fileSystem, '/f', 'x', { sync: true });
  assert.equal(images, [[''], ['', '/f ""'], ['', '/f ""', '/f "0"', '/f "x"'], ['', '/f "x"']]);
});

test('who looks at the calls may end the process', () => {
  const { fileSystem } = faulty({
    beforeCall: ({ index }) => {
      if (index === 1) throw new CrashSignal('enough');
    },
  });
  fileSystem.makeDirectory('/d', 0o755);
  assert.throws(() => fileSystem.makeDirectory('/e', 0o755), isCrashSignal);
  assert.throws(() => fileSystem.makeDirectory('/e', 0o755), isCrashSignal);
});

test('in front of the real file system it leaves no descriptor open when the process dies', () => {
  using directory = temporaryDirectory();
  const openBefore = openDescriptors();
  const real: FileSystem = new NodeFileSystem();
  const fileSystem = new FaultyFileSystem(real, { faults: [{ at: 2, crash: true }] });
  const descriptor = fileSystem.create(`${directory.path}/f`, 0o644);
  fileSystem.write(descriptor, Buffer.from('x'), 0);
  assert.throws(() => fileSystem.sync(descriptor), isCrashSignal);
  assert.is(openDescriptors(), openBefore);
  assert.is(textOf(real, `${directory.path}/f`), 'x');
});

function openDescriptors(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}

test.run();
