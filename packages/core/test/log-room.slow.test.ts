import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  statfsSync,
  writeFileSync,
  rmSync,
  openSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { isStoreError } from '#src/errors.js';
import { essentialRoomBytes, LogRoom, type LogFileSystem } from '#src/log/log-room.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { SpaceFloor } from '#src/log/space-floor.js';
import { announceSeed, assert, Random, suite, temporaryDirectory } from '@forewrit/testkit';
import { openLog } from './lmdb-world.js';
import { bytes, catchFrom, patterned } from './log-values.js';

const test = suite('room in the log', { timeoutMs: 120_000 });

const mebibyte = 1024 * 1024;

/** A disk of one file, on which things go wrong as told. */
class SmallDisk extends NodeFileSystem implements LogFileSystem {
  fileBytes = 100_000;
  freeBytes = 100 * mebibyte;
  totalBytes = 1024 * mebibyte;
  type = 0xef53;
  failSync: string | undefined;
  looks = 0;

  override openUpdate(): number {
    return 1;
  }
  override close(): void {}
  override stat(): ReturnType<NodeFileSystem['stat']> {
    return { size: this.fileBytes } as ReturnType<NodeFileSystem['stat']>;
  }
  override write(_descriptor: number, content: Uint8Array, position: number): number {
    assert.is(position, this.fileBytes);
    assert.ok(content.every((byte) => byte === 0));
    if (this.freeBytes === 0) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    // Never all at once.
    const count = Math.min(content.length, this.freeBytes, 100_000);
    this.fileBytes += count;
    this.freeBytes -= count;
    return count;
  }
  override truncate(_descriptor: number, size: number): void {
    this.freeBytes += this.fileBytes - size;
    this.fileBytes = size;
  }
  override sync(): void {
    if (this.failSync !== undefined) throw Object.assign(new Error('no'), { code: this.failSync });
  }
  override space(): ReturnType<NodeFileSystem['space']> {
    this.looks += 1;
    return { availableBytes: this.freeBytes, totalBytes: this.totalBytes, type: this.type };
  }
}

function floorOf(disk: SmallDisk, clock = () => 0): SpaceFloor {
  return new SpaceFloor({ fileSystem: disk, path: '/log', reserveBytes: 64 * mebibyte, clock });
}

function roomOn(disk: SmallDisk): LogRoom {
  return new LogRoom({ fileSystem: disk, path: '/log', floor: floorOf(disk) });
}

test('the file grows in generous steps, and only when it must', () => {
  const disk = new SmallDisk();
  const room = roomOn(disk);
  room.grow(90_000 - essentialRoomBytes, false);
  assert.is(disk.fileBytes, 100_000);
  room.grow(100_000, false);
  assert.ok(disk.fileBytes >= 100_000 + mebibyte);
  const after = disk.fileBytes;
  room.grow(after - essentialRoomBytes, false);
  assert.is(disk.fileBytes, after);
});

test('near the floor it grows by no more than it must, and at the floor not at all', () => {
  const disk = new SmallDisk();
  disk.freeBytes = 64 * mebibyte + 500_000;
  const room = roomOn(disk);
  room.grow(100_000, false);
  assert.is(disk.fileBytes, 100_000 + essentialRoomBytes);
  assert.ok(
    isStoreError(
      catchFrom(() => room.grow(500_000, false)),
      'ERR_NO_SPACE',
    ),
  );
  assert.is(disk.fileBytes, 100_000 + essentialRoomBytes);
  room.grow(500_000, true);
  assert.ok(disk.fileBytes >= 500_000);
});

test('a small disk keeps a sixteenth free', () => {
  const disk = new SmallDisk();
  disk.totalBytes = 16 * mebibyte;
  disk.freeBytes = 3 * mebibyte;
  floorOf(disk).requireForCommit(false);
  const room = roomOn(disk);
  room.grow(mebibyte, false);
  assert.ok(
    isStoreError(
      catchFrom(() => room.grow(3 * mebibyte, false)),
      'ERR_NO_SPACE',
    ),
  );
});

test('an essential batch may eat the room that was left for it, and is refused when there is none', () => {
  const disk = new SmallDisk();
  disk.freeBytes = 50_000;
  const room = roomOn(disk);
  assert.ok(
    isStoreError(
      catchFrom(() => room.grow(100_000, false)),
      'ERR_NO_SPACE',
    ),
  );
  room.grow(100_000, true);
  room.grow(150_000, true);
  assert.ok(
    isStoreError(
      catchFrom(() => room.grow(150_001, true)),
      'ERR_NO_SPACE',
    ),
  );
});

test('zeros that could not be flushed are cut off again', () => {
  for (const [system, code] of [
    ['ENOSPC', 'ERR_NO_SPACE'],
    ['EIO', 'ERR_IO'],
  ] as const) {
    const disk = new SmallDisk();
    disk.failSync = system;
    const room = roomOn(disk);
    assert.ok(
      isStoreError(
        catchFrom(() => room.grow(500_000, false)),
        code,
      ),
    );
    assert.is(disk.fileBytes, 100_000);
    disk.failSync = undefined;
    room.grow(500_000, false);
  }
});

test('the floor is looked at now and then, not at each commit', () => {
  const disk = new SmallDisk();
  let now = 0;
  const floor = floorOf(disk, () => now);
  const before = disk.looks;
  for (; now < 1000; now += 1) floor.requireForCommit(false);
  assert.is(disk.looks - before, 20);
  disk.freeBytes = mebibyte;
  now += 50;
  for (let n = 0; n < 2; n += 1) {
    assert.ok(
      isStoreError(
        catchFrom(() => floor.requireForCommit(false)),
        'ERR_NO_SPACE',
      ),
    );
  }
  floor.requireForCommit(true);
  floor.requireForWrite(10 * mebibyte, false);
  floor.requireForRead();
  disk.freeBytes = 100 * mebibyte;
  floor.requireForCommit(false);
});

test('where overwriting needs space the floor is looked at before each commit, and before reading', () => {
  const disk = new SmallDisk();
  disk.type = 0x9123683e;
  let now = 0;
  const floor = floorOf(disk, () => now);
  const answers = (): boolean[] => [
    refused(() => floor.requireForCommit(false)),
    refused(() => floor.requireForWrite(10 * mebibyte, false)),
    refused(() => floor.requireForCommit(true)),
    refused(() => floor.requireForWrite(10 * mebibyte, true)),
    refused(() => floor.requireForRead()),
  ];
  assert.equal(answers(), [false, false, false, false, false]);
  now += 50;
  disk.freeBytes = 70 * mebibyte;
  assert.equal(answers(), [false, true, false, false, false]);
  now += 50;
  disk.freeBytes = 20 * mebibyte;
  assert.equal(answers(), [true, true, false, true, false]);
  now += 50;
  disk.freeBytes = 10 * mebibyte;
  assert.equal(answers(), [true, true, true, true, true]);
});

function refused(call: () => void): boolean {
  try {
    call();
    return false;
  } catch (error) {
    assert.ok(isStoreError(error, 'ERR_NO_SPACE'));
    return true;
  }
}

class SmallMount implements Disposable {
  readonly path: string;
  readonly #directory = temporaryDirectory('small');

  constructor(sizeBytes: number) {
    this.path = `${this.#directory.path}/disk`;
    mkdirSync(this.path);
    const { status } = mount(sizeBytes, this.path);
    if (status !== 0) throw new Error(`mount ended with ${status}`);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Uses the disk up, but for so much. */
  fill(leaveBytes: number): void {
    const file = openSync(`${this.path}/ballast`, 'a');
    try {
      for (let left = this.freeBytes - leaveBytes; left > 0; ) {
        left -= writeSync(file, new Uint8Array(Math.min(left, 65_536)));
      }
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(`${this.path}/ballast`, { force: true });
  }

  [Symbol.dispose](): void {
    spawnSync('umount', ['-l', this.path]);
    this.#directory.remove();
  }
}

function mount(sizeBytes: number, path: string): ReturnType<typeof spawnSync> {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', path]);
}

function cannotMount(): string | undefined {
  using directory = temporaryDirectory('mount');
  if (mount(mebibyte, directory.path).status !== 0) return 'a file system cannot be mounted here';
  spawnSync('umount', ['-l', directory.path]);
  return undefined;
}

const reason = cannotMount();

function sorted(rows: ReadonlyMap<string, number>): [string, number][] {
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
}

function allOf(log: ReturnType<typeof openLog>): Map<string, number> {
  const rows = log.view((view) => view.range('files', { start: bytes(' ') }));
  for (const [, value] of rows) assert.equal(Buffer.from(value), Buffer.from(patterned(value.length)));
  return new Map(rows.map(([key, value]) => [Buffer.from(key).toString(), value.length]));
}

test.skipIf(
  reason,
  'a disk that fills up refuses commits, keeps what is there, and goes on when there is space',
  () => {
    const random = new Random(announceSeed('a disk that fills up'));
    for (const size of [8 * mebibyte, 16 * mebibyte, 8 * mebibyte + 4096 * 7]) {
      using disk = new SmallMount(size);
      const directory = `${disk.path}/log`;
      let log = openLog(directory);
      const model = new Map<string, number>();
      let refusals = 0;
      for (let round = 0; round < 400; round += 1) {
        const changes = new Map<string, number | undefined>();
        for (let n = random.below(8); n >= 0; n -= 1) {
          const large = random.chance(0.2);
          const key = `key ${random.below(400)}`;
          changes.set(key, random.chance(0.2) ? undefined : random.below(large ? size >> 5 : 3000));
        }
        try {
          log.commit(
            (batch) => {
              for (const [key, length] of changes) {
                if (length === undefined) batch.delete('files', bytes(key));
                else batch.put('files', bytes(key), patterned(length));
              }
            },
            random.chance(0.5) ? { sizeBytes: 500_000 } : {},
          );
          for (const [key, length] of changes) {
            if (length === undefined) model.delete(key);
            else model.set(key, length);
          }
        } catch (error) {
          assert.ok(isStoreError(error, 'ERR_NO_SPACE'), String(error));
          refusals += 1;
          // What is essential still goes through.
          const victim = [...model.keys()][0];
          if (victim !== undefined) {
            log.commit((batch) => batch.delete('files', bytes(victim)), { essential: true });
            model.delete(victim);
          }
        }
        if (random.chance(0.02)) disk.fill(random.below(mebibyte));
        if (random.chance(0.05)) disk.free();
        if (random.chance(0.05)) {
          log.close();
          log = openLog(directory);
        }
        if (round % 20 === 0) assert.equal(sorted(allOf(log)), sorted(model));
      }
      assert.equal(sorted(allOf(log)), sorted(model));
      assert.ok(refusals > 0);
      log.close();
    }
  },
);

test.skipIf(
  reason,
  'on a disk that is wholly full a log is opened, read and trimmed, and none is made',
  () => {
    using disk = new SmallMount(8 * mebibyte);
    const directory = `${disk.path}/log`;
    const log = openLog(directory);
    for (let n = 0; n < 10; n += 1)
      log.commit((batch) => batch.put('files', bytes(`${n}`), patterned(10_000)));
    log.close();
    disk.fill(0);
    assert.is(disk.freeBytes, 0);

    const again = openLog(directory);
    assert.is(allOf(again).size, 10);
    const refused = catchFrom(() => again.commit((batch) => batch.put('files', bytes('x'), bytes('x'))));
    assert.ok(isStoreError(refused, 'ERR_NO_SPACE'));
    again.commit((batch) => batch.delete('files', bytes('1')), { essential: true });
    assert.is(allOf(again).size, 9);

    for (const leaveBytes of [0, 8192, 40_000, 80_000, 200_000, 500_000]) {
      const other = `${disk.path}/other`;
      rmSync(other, { recursive: true, force: true });
      disk.fill(leaveBytes);
      assert.ok(
        isStoreError(
          catchFrom(() => openLog(other)),
          'ERR_NO_SPACE',
        ),
        `${leaveBytes}`,
      );
      assert.ok(!readdirSync(disk.path).includes('other') || !readdirSync(other).includes('data.mdb'));
      disk.free();
      openLog(other).close();
    }
    again.commit((batch) => batch.put('files', bytes('x'), bytes('x')));
    again.close();
  },
);

test.skipIf(reason, 'a disk of 4 MiB holds a log', () => {
  using disk = new SmallMount(4 * mebibyte);
  const log = openLog(`${disk.path}/log`);
  for (let n = 0; n < 100; n += 1) log.commit((batch) => batch.put('files', bytes('a'), patterned(20_000)));
  log.close();
  writeFileSync(`${disk.path}/x`, 'x');
});

test('a disk that takes nothing more, and says nothing, is full', () => {
  class Silent extends SmallDisk {
    override write(): number {
      return 0;
    }
  }
  const disk = new Silent();
  const floor = new SpaceFloor({ fileSystem: disk, path: '/', reserveBytes: 0, clock: () => 0 });
  const room = new LogRoom({ fileSystem: disk, path: '/data.mdb', floor });
  assert.throwsWithCode(() => room.grow(disk.fileBytes + mebibyte, true), 'ERR_NO_SPACE');
  room.close();
});

test.run();
