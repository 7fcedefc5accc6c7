import { spawnSync } from 'node:child_process';
import { fsyncSync, mkdirSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { asyncOver } from '#src/files/async-file-system.js';
import { mountIdentity, mountOf, type MountProbe, parseMountTable } from '#src/files/mount-identity.js';
import {
  NodeAsyncFileSystem,
  NodeFileSystem,
  readLinkText,
  readTextFile,
  renameAttemptsMax,
  watchDirectory,
} from '#src/files/node-file-system.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { fileSystemConformance } from './file-system-conformance.js';
import { bytes, catchFrom, pause, text } from './log-values.js';

fileSystemConformance('node', () => {
  const directory = temporaryDirectory('files');
  return {
    fileSystem: new NodeFileSystem(),
    directory: directory.path,
    [Symbol.dispose]: () => directory.remove(),
  };
});

const test = suite('file system of Node');

test('opening a FIFO does not wait for a writer', () => {
  using directory = temporaryDirectory('fifo');
  const path = `${directory.path}/fifo`;
  assert.is(spawnSync('mkfifo', [path]).status, 0);
  const fileSystem = new NodeFileSystem();
  assert.is(fileSystem.lstat(path)?.type, 'other');
  const descriptor = fileSystem.openRead(path);
  assert.is(fileSystem.stat(descriptor).type, 'other');
  fileSystem.close(descriptor);
});

test('on Windows a directory that cannot be flushed is no error, elsewhere it is', () => {
  using directory = temporaryDirectory('sync');
  for (const [platform, thrown] of [
    ['win32', false],
    ['linux', true],
    ['darwin', true],
  ] as const) {
    for (const refusal of ['EPERM', 'EISDIR', 'EACCES']) {
      const fileSystem = refusing(platform, refusal);
      const error = thrown
        ? catchFrom(() => fileSystem.syncDirectory(directory.path))
        : fileSystem.syncDirectory(directory.path);
      assert.is((error as { code?: string } | undefined)?.code, thrown ? refusal : undefined);
    }
    const fileSystem = refusing(platform, 'EIO');
    assert.is((catchFrom(() => fileSystem.syncDirectory(directory.path)) as { code?: string }).code, 'EIO');
  }
});

test('on Windows a rename that meets a scanner is tried again for about a second, elsewhere not at all', () => {
  using directory = temporaryDirectory('rename');
  const busy = `${directory.path}/busy`;
  mkdirSync(busy);
  writeFileSync(`${directory.path}/a`, 'a');
  writeFileSync(`${busy}/x`, 'x');
  const slept: number[] = [];
  const rename = (platform: NodeJS.Platform, refusal: string, failures: number): unknown => {
    slept.length = 0;
    const fileSystem = refusing(platform, refusal, { failures, sleep: (ms) => slept.push(ms) });
    try {
      fileSystem.rename(`${directory.path}/a`, `${directory.path}/b`);
      fileSystem.rename(`${directory.path}/b`, `${directory.path}/a`);
      return 'done';
    } catch (error) {
      return (error as { code?: string }).code;
    }
  };
  for (const refusal of ['EPERM', 'EACCES', 'EBUSY']) {
    assert.is(rename('win32', refusal, 5), 'done');
    assert.equal(slept, [1, 2, 4, 8, 16]);
    assert.is(rename('win32', refusal, Number.POSITIVE_INFINITY), refusal);
    assert.is(slept.length, renameAttemptsMax - 1);
    const sum = slept.reduce((total, ms) => total + ms, 0);
    assert.ok(sum > 500 && sum < 2000, `${sum} ms`);
    assert.is(rename('linux', refusal, 1), refusal);
    assert.is(slept.length, 0);
  }
  assert.is(rename('win32', 'ENOENT', 1), 'ENOENT');
  assert.is(slept.length, 0);
});

test('on macOS a symbolic link is not linked, because the link would be followed', () => {
  using directory = temporaryDirectory('link');
  const fileSystem = new NodeFileSystem({ platform: 'darwin' });
  fileSystem.symlink('a', `${directory.path}/l`);
  const error = catchFrom(() => fileSystem.link(`${directory.path}/l`, `${directory.path}/m`));
  assert.is((error as { code?: string }).code, 'ENOTSUP');
  writeFileSync(`${directory.path}/a`, 'a');
  fileSystem.link(`${directory.path}/a`, `${directory.path}/b`);
});

test('where links cannot be refused by a flag they are refused by a look', () => {
  using directory = temporaryDirectory('link');
  const fileSystem = new NodeFileSystem({ platform: 'win32' });
  fileSystem.symlink('a', `${directory.path}/l`);
  for (const open of [
    () => fileSystem.openRead(`${directory.path}/l`),
    () => fileSystem.openUpdate(`${directory.path}/l`),
  ]) {
    assert.is((catchFrom(open) as { code?: string }).code, 'ELOOP');
  }
  assert.is(
    (catchFrom(() => fileSystem.chmodPath(`${directory.path}/l`, 0o600)) as { code?: string }).code,
    'ELOOP',
  );
  assert.is(fileSystem.mountId(directory.path), undefined);
});

test('the asynchronous file systems do what their namesakes do', async () => {
  for (const fileSystem of [new NodeAsyncFileSystem(), asyncOver(new NodeFileSystem())]) {
    using directory = temporaryDirectory('async');
    const path = `${directory.path}/a`;
    const descriptor = await fileSystem.create(path, 0o600);
    assert.is(await fileSystem.write(descriptor, bytes('content'), 0), 7);
    assert.is(await fileSystem.write(descriptor, bytes('C'), 0), 1);
    await fileSystem.sync(descriptor);
    await fileSystem.chmod(descriptor, 0o640);
    const { size, mode, type } = await fileSystem.stat(descriptor);
    assert.equal([size, mode, type], [7, 0o640, 'file']);
    await fileSystem.close(descriptor);
    await assertRejects(fileSystem.create(path, 0o600), 'EEXIST');
    const again = await fileSystem.openRead(path);
    const into = new Uint8Array(20);
    assert.is(await fileSystem.read(again, into, 3), 4);
    assert.is(text(into.subarray(0, 4)), 'tent');
    await fileSystem.close(again);
    const updating = await fileSystem.openUpdate(path);
    await fileSystem.truncate(updating, 3);
    await fileSystem.close(updating);
    await fileSystem.chmodPath(path, 0o604);
    const look = await fileSystem.lstat(path);
    assert.equal([look?.size, look?.mode, look?.type], [3, 0o604, 'file']);
    assert.is(await fileSystem.lstat(`${path}/below`), undefined);
    await fileSystem.syncDirectory(directory.path);
    await assertRejects(fileSystem.syncDirectory(path), 'ENOTDIR');
    await fileSystem.unlink(path);
    assert.is(await fileSystem.lstat(path), undefined);
    await assertRejects(fileSystem.openRead(path), 'ENOENT');
    await assertRejects(fileSystem.openUpdate(path), 'ENOENT');
    new NodeFileSystem().symlink('x', path);
    await assertRejects(fileSystem.openRead(path), 'ELOOP');
  }
});

test('a watched directory tells the names of what changes, and then no more', async () => {
  using directory = temporaryDirectory('watch');
  const names = new Set<string | null>();
  const unwatch = watchDirectory(directory.path, {
    listener: (name) => names.add(name),
    onFailure: () => {},
  });
  writeFileSync(`${directory.path}/a`, 'a');
  for (let waited = 0; names.size === 0 && waited < 5000; waited += 5) await pause(5);
  assert.ok(names.has('a'));
  unwatch();
  names.clear();
  writeFileSync(`${directory.path}/b`, 'b');
  await pause(30);
  assert.is(names.size, 0);
  assert.throws(() =>
    watchDirectory(`${directory.path}/missing`, { listener: () => {}, onFailure: () => {} }),
  );
});

test('what the system does not tell is undefined', () => {
  assert.is(readTextFile('/missing/file'), undefined);
  assert.is(readLinkText('/missing/link'), undefined);
  assert.is(
    readTextFile('/proc/self/status')?.startsWith('Name:'),
    process.platform === 'linux' ? true : undefined,
  );
});

test('the mount of a path is the longest above it, the last of those on one point', () => {
  const entries = parseMountTable(
    [
      '21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw',
      '30 21 0:30 / /data rw shared:5 master:3 - tmpfs none rw',
      '31 30 0:31 / /data rw - tmpfs none rw',
      '32 31 7:1 / /data/with\\040space\\134and\\011more rw - xfs /dev/loop1 rw',
      'a broken line',
      '',
    ].join('\n'),
  );
  const mountOfPath = (path: string): string | undefined => mountOf(entries, path)?.id;
  assert.is(mountOfPath('/'), '21');
  assert.is(mountOfPath('/database'), '21');
  assert.is(mountOfPath('/data'), '31');
  assert.is(mountOfPath('/data/x'), '31');
  assert.is(mountOfPath('/data/with space\\and\tmore/x'), '32');
  assert.is(mountOf([], '/'), undefined);
});

test.skipIf(
  cannotMount(),
  'mounting a file system again changes its identity, mounting it elsewhere does not',
  () => {
    for (const [kind, make] of Object.entries(fileSystems)) {
      using directory = temporaryDirectory('mount');
      const image = `${directory.path}/image`;
      const [first, second] = ['first', 'second'].map((name) => `${directory.path}/${name}`) as [
        string,
        string,
      ];
      writeFileSync(image, '');
      truncateSync(image, 320 * 1024 * 1024);
      if (spawnSync(make[0], [...make.slice(1), image]).status !== 0) continue;
      const fileSystem = new NodeFileSystem();
      for (const path of [first, second]) mkdirSync(path);
      try {
        const seen = new Set<string | undefined>();
        for (let round = 0; round < 3; round += 1) {
          mount('-o', 'loop', image, first);
          mount('--bind', first, second);
          const id = fileSystem.mountId(first);
          assert.ok(id !== undefined && !seen.has(id), `${kind}: ${id}`);
          assert.is(fileSystem.mountId(second), id);
          seen.add(id);
          mount('-o', 'remount,ro', first);
          assert.is(fileSystem.mountId(first), id);
          for (const path of [second, first]) spawnSync('umount', [path]);
        }
        assert.is(seen.has(fileSystem.mountId(first)), false);
      } finally {
        for (const path of [second, first]) spawnSync('umount', ['-l', path], { stdio: 'ignore' });
      }
    }
  },
);

const fileSystems = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
} as const satisfies Record<string, readonly [string, ...string[]]>;

/** As a platform on which something is refused, for so many times. */
function refusing(
  platform: NodeJS.Platform,
  refusal: string,
  {
    failures = Number.POSITIVE_INFINITY,
    sleep = () => {},
  }: { failures?: number; sleep?: (ms: number) => void } = {},
): NodeFileSystem {
  let left = failures;
  const unless = <Call extends (...args: never[]) => void>(call: Call): Call =>
    ((...args) => {
      if (left <= 0) return call(...args);
      left -= 1;
      throw Object.assign(new Error(refusal), { code: refusal });
    }) as Call;
  const system = { renameSync: unless(renameSync), fsyncSync: unless(fsyncSync) };
  return new NodeFileSystem({ platform, sleep, system });
}

function mount(...args: string[]): void {
  assert.is(spawnSync('mount', args).status, 0, args.join(' '));
}

async function assertRejects(promise: Promise<unknown>, expected: string): Promise<void> {
  const outcome = await promise.then(
    () => 'resolved',
    (error: unknown) => (error as { code?: string }).code,
  );
  assert.is(outcome, expected);
}

function cannotMount(): string | undefined {
  using place = temporaryDirectory('mount');
  const image = `${place.path}/image`;
  writeFileSync(image, '');
  truncateSync(image, 20 * 1024 * 1024);
  const made = spawnSync('mkfs.ext4', ['-q', '-F', image]).status === 0;
  mkdirSync(`${place.path}/at`);
  if (!made || spawnSync('mount', ['-o', 'loop', image, `${place.path}/at`]).status !== 0) {
    return 'no file system can be mounted here';
  }
  assert.ok(statSync(`${place.path}/at`).isDirectory());
  spawnSync('umount', [`${place.path}/at`]);
  return undefined;
}

test('a mount is known by its file system, and by less where the system tells less', () => {
  const table = (type: string, source = '/dev/sda1'): string => `21 1 8:1 / / rw - ${type} ${source} rw`;
  const probe = (
    mountinfo: string | undefined,
    known: Readonly<Record<string, bigint>> = {},
  ): MountProbe => ({
    readText: () => mountinfo,
    readLink: (path) => (path === '/sys/dev/block/8:1' ? '../../devices/sda/sda1' : undefined),
    list: () => ['uuid-1', 'uuid-2'],
    inodeOf: (path) => known[path],
  });
  const identity = (mountProbe: MountProbe): string | undefined => mountIdentity(mountProbe, '/x', 5n);
  assert.is(identity(probe(undefined)), undefined, 'no /proc');
  assert.is(identity(probe('')), undefined, 'nothing mounted above it');
  for (const type of ['ext2', 'ext3', 'ext4']) {
    assert.is(identity(probe(table(type), { '/sys/fs/ext4/sda1': 7n })), `${type} instance 7 device 5`);
  }
  assert.is(identity(probe(table('xfs'), { '/sys/fs/xfs/sda1': 8n })), 'xfs instance 8 device 5');
  assert.is(identity(probe(table('xfs'))), 'xfs mount 21 device 5', 'no directory of its own');
  const ofBtrfs = { '/sys/fs/btrfs/uuid-2/devices/sda1': 1n, '/sys/fs/btrfs/uuid-2': 9n };
  assert.is(identity(probe(table('btrfs'), ofBtrfs)), 'btrfs instance 9 device 5');
  assert.is(identity(probe(table('btrfs'))), 'btrfs mount 21 device 5', 'no such device below it');
  assert.is(identity(probe(table('btrfs', 'none/'))), 'btrfs mount 21 device 5', 'no name of a device');
  assert.is(identity(probe(table('tmpfs', 'none'))), 'tmpfs mount 21 device 5');
  const unlinked = { ...probe(table('ext4')), readLink: () => undefined };
  assert.is(identity(unlinked), 'ext4 mount 21 device 5', 'no block device');
});

test.run();
