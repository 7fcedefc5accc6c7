import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { isStoreError } from '#src/errors.js';
import type { Log } from '#src/log/log.js';
import { openLogToInspect } from '#src/log/lmdb-inspection.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { assert, suite, temporaryDirectory, type TemporaryDirectory } from '@forewrit/testkit';
import { Child, openLog } from './lmdb-world.js';
import { bytes, catchFrom, patterned, pause, read, text } from './log-values.js';

/** `nobody` */
const otherUser = 65_534;

const test = suite('log in LMDB, to look at');

let scratch: TemporaryDirectory;
let directory: string;
let scratchDirectory: string;
test.before.each(() => {
  scratch = temporaryDirectory('inspect');
  directory = `${scratch.path}/log`;
  scratchDirectory = `${scratch.path}/scratch`;
});
test.after.each(() => scratch.remove());

function inspect(): Log {
  return openLogToInspect({ directory, fileSystem: new NodeFileSystem(), scratchDirectory });
}

/** Looks at it as another process, which may have opened nothing else of it. */
async function inspectElsewhere(options: { readonly uid?: number } = {}): Promise<string | undefined> {
  const child = new Child({ directory, action: 'inspect' }, options);
  const { code, message, value } = await child.report('done');
  await child.exit();
  return code === undefined ? value : `${code} ${message}`;
}

function names(): string[] {
  return readdirSync(scratch.path, { recursive: true }).map(String).sort();
}

test('a log in use is read, fresh in each view, and cannot be written', async () => {
  const log = openLog(directory);
  log.commit((batch) => batch.put('meta', bytes('count'), bytes('1')));
  const before = names();
  const child = new Child({ directory, action: 'inspect', count: 5 });
  for (let round = 1; round <= 5; round += 1) {
    log.commit((batch) => batch.put('meta', bytes('count'), bytes(String(round))));
    child.process.stdin?.write('look\n');
    assert.is((await child.report('done')).value, String(round));
  }
  await child.exit();
  assert.equal(names(), before);

  const looking = inspect();
  assert.is(read(looking, 'meta', 'count'), '5');
  assert.ok(
    isStoreError(
      catchFrom(() => looking.commit(() => 0)),
      'ERR_PERMISSION',
    ),
  );
  assert.ok(looking.stats().usedBytes > 0);
  log.commit((batch) => batch.put('meta', bytes('count'), bytes('6')));
  assert.is(read(looking, 'meta', 'count'), '6');
  looking.close();
  looking.close();
  assert.ok(
    isStoreError(
      catchFrom(() => looking.view(() => 0)),
      'ERR_STORE_CLOSED',
    ),
  );
  log.commit((batch) => batch.put('meta', bytes('count'), bytes('7')));
  log.close();
});

test('a log that nobody uses is read, and nothing is made', async () => {
  const log = openLog(directory);
  log.commit((batch) => batch.put('meta', bytes('count'), bytes('1')));
  log.close();
  for (const lock of [true, false]) {
    if (!lock) rmSync(`${directory}/lock.mdb`);
    const before = names();
    assert.is(await inspectElsewhere(), '1');
    assert.equal(names(), before);
  }
});

test('something else in place of the table of readers does not keep us from looking', async () => {
  const log = openLog(directory);
  log.commit((batch) => batch.put('meta', bytes('count'), bytes('1')));
  log.close();
  rmSync(`${directory}/lock.mdb`);
  mkdirSync(`${directory}/lock.mdb`);
  assert.is(await inspectElsewhere(), '1');
});

test('there is nothing to look at where there is no log', () => {
  assert.ok(isStoreError(catchFrom(inspect), 'ERR_NOT_FOUND'));
  mkdirSync(directory);
  assert.ok(isStoreError(catchFrom(inspect), 'ERR_NOT_FOUND'));
  assert.equal(names(), ['log']);
});

test('a damaged log is refused', () => {
  openLog(directory).close();
  truncateSync(`${directory}/data.mdb`, 5000);
  assert.ok(isStoreError(catchFrom(inspect), 'ERR_LOG_CORRUPT'));
  assert.equal(existsSync(scratchDirectory), false);
});

test.skipIf(
  cannotBeAnother(),
  'another user who may only read sees a copy, whole while it is written',
  async () => {
    const log = openLog(directory);
    log.commit((batch) => batch.put('meta', bytes('count'), bytes('1')));
    chmodSync(scratch.path, 0o777);
    chmodSync(directory, 0o755);
    chmodSync(`${directory}/data.mdb`, 0o644);
    assert.is(await inspectElsewhere({ uid: otherUser }), '1');
    assert.equal(existsSync(scratchDirectory), false);

    const writer = new Child({ directory, action: 'write-for-ever' });
    await writer.report('ready');
    const child = new Child({ directory, action: 'inspect', count: 40 }, { uid: otherUser });
    let differing = 0;
    let last: string | undefined;
    for (let round = 0; round < 40; round += 1) {
      child.process.stdin?.write('look\n');
      const { code, value, message } = await child.report('done');
      // A busy writer may be too fast for a copy, but never makes a torn one.
      if (code === 'ERR_STORE_LOCKED') continue;
      assert.is(code, undefined, message);
      assert.is(value?.startsWith('same '), true, value);
      if (value !== last) differing += 1;
      last = value;
      await pause(2);
    }
    assert.ok(differing > 5, `${differing} states seen`);
    await child.exit();
    await writer.kill('SIGKILL');
    log.close();
  },
);

test.skipIf(cannotMount(), 'a log on a read-only file system is read', async () => {
  const log = openLog(directory);
  log.commit((batch) => batch.put('meta', bytes('count'), bytes('1')));
  log.close();
  spawnSync('mount', ['--bind', directory, directory]);
  spawnSync('mount', ['-o', 'remount,ro,bind', directory]);
  try {
    assert.is(catchFrom(() => rmSync(`${directory}/lock.mdb`)) instanceof Error, true);
    assert.is(await inspectElsewhere(), '1');
  } finally {
    spawnSync('umount', ['-l', directory]);
  }
});

test('after looking, the same process can open it to write', () => {
  openLog(directory).close();
  const looking = inspect();
  assert.is(read(looking, 'meta', 'count'), undefined);
  const error = catchFrom(() => openLog(directory));
  assert.ok(isStoreError(error, 'ERR_STORE_LOCKED'), String(error));
  looking.close();
  const log = openLog(directory);
  log.commit((batch) => batch.put('meta', bytes('count'), bytes('1')));
  log.close();
});

test('a watcher hears of a commit', async () => {
  const log = openLog(directory);
  const looking = inspect();
  const heard = new Promise<void>((resolve) => looking.watch(resolve));
  log.commit((batch) => batch.put('entries', bytes('a'), patterned(100)));
  await heard;
  assert.is(
    text(looking.view((view) => view.get('entries', bytes('a'))))?.length,
    text(patterned(100))?.length,
  );
  looking.close();
  log.close();
  assert.ok(statSync(`${directory}/data.mdb`).size > 0);
});

function cannotBeAnother(): string | undefined {
  const { status } = spawnSync(process.execPath, ['--version'], { uid: otherUser, stdio: 'ignore' });
  return status === 0 ? undefined : 'this node cannot be run as another user';
}

function cannotMount(): string | undefined {
  using place = temporaryDirectory('mount');
  if (spawnSync('mount', ['--bind', place.path, place.path]).status !== 0)
    return 'nothing can be mounted here';
  spawnSync('umount', ['-l', place.path]);
  return undefined;
}

test.run();
