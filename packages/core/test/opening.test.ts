/** Opening where something is in the way: of the directories, of the log, of the owners that were there before. */

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { StoreError } from '#src/errors.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { MemoryLog, MemoryLogState } from '#src/log/memory-log.js';
import { queueToken } from '#src/log/queue-token.js';
import type { Owner } from '#src/owner/owner.js';
import { type ProcessIdentity, type ProcessTable, systemProcessTable } from '#src/owner/process-identity.js';
import { loadChecksum } from '#src/record/checksum.js';
import { encodeCommitBatch } from '#src/record/codec.js';
import { u32Key } from '#src/record/key.js';
import { formatRow, metaKeys, numberRow, ownerRow } from '#src/record/rows.js';
import { readOwners } from '#src/store/store-context.js';
import { openStoreWith } from '#src/store/open-store.js';
import type { StoreOptions } from '#src/store/options.js';
import { assert, type Fault, FaultyFileSystem, suite, temporaryDirectory } from '@forewrit/testkit';
import { openTestStore } from './store-world.js';

const test = suite('opening');
test.before(loadChecksum);

/** Opens over a real directory with a file system that fails, and a log in memory. */
async function openOver(root: string, faults: readonly Fault[], options: StoreOptions = {}): Promise<void> {
  const fileSystem = new FaultyFileSystem(new NodeFileSystem(), { faults });
  const store = await openTestStore(root, { fileSystem, log: new MemoryLog(), ...options });
  await store.writeFile('a', '1');
  await store.close();
  assert.equal(fileSystem.unused, []);
}

test('an error while the directories are made is one of the store', async () => {
  const faults: readonly (readonly [Fault, string])[] = [
    [
      { error: 'EACCES', at: ({ method, path }) => method === 'makeDirectory' && path.endsWith('/store') },
      'ERR_PERMISSION',
    ],
    [{ error: 'EIO', at: ({ method }) => method === 'syncDirectory' }, 'ERR_IO'],
    [
      { error: 'EROFS', at: ({ method, path }) => method === 'makeDirectory' && path.endsWith('/.forewrit') },
      'ERR_PERMISSION',
    ],
    [
      { error: 'ENOSPC', at: ({ method, path }) => method === 'create' && path.endsWith('.gitignore') },
      'ERR_NO_SPACE',
    ],
  ];
  for (const [fault, code] of faults) {
    using directory = temporaryDirectory('opening');
    await assert.rejectsWithCode(openOver(`${directory.path}/store`, [fault]), code);
    await openOver(`${directory.path}/store`, []);
  }
});

test('what another process makes at the same time is not in the way', async () => {
  for (const place of [
    '/store',
    '/store/.forewrit',
    '/store/.forewrit/staged',
    '/store/.forewrit/.gitignore',
  ]) {
    using directory = temporaryDirectory('opening');
    let made = 0;
    const fileSystem = new FaultyFileSystem(new NodeFileSystem(), {
      beforeCall: ({ method, path }) => {
        if (!path.endsWith(place)) return;
        if (method === 'makeDirectory') mkdirSync(path);
        else if (method === 'create') writeFileSync(path, '*\n');
        else return;
        made += 1;
      },
    });
    const store = await openTestStore(`${directory.path}/store`, { fileSystem, log: new MemoryLog() });
    await store.writeFile('a', '1');
    await store.close();
    assert.is(made, 1, place);
    assert.is(readFileSync(`${directory.path}/store/.forewrit/.gitignore`, 'utf8'), '*\n');
  }
});

test('a root that is not there, or below a file, is refused with its code', async () => {
  using directory = temporaryDirectory('opening');
  writeFileSync(`${directory.path}/file`, 'x');
  const create = false;
  await assert.rejectsWithCode(openTestStore(`${directory.path}/file/x`, { create }), 'ERR_NOT_DIRECTORY');
  const injected = { create, fileSystem: new NodeFileSystem(), log: new MemoryLog() };
  await assert.rejectsWithCode(openTestStore(`${directory.path}/none`, injected), 'ERR_NOT_FOUND');
  assert.equal(readdirSync(directory.path), ['file']);
});

test('options that are none, and such as a thread cannot take, are refused', async () => {
  using directory = temporaryDirectory('opening');
  const services = {
    recoverer: undefined,
    committerEntry: new URL('./store-committer.js', import.meta.url),
    verify: () => ({ checked: 0, findings: [] }),
  };
  for (const options of [null, 'fast', { fileSystem: new NodeFileSystem() }, { clock: {} }]) {
    const opening = openStoreWith(directory.path, options as never, services);
    await assert.rejectsWithCode(opening, 'ERR_INVALID_ARGUMENT');
  }
  assert.equal(readdirSync(directory.path), []);
});

test('a named root that is reached through a link may be written by either name', async () => {
  using directory = temporaryDirectory('opening');
  mkdirSync(`${directory.path}/cache`);
  symlinkSync('cache', `${directory.path}/link`);
  const store = await openTestStore(`${directory.path}/store`, {
    roots: { cache: `${directory.path}/link` },
  });
  await store.writeFile(`${directory.path}/link/a`, '1');
  await store.writeFile('cache:b', '2');
  await store.close();
  assert.equal(
    ['a', 'b'].map((name) => readFileSync(`${directory.path}/cache/${name}`, 'utf8')),
    ['1', '2'],
  );
});

test('a file system that machines share is refused, unless it is allowed', async () => {
  class Shared extends NodeFileSystem {
    override space(path: string): ReturnType<NodeFileSystem['space']> {
      // NFS_SUPER_MAGIC of linux/magic.h.
      return { ...super.space(path), type: 0x6969 };
    }
  }
  using directory = temporaryDirectory('opening');
  const options = { fileSystem: new Shared(), log: new MemoryLog() };
  await assert.rejectsWithCode(openTestStore(directory.path, options), 'ERR_NETWORK_FS');
  const store = await openTestStore(directory.path, { ...options, allowSharedFileSystem: true });
  await store.close();
});

test('a log that cannot be flushed when the store is opened is no store, and nothing is poisoned', async () => {
  for (const failing of [1, 2]) {
    using directory = temporaryDirectory('opening');
    let flushes = 0;
    const onFlush = (): void => {
      flushes += 1;
      if (flushes === failing) throw Object.assign(new Error('flush'), { code: 'EIO' });
    };
    const state = new MemoryLogState();
    const opening = openTestStore(directory.path, { log: new MemoryLog(state, { onFlush }) });
    const error = await assert.rejectsWithCode(opening, 'ERR_IO');
    assert.is((error as StoreError).op, 'open');
    const store = await openTestStore(directory.path, { log: new MemoryLog(state) });
    await store.close();
  }
});

test('log and tree of two stores are not put together', async () => {
  using directory = temporaryDirectory('opening');
  const root = directory.path;
  const store = await openTestStore(root);
  await store.close();
  await assert.rejectsWithCode(openTestStore(root, { log: new MemoryLog() }), 'ERR_STORE_MISMATCH');
  rmSync(`${root}/.forewrit/log`, { recursive: true });
  await assert.rejectsWithCode(openTestStore(root), 'ERR_STORE_MISMATCH');
});

test('a format that is not ours is refused, and the counter of owners is not turned back', async () => {
  using directory = temporaryDirectory('opening');
  const state = new MemoryLogState();
  const log = new MemoryLog(state);
  const store = await openTestStore(directory.path, { log: new MemoryLog(state) });
  await store.close();
  const format = formatRow.decode(metaKeys.format, log.view((view) => view.get('meta', metaKeys.format))!);
  const put = (key: Uint8Array, value: Uint8Array): void =>
    log.commit((batch) => batch.put('meta', key, value));
  put(metaKeys.format, formatRow.encode(metaKeys.format, { ...format, version: 9 }));
  await assert.rejectsWithCode(
    openTestStore(directory.path, { log: new MemoryLog(state) }),
    'ERR_UNSUPPORTED_FORMAT',
  );
  put(metaKeys.format, formatRow.encode(metaKeys.format, format));
  putOwner(log, 7, systemProcessTable().identity());
  put(metaKeys.owner, numberRow.encode(metaKeys.owner, 3));
  await assert.rejectsWithCode(
    openTestStore(directory.path, { log: new MemoryLog(state) }),
    'ERR_LOG_CORRUPT',
  );
});

function putOwner(log: MemoryLog, number: number, identity: ProcessIdentity, mount?: string): void {
  const key = u32Key(number);
  const owner: Owner = { number, id: String(number), nonce: 'n', identity, mount, openedAtMs: 1 };
  log.commit((batch) => {
    batch.put('owners', key, ownerRow.encode(key, owner));
    batch.put('meta', metaKeys.owner, numberRow.encode(metaKeys.owner, number));
  });
}

function putTransaction(log: MemoryLog, owner: number): void {
  const [key, value] = encodeCommitBatch({
    number: { owner, counter: 1 },
    begin: { kind: 'begin', bootId: '', mount: '', startedAtMs: 0 },
    targets: [],
    revision: 1,
    entries: [],
  });
  log.commit((batch) => {
    batch.put('log', key, value);
    batch.put('meta', metaKeys.owner, numberRow.encode(metaKeys.owner, owner));
  });
}

const dead: ProcessIdentity = { pid: 1, startTime: '1', bootId: 'another boot', pidNamespace: '' };

test('without recovery dead owners are forgotten that left nothing, and a log that needs it is refused', async () => {
  const services = {
    recoverer: undefined,
    committerEntry: undefined,
    verify: () => ({ checked: 0, findings: [] }),
  };
  using directory = temporaryDirectory('opening');
  const state = new MemoryLogState();
  const log = new MemoryLog(state);
  const open = (options: StoreOptions = {}): ReturnType<typeof openStoreWith> =>
    openStoreWith(directory.path, { log: new MemoryLog(state), committer: 'inline', ...options }, services);
  await (await open()).close();
  putOwner(log, 2, dead);
  const store = await open();
  assert.is(
    log.view((view) => view.get('owners', u32Key(2))),
    undefined,
  );
  assert.is(store.recovery.redone.length, 0);
  await store.close();
  // Of one that is gone, of one that is dead, and of one before a living one.
  for (const prepare of [
    (): void => putTransaction(log, 50),
    (): void => putOwner(log, 50, dead),
    (): void => putOwner(log, 60, systemProcessTable().identity()),
  ]) {
    prepare();
    await assert.rejectsWithCode(open(), 'ERR_RECOVERY_REQUIRED');
  }
});

test('an owner in another pid namespace is in the way, unless it is declared dead', async () => {
  using directory = temporaryDirectory('opening');
  const state = new MemoryLogState();
  const here = systemProcessTable();
  const other = { ...here.identity(), pidNamespace: 'pid:[99]' };
  const store = await openTestStore(directory.path, { log: new MemoryLog(state) });
  await store.close();
  putOwner(new MemoryLog(state), 7, other);
  const options = { log: new MemoryLog(state), probeWitness: () => Promise.resolve('unknown' as const) };
  await assert.rejectsWithCode(openTestStore(directory.path, options), 'ERR_STORE_LOCKED');
  const again = { log: new MemoryLog(state), ownersDead: ['7'] };
  await (await openTestStore(directory.path, again)).close();
});

test('whose turn it is in the queue of writers is taken over from processes that are proven dead alone', async () => {
  const ours: ProcessIdentity = { pid: 10, startTime: '5', bootId: 'this', pidNamespace: 'pid:[1]' };
  const looks: Readonly<Record<number, ReturnType<ProcessTable['look']>>> = {
    11: { exists: false, zombie: false },
    12: { exists: true, zombie: true },
    13: { exists: true, zombie: false, startTime: '6' },
    14: { exists: true, zombie: false, startTime: '7' },
    15: { exists: true, zombie: false },
  };
  const processTable: ProcessTable = { identity: () => ours, look: (pid) => looks[pid] };
  const there = { ...ours, startTime: '6' };
  const holders: readonly (readonly [string, boolean])[] = [
    ['no token', false],
    [queueToken({ ...there, pid: 11, bootId: 'another' }, 'n'), true],
    [queueToken({ ...there, pid: 11, pidNamespace: 'pid:[2]' }, 'n'), false],
    [queueToken({ ...there, pid: 11, pidNamespace: '' }, 'n'), false],
    [queueToken({ ...there, pid: 11 }, 'n'), true],
    [queueToken({ ...there, pid: 12 }, 'n'), true],
    [queueToken({ ...there, pid: 13 }, 'n'), false],
    [queueToken({ ...there, pid: 14 }, 'n'), true],
    [queueToken({ ...there, pid: 15 }, 'n'), false],
    [queueToken({ ...there, pid: 16 }, 'n'), false],
    [queueToken({ ...there, pid: 14, startTime: '' }, 'n'), false],
  ];
  using directory = temporaryDirectory('opening');
  const root = directory.path;
  await (await openTestStore(root)).close();
  const queue = `${root}/.forewrit/log/queue`;
  const fileSystem = new NodeFileSystem();
  for (const [holder, takenOver] of holders) {
    const held = holder === 'no token' ? 'held-strange' : `held-${holder}`;
    fileSystem.rename(`${queue}/free`, `${queue}/${held}`);
    const opening = openTestStore(root, { processTable, lockTimeoutMs: 30 });
    if (takenOver) await (await opening).close();
    else {
      await assert.rejectsWithCode(opening, 'ERR_STORE_LOCKED');
      fileSystem.rename(`${queue}/${held}`, `${queue}/free`);
    }
    assert.ok(statSync(`${queue}/free`).isFile(), holder);
  }
});

test('a root may be given as a URL, and its mount need not be known', async () => {
  class Unknown extends NodeFileSystem {
    override mountId(): undefined {
      return undefined;
    }
  }
  using directory = temporaryDirectory('opening');
  const state = new MemoryLogState();
  const services = {
    recoverer: undefined,
    committerEntry: undefined,
    verify: () => ({ checked: 0, findings: [] }),
  };
  const options = { committer: 'inline', fileSystem: new Unknown(), log: new MemoryLog(state) } as const;
  const store = await openStoreWith(pathToFileURL(directory.path), options, services);
  await store.writeFile('a', '1');
  const [owner] = new MemoryLog(state).view(readOwners);
  assert.is(owner?.mount, undefined);
  await store.close();
  assert.is(readFileSync(`${directory.path}/a`, 'utf8'), '1');
});

test.run();
