import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { spawn, spawnSync } from 'node:child_process';
import { isStoreError } from '#src/errors.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { FlushError } from '#src/log/log.js';
import { assert, suite, temporaryDirectory, type TemporaryDirectory } from '@forewrit/testkit';
import { Child, openLog } from './lmdb-world.js';
import { bytes, catchFrom, patterned, pause, read, text } from './log-values.js';

const test = suite('log in LMDB');

let scratch: TemporaryDirectory;
let directory: string;
test.before.each(() => {
  scratch = temporaryDirectory('lmdb');
  directory = `${scratch.path}/log`;
});
test.after.each(() => scratch.remove());

test('a new log is complete when it appears, and what a dead process left of another one is removed', () => {
  mkdirSync(directory, 0o700);
  mkdirSync(`${directory}/creating-999999999.1...x`);
  writeSync(openSync(`${directory}/creating-999999999.1...x/data.mdb`, 'w'), 'half');
  mkdirSync(`${directory}/queue-new-999999999.1...y`);
  const log = openLog(directory);
  assert.equal(readdirSync(directory).sort(), ['data.mdb', 'lock.mdb', 'queue']);
  assert.equal(readdirSync(`${directory}/queue`), ['free']);
  for (const name of ['data.mdb', 'lock.mdb'])
    assert.is(statSync(`${directory}/${name}`).mode & 0o777, 0o600);
  assert.is(statSync(directory).mode & 0o777, 0o700);
  log.close();
});

test('something else in place of the table of readers is refused, and does not end the process', () => {
  openLog(directory).close();
  rmSync(`${directory}/lock.mdb`);
  mkdirSync(`${directory}/lock.mdb`);
  assert.throwsWithCode(() => openLog(directory), 'ERR_IO');
  rmdirSync(`${directory}/lock.mdb`);
  openLog(directory).close();
  assert.is(statSync(`${directory}/lock.mdb`).isFile(), true);
});

test('a table of readers that may not be written is refused, and does not end the process', () => {
  openLog(directory).close();
  class Forbidden extends NodeFileSystem {
    override requireUpdate(path: string): void {
      throw Object.assign(new Error(`EACCES: permission denied, access '${path}'`), { code: 'EACCES' });
    }
  }
  assert.throwsWithCode(() => openLog(directory, { fileSystem: new Forbidden() }), 'ERR_PERMISSION');
  openLog(directory).close();
});

test('opening what must exist makes nothing', () => {
  assert.ok(
    isStoreError(
      catchFrom(() => openLog(directory, { mustExist: true })),
      'ERR_NOT_FOUND',
    ),
  );
  mkdirSync(directory);
  assert.ok(
    isStoreError(
      catchFrom(() => openLog(directory, { mustExist: true })),
      'ERR_NOT_FOUND',
    ),
  );
});

test('content outlives the handle', () => {
  const log = openLog(directory);
  log.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
  log.close();
  const again = openLog(directory, { mustExist: true });
  assert.is(read(again, 'files', 'a'), '1');
  again.close();
});

test('a damaged file is refused with a code, not with a signal', () => {
  const log = openLog(directory);
  for (let n = 0; n < 200; n += 1) log.commit((batch) => batch.put('log', bytes(`${n}`), patterned(5000)));
  const { usedBytes } = log.stats();
  log.close();
  const whole = `${scratch.path}/whole`;
  copyFileSync(`${directory}/data.mdb`, whole);

  const damages: readonly (readonly [string, (file: number) => void])[] = [
    ['empty', (file) => ftruncateSync(file, 0)],
    ['one byte', (file) => ftruncateSync(file, 1)],
    ['one page', (file) => ftruncateSync(file, 4096)],
    ['two pages', (file) => ftruncateSync(file, 8192)],
    ['half of what is used', (file) => ftruncateSync(file, Math.floor(usedBytes / 2))],
    ['metas zeroed', (file) => writeSync(file, new Uint8Array(8192), 0, 8192, 0)],
    ['first meta zeroed', (file) => writeSync(file, new Uint8Array(4096), 0, 4096, 0)],
    ['second meta zeroed', (file) => writeSync(file, new Uint8Array(4096), 0, 4096, 4096)],
    ['wholly zeroed', (file) => writeSync(file, new Uint8Array(statSync(whole).size), 0, null, 0)],
    [
      'all but the metas zeroed',
      (file) => writeSync(file, new Uint8Array(statSync(whole).size - 8192), 0, null, 8192),
    ],
    ['text', (file) => writeSync(file, 'hello '.repeat(10_000), 0)],
    ['a page in the place of the first meta', (file) => writeSync(file, Uint8Array.of(9), 0, 1, 0)],
    ['a meta that is marked as another page', (file) => writeSync(file, Uint8Array.of(2), 0, 1, 18)],
    ['a page size that is none', (file) => writeSync(file, Uint8Array.of(1), 0, 1, 48)],
    ['two page sizes', (file) => writeSync(file, Uint8Array.of(0x20), 0, 1, 4096 + 49)],
    ['no last page', (file) => writeSync(file, new Uint8Array(8), 0, 8, 144)],
    ['the transaction of the other meta', (file) => writeSync(file, Uint8Array.of(1), 0, 1, 152)],
    [
      'trees that begin behind the last page',
      (file) => {
        for (const meta of [0, 4096]) writeSync(file, Uint8Array.of(1), 0, 1, meta + 136 + 6);
      },
    ],
  ];
  for (const [name, damage] of damages) {
    copyFileSync(whole, `${directory}/data.mdb`);
    const file = openSync(`${directory}/data.mdb`, 'r+');
    damage(file);
    closeSync(file);
    const error = catchFrom(() => openLog(directory));
    assert.ok(isStoreError(error, 'ERR_LOG_CORRUPT'), `${name}: ${String(error)}`);
  }

  copyFileSync(whole, `${directory}/data.mdb`);
  const file = openSync(`${directory}/data.mdb`, 'r+');
  writeSync(file, Uint8Array.of(1), 0, 1, 28);
  closeSync(file);
  assert.throwsWithCode(() => openLog(directory), 'ERR_UNSUPPORTED_FORMAT');

  copyFileSync(whole, `${directory}/data.mdb`);
  const swapped = readFileSync(whole).subarray(24, 28).toReversed();
  const foreign = openSync(`${directory}/data.mdb`, 'r+');
  writeSync(foreign, swapped, 0, 4, 24);
  closeSync(foreign);
  assert.throwsWithCode(() => openLog(directory), 'ERR_UNSUPPORTED_FORMAT');

  rmSync(`${directory}/data.mdb`);
  mkdirSync(`${directory}/data.mdb`);
  assert.throwsWithCode(() => openLog(directory), 'ERR_LOG_CORRUPT');
  rmdirSync(`${directory}/data.mdb`);

  copyFileSync(whole, `${directory}/data.mdb`);
  const again = openLog(directory);
  assert.is(again.view((view) => view.range('log', { start: bytes('0') })).length, 200);
  again.close();
});

// With strace, calls of the kernel are made to fail; the log is open long before the one that is counted to.
for (const [fault, others] of [
  ['fdatasync:error=EIO:when=20', ['committed']],
  // One after the other, a page and the meta page; the latter makes LMDB refuse everything.
  ['pwrite64:error=EIO:when=60', ['committed', 'ERR_STORE_POISONED']],
  ['pwrite64:error=EIO:when=61', ['committed', 'ERR_STORE_POISONED']],
] as const) {
  test.skipIf(cannotTrace(), `after ${fault} the outcome is unknown until the log is reopened`, async () => {
    const under = [
      'strace',
      '-f',
      '-o',
      '/dev/null',
      '-e',
      `trace=${fault.split(':')[0]}`,
      '-e',
      `inject=${fault}`,
    ];
    const child = new Child({ directory, action: 'fail-flush' }, { under });
    const [first, again, other, found, reopened] = (await child.report('done')).value?.split(', ') ?? [];
    assert.is(await child.exit(), 0);
    assert.equal([first, again, reopened], ['FlushError', 'ERR_STORE_POISONED', 'committed']);
    assert.ok(
      others.some((each) => each === other),
      other,
    );
    const [value, attempted = ''] = (found ?? '').split(' of ');
    const possible = other === 'committed' ? ['other'] : [attempted, String(Number(attempted) - 1)];
    assert.ok(possible.includes(value ?? ''), found);
    // It was remembered, as the log may look damaged by it; now that it is in order again it is not.
    openLog(directory).close();
    assert.is(existsSync(`${directory}/flush-failed`), false);
  });
}

test('a meta page that LMDB put back after a failed flush is no damage, if it is known to have failed', () => {
  const log = openLog(directory);
  for (const value of ['1', '2', '3', '4'])
    log.commit((batch) => batch.put('meta', bytes('a'), bytes(value)));
  log.close();
  const content = readFileSync(`${directory}/data.mdb`);
  const [first, second] = [content.readUInt32LE(152), content.readUInt32LE(4096 + 152)];
  const newest = Math.max(first, second);
  // Of the page of the failed commit LMDB puts the number back, and that of the last page.
  content.writeUInt32LE(newest - 2, (newest % 2) * 4096 + 152);
  writeFileSync(`${directory}/data.mdb`, content);
  assert.ok(
    isStoreError(
      catchFrom(() => openLog(directory)),
      'ERR_LOG_CORRUPT',
    ),
  );
  writeFileSync(`${directory}/flush-failed`, '');
  for (const commits of [true, false]) {
    const again = openLog(directory);
    again.examine();
    assert.is(existsSync(`${directory}/flush-failed`), commits);
    assert.is(read(again, 'meta', 'a'), commits ? '3' : '5');
    if (commits) again.commit((batch) => batch.put('meta', bytes('a'), bytes('5')));
    again.close();
  }
});

test('what opening a large log does not look at is found when it is examined', () => {
  const log = openLog(directory);
  for (let commit = 0; commit < 11; commit += 1) {
    log.commit((batch) => {
      for (let n = 0; n < 100; n += 1) batch.put('entries', bytes(`${commit}/${n}`), patterned(4000));
    });
  }
  log.commit((batch) => batch.put('meta', bytes('a'), bytes('1')));
  log.close();
  const content = readFileSync(`${directory}/data.mdb`);
  // The head of one of the large values: the walk has no business there while the log is opened.
  const at = content.indexOf(patterned(100)) - 24;
  content.writeUInt8(1, at + 18);
  writeFileSync(`${directory}/data.mdb`, content);
  const damaged = openLog(directory);
  assert.is(read(damaged, 'meta', 'a'), '1');
  assert.ok(
    isStoreError(
      catchFrom(() => damaged.examine()),
      'ERR_LOG_CORRUPT',
    ),
  );
  damaged.close();
});

function cannotTrace(): string | undefined {
  const { status } = spawnSync('strace', ['-e', 'inject=fsync:error=EIO', 'true'], { stdio: 'ignore' });
  return status === 0 ? undefined : 'there is no strace to make calls fail';
}

test('a log that is full takes essential commits only, and ordinary ones again when there is room', () => {
  const log = openLog(directory, { mapSizeBytes: 4 * 1024 * 1024 });
  let stored = 0;
  const refused = catchFrom(() => {
    for (; stored < 1000; stored += 1) {
      log.commit((batch) => batch.put('log', bytes(`${stored}`), patterned(20_000)), { sizeBytes: 20_000 });
    }
  });
  assert.ok(isStoreError(refused, 'ERR_LOG_FULL'), String(refused));
  assert.ok(stored > 150, `${stored} stored`);
  for (let n = 0; n < 100; n += 1) {
    log.commit((batch) => batch.put('files', bytes(`${n}`), patterned(10_000)), {
      essential: true,
      sizeBytes: 10_000,
    });
  }
  assert.is(log.view((view) => view.range('log', { start: bytes('0') })).length, stored);
  log.commit(
    (batch) => {
      for (let n = 0; n < stored; n += 1) batch.delete('log', bytes(`${n}`));
    },
    { essential: true },
  );
  log.commit((batch) => batch.put('log', bytes('again'), patterned(20_000)), { sizeBytes: 20_000 });
  assert.is(log.view((view) => view.range('files', { start: bytes('0') })).length, 100);
  log.close();
});

test('a map that became too small grows, for other handles as well', async () => {
  const small = openLog(directory, { mapSizeBytes: 1024 * 1024 });
  small.commit((batch) => batch.put('meta', bytes('count'), bytes('1')));
  const other = new Child({ directory, action: 'wait' });
  await other.report('ready');
  for (let n = 0; n < 300; n += 1) {
    small.commit((batch) => batch.put('files', bytes(`${n}`), patterned(20_000)), { essential: true });
  }
  assert.is(small.view((view) => view.range('files', { start: bytes('0') })).length, 300);
  writeFileSync(`${directory}-go`, '');
  assert.is((await other.report('done')).code, undefined);
  assert.is(read(small, 'meta', 'waited'), '1');
  small.close();
});

test('queue-like use neither grows the file nor loses anything', () => {
  const log = openLog(directory);
  for (let n = 0; n < 3000; n += 1) {
    log.commit((batch) => {
      batch.put('log', bytes(String(n).padStart(8, '0')), patterned(n % 30_000));
      if (n >= 10) batch.delete('log', bytes(String(n - 10).padStart(8, '0')));
    });
  }
  const rows = log.view((view) => view.range('log', { start: bytes('0') }));
  assert.equal(
    rows.map(([key, value]) => [Number(text(key)), value.length]),
    Array.from({ length: 10 }, (_, n) => [2990 + n, 2990 + n]),
  );
  assert.ok(log.stats().fileBytes <= 4 * 1024 * 1024, `${log.stats().fileBytes}`);
  log.close();
});

test('a process with an open, idle and watched log ends by itself', async () => {
  const program = `
    import { openLog } from ${JSON.stringify(new URL('./lmdb-world.js', import.meta.url).href)};
    const log = openLog(${JSON.stringify(directory)});
    log.view(() => 0);
    log.commit((batch) => batch.put('files', Uint8Array.of(1), Uint8Array.of(1)));
    log.watch(() => {});
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  assert.is(code, 0);
});

test('an error inside the file system of the log is an error of the store', () => {
  const error = catchFrom(() => openLog(`${scratch.path}/missing/log`));
  assert.ok(isStoreError(error, 'ERR_NOT_FOUND'), String(error));
  assert.is(error instanceof FlushError, false);
});

test('pausing keeps nothing from being written', async () => {
  const log = openLog(directory);
  log.view(() => 0);
  await pause(5);
  log.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
  await pause(5);
  assert.is(read(log, 'files', 'a'), '1');
  log.close();
});

test('a commit of too many changes is refused as a whole', () => {
  const log = openLog(directory);
  const error = catchFrom(() =>
    log.commit((batch) => {
      for (let n = 0; ; n += 1) batch.delete('entries', bytes(String(n)));
    }),
  );
  assert.ok(isStoreError(error, 'ERR_TOO_MANY'), String(error));
  log.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
  assert.is(read(log, 'files', 'a'), '1');
  log.close();
});

test('a log that is closed tells nobody of changes any more', async () => {
  const log = openLog(directory);
  const other = openLog(directory);
  let heard = 0;
  log.watch(() => (heard += 1));
  log.close();
  other.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
  await pause(50);
  assert.is(heard, 0);
  other.close();
  log.close();
});

test('from time to time the slots of dead readers are freed', async () => {
  let nowMs = 0;
  const log = openLog(directory, { clock: () => nowMs });
  const reader = new Child({ directory, action: 'read' });
  await reader.report('ready').catch(() => undefined);
  await reader.kill('SIGKILL');
  for (let round = 0; round < 3; round += 1) {
    nowMs += 3_600_000;
    log.commit((batch) => batch.put('files', bytes('a'), bytes(String(round))));
  }
  assert.is(read(log, 'files', 'a'), '2');
  log.close();
});

test.run();
