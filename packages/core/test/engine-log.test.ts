/** The engine and the log: full, failing, or held by somebody else. */

import { renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { StoreError } from '#src/errors.js';
import { MemoryLog, MemoryLogState } from '#src/log/memory-log.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { encodeMark } from '#src/record/codec.js';
import { u32Key } from '#src/record/key.js';
import { metaKeys } from '#src/record/rows.js';
import { openStoreWith } from '#src/store/open-store.js';
import { systemProcessTable } from '#src/owner/process-identity.js';
import type { Store } from '#src/store/store.js';
import { assert, suite } from '@forewrit/testkit';
import { engineWorld } from './engine-world.js';
import { openTestStore } from './store-world.js';

const test = suite('engine and log');
const large = 'L'.repeat(100_000);

test('a group that is too much for the log is split, and a checkpoint makes room', async () => {
  await using world = await engineWorld({ state: new MemoryLogState({ capacityBytes: 400_000 }) });
  const { store } = world;
  const sets = Array.from({ length: 30 }, (_, n) => ({ [`a${n}`]: 'x'.repeat(30_000), [`b${n}`]: `${n}` }));
  await Promise.all(sets.map((set) => store.writeFiles(set)));
  assert.is(Object.keys(world.tree()).length, 60);
  assert.is(store.stats().commits, 30);
  await assert.rejectsWithCode(store.collection('c').put('k', 'x'.repeat(500_000)), 'ERR_LOG_FULL');
  await store.writeFile('a0', 'goes on');
  await store.checkpoint();
  assert.equal(world.leftovers(), []);
});

test('a flush of marks that fails poisons the store, and takes nobody down with it', async () => {
  let failing = false;
  await using world = await engineWorld({
    logOptions: {
      onFlush: () => {
        if (failing) throw new Error('flush');
      },
    },
  });
  const { store } = world;
  await store.writeFiles({ a: '1', b: '1' });
  failing = true;
  await delay(50);
  assert.is(store.status, 'poisoned');
  await assert.rejectsWithCode(store.writeFile('a', '2'), 'ERR_STORE_POISONED');
  assert.equal(world.tree(), { a: '1', b: '1' });
  assert.ok(world.rows('log') > 0);
});

test('a roll-back whose abort cannot be flushed leaves the decision to recovery', async () => {
  let failing = false;
  await using world = await engineWorld({
    faults: [
      {
        error: 'EIO',
        at: ({ method, dest }) => method === 'rename' && dest?.endsWith('/b') === true && (failing = true),
      },
    ],
    logOptions: {
      onFlush: () => {
        if (failing) throw new Error('flush');
      },
    },
  });
  const { store } = world;
  await assert.rejectsWithCode(store.writeFiles({ a: '1', b: '1' }), 'ERR_STORE_POISONED');
  assert.is(store.status, 'poisoned');
  assert.ok(world.leftovers().length > 0);
});

test('a checkpoint whose flush fails poisons the store', async () => {
  let failing = false;
  await using world = await engineWorld({
    logOptions: {
      onFlush: () => {
        if (failing) throw new Error('flush');
      },
    },
  });
  const { store } = world;
  await store.writeFiles({ a: '1', b: large });
  await delay(20);
  failing = true;
  await assert.rejectsWithCode(store.checkpoint(), 'ERR_STORE_POISONED');
  assert.is(store.status, 'poisoned');
  assert.ok(world.leftovers().length > 0, 'nothing was let go of');
});

/** A store whose process is gone, as far as it can tell, when a file is put in place. */
function dyingWorld(at: string): ReturnType<typeof engineWorld> {
  let dead = false;
  return engineWorld({
    faults: [
      {
        crash: true,
        at: ({ method, path, dest }) => {
          dead ||= method === 'rename' && dest?.endsWith(at) === true && path.includes('1-2-');
          return dead;
        },
      },
    ],
    logOptions: {
      onFlush: () => {
        if (dead) throw new Error('gone');
      },
    },
  });
}

/** Two handles: the first stops in the middle of applying a set, and does not go on. */
async function halfApplied(
  body: (half: {
    root: string;
    other: Store;
    world: Awaited<ReturnType<typeof engineWorld>>;
  }) => Promise<void>,
): Promise<void> {
  await using world = await dyingWorld('/c');
  const { store, root, state } = world;
  await store.writeFiles({ a: 'old', b: 'old', c: 'old', gone: 'old', 'd/x': 'old' });
  await store.checkpoint();
  const interrupted = store.transact(async (tx) => {
    void tx.writeFile('a', 'new');
    await tx.writeFile('b', large);
    void tx.writeFile('c', 'new');
    tx.rm('gone');
    tx.put('n', 'k', 'new');
  });
  await assert.rejectsWithCode(interrupted, 'ERR_STORE_POISONED');
  const other = await openTestStore(root, {
    fileSystem: new NodeFileSystem(),
    log: new MemoryLog(state),
    lockTimeoutMs: 300,
  }).catch((error: unknown) => error);
  if (!(other instanceof Error)) await body({ root, other: other as Store, world });
  else throw other;
  await (other as Store).close();
}

test('a set that is being applied is read as it was committed', async () => {
  await halfApplied(async ({ other, world }) => {
    assert.is(world.tree()['a'], 'new');
    assert.is(world.tree()['c'], 'old');
    const set = await other.readFiles(['a', 'b', 'c', 'd/x'], 'utf8');
    assert.equal([...set.values()], ['new', large, 'new', 'old']);
    assert.is(await other.readFile('c', 'utf8'), 'new');
    assert.is((await other.stat('b')).size, large.length);
    assert.is(await other.exists('gone'), false);
    await assert.rejectsWithCode(other.readFile('gone'), 'ERR_NOT_FOUND');
    assert.is(await other.collection('n').get('k'), 'new');
    const seen = await other.snapshot(async (view) => [
      await view.readFile('c', 'utf8'),
      (await view.stat('b')).size,
    ]);
    assert.equal(seen, ['new', large.length]);
  });
});

test('who needs files that somebody else is writing waits, but not for ever', async () => {
  await halfApplied(async ({ other, world }) => {
    const started = performance.now();
    await assert.rejectsWithCode(other.writeFile('c', 'mine'), 'ERR_STORE_LOCKED');
    assert.ok(performance.now() - started >= 250);
    await other.writeFile('free', '1');
    const controller = new AbortController();
    const waiting = other.writeFile('c', 'mine', { signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await assert.rejectsWithCode(waiting, 'ERR_ABORTED');
    await assert.rejectsWithCode(
      other.rm('d', { recursive: true }).then(() => other.rename('c', 'd2')),
      'ERR_STORE_LOCKED',
    );
    await assert.rejectsWithCode(other.collection('n').put('k', 'mine'), 'ERR_STORE_LOCKED');
    const closing = other.writeFile('a', 'mine');
    await delay(20);
    const [result] = await Promise.allSettled([closing, other.close()]);
    assert.is((result as PromiseRejectedResult).reason.code, 'ERR_STORE_CLOSED');
    assert.is(world.tree()['c'], 'old');
  });
});

test('opened without anybody who can recover, a store that needs it is refused', async () => {
  await using world = await dyingWorld('/b');
  await world.store.writeFile('a', '0');
  await assert.rejectsWithCode(world.store.writeFiles({ a: '1', b: '1' }), 'ERR_STORE_POISONED');
  const table = systemProcessTable();
  const otherBoot = {
    ...table,
    identity: () => ({ ...table.identity(), bootId: 'another' }),
    look: table.look.bind(table),
  };
  const open = (processTable = table): Promise<Store> =>
    openStoreWith(
      world.root,
      {
        committer: 'inline',
        fileSystem: new NodeFileSystem(),
        log: new MemoryLog(world.state),
        processTable,
      },
      { recoverer: undefined, committerEntry: undefined, verify: () => ({ checked: 0, findings: [] }) },
    );
  // Its owner is dead, or is not registered any more.
  await assert.rejectsWithCode(open(otherBoot), 'ERR_RECOVERY_REQUIRED');
  assert.ok(world.rows('log') > 0);
  new MemoryLog(world.state).commit((batch) => batch.delete('owners', u32Key(1)));
  await assert.rejectsWithCode(open(), 'ERR_RECOVERY_REQUIRED');
});

test('what changes between the plan and the staging is planned again', async () => {
  await using world = await engineWorld({ inlineLimitBytes: 1000 });
  const { store, root } = world;
  const cases: readonly (readonly [run: () => Promise<unknown>, edit: () => void, check: () => void])[] = [
    [() => store.writeFile('a', 'new'), () => rmSync(`${root}/a`), () => assert.is(world.tree()['a'], 'new')],
    [
      () => store.writeFile('n1', 'new'),
      () => writeFileSync(`${root}/n1`, 'edit'),
      () => assert.is(world.tree()['n1'], 'new'),
    ],
    [
      () => store.appendFile('b', '+'),
      () => {
        writeFileSync(`${root}/t`, 'edit');
        renameSync(`${root}/t`, `${root}/b`);
      },
      () => assert.is(world.tree()['b'], 'edit+'),
    ],
    [
      () => store.copyFile('c', 'copy'),
      () => {
        writeFileSync(`${root}/t`, 'edit');
        renameSync(`${root}/t`, `${root}/c`);
      },
      () => assert.is(world.tree()['copy'], 'edit'),
    ],
    [
      () => store.rename('c', 'moved'),
      () => {
        writeFileSync(`${root}/t`, 'edit2');
        renameSync(`${root}/t`, `${root}/c`);
      },
      () => {
        assert.is(world.tree()['moved'], 'edit2');
        assert.is(world.tree()['c'], undefined);
      },
    ],
    [
      () => store.rm('b'),
      () => {
        writeFileSync(`${root}/t`, 'edit3');
        renameSync(`${root}/t`, `${root}/b`);
      },
      () => assert.is(world.tree()['b'], undefined),
    ],
  ];
  await store.writeFiles({ a: 'old', b: 'old', c: 'old' });
  for (const [run, edit, check] of cases) {
    // Everything has been looked at when the first thing is staged; the log is read just before.
    const committed = store.stats().commits;
    world.before(
      ({ method, path, dest }) =>
        (method === 'link' || method === 'create' || method === 'lstat') &&
        `${path}${dest ?? ''}`.includes(root) &&
        looked(path),
      edit,
    );
    await run();
    check();
    assert.is(store.stats().commits, committed + 1);
  }
  await store.checkpoint();
  assert.equal(world.leftovers(), []);

  /** The second look at a file of the tree is that of the staging. */
  function looked(path: string): boolean {
    if (path.includes('.forewrit')) return false;
    const times = (looks.get(path) ?? 0) + 1;
    looks.set(path, times);
    return times === 2;
  }
});
const looks = new Map<string, number>();

test('what changes without pause is given up on', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.writeFile('a', 'old');
  let n = 0;
  // Comes and goes between each plan and its staging.
  world.onCall = ({ method, path, dest }) => {
    if (method === 'link' && path === `${root}/a` && dest?.includes('/before/') === true)
      rmSync(path, { force: true });
    else if (method === 'lstat' && path === `${root}/a`) writeFileSync(path, `${(n += 1)}`);
  };
  await assert.rejectsWithCode(store.writeFile('a', 'new'), 'ERR_CONFLICT');
  world.onCall = undefined;
  assert.equal(
    world.leftovers().filter((name) => !name.startsWith('before/1-1-')),
    [],
  );
});

test('where nothing can be linked, moves are copies and before-images too', async () => {
  await using world = await engineWorld({
    faults: [{ error: 'ENOTSUP', sticky: true, at: ({ method }) => method === 'link' }],
  });
  const { store, root } = world;
  await store.writeFiles({ a: '1', b: large, c: 'old' }, { mode: 0o640 });
  symlinkSync('a', `${root}/link`);
  await store.rename('a', 'moved');
  await store.rename('b', 'c');
  await store.writeFile('c', 'new', { backup: true });
  assert.equal(Object.keys(world.tree()), ['c', 'c.bak', 'link', 'moved']);
  assert.is(world.tree()['c.bak'], large);
  assert.is(statSync(`${root}/moved`).mode & 0o777, 0o640 & ~process.umask());
  // A roll-back puts the copy in place, and knows it.
  world.before(
    ({ method, dest }) => method === 'rename' && dest === `${root}/moved`,
    () => writeFileSync(`${root}/new`, 'edit'),
  );
  const before = await store.stat('c');
  await assert.rejectsWithCode(
    store.writeFiles({ c: 'newer', moved: 'newer', new: 'x' }),
    'ERR_EXTERNAL_EDIT',
  );
  assert.is(world.tree()['c'], 'new');
  const after = await store.stat('c');
  assert.is(after.checksum, before.checksum);
  assert.ok(after.revision! > before.revision!);
  await store.checkpoint();
  assert.equal(world.leftovers(), []);
  assert.equal(world.conflicts(), []);
});

test('a staging area that somebody has removed is no reason to doubt the log', async () => {
  await using world = await engineWorld();
  const { store, root } = world;
  await store.writeFile('a', 'old');
  await store.checkpoint();
  renameSync(`${root}/.forewrit/staged`, `${root}/away`);
  for (const data of ['new', Buffer.alloc(2_000_000)]) {
    const error = (await assert.rejectsWithCode(store.writeFile('n', data), 'ERR_IO')) as StoreError;
    assert.ok(error.cause !== undefined);
  }
  assert.is(store.status, 'open');
  renameSync(`${root}/away`, `${root}/.forewrit/staged`);
  await store.writeFile('n', 'new');
  assert.equal(world.tree(), { a: 'old', n: 'new' });
});

test('errors of the file system come back with a code and their cause', async () => {
  for (const [error, code] of [
    ['EACCES', 'ERR_PERMISSION'],
    ['ENOSPC', 'ERR_NO_SPACE'],
    ['EROFS', 'ERR_PERMISSION'],
    ['EIO', 'ERR_IO'],
  ] as const) {
    let armed = false;
    await using world = await engineWorld({
      faults: [{ error, at: ({ method }) => armed && method === 'list' }],
    });
    await world.store.writeFiles({ 'd/a': '1' });
    for (const attempt of [() => world.store.rm('d', { recursive: true }), () => world.store.readdir('d')]) {
      armed = true;
      const caught = await attempt().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      armed = false;
      if (caught === undefined) continue;
      assert.ok(caught instanceof StoreError && caught.code === code, String(caught));
    }
  }
});

test('an entry that is new in a transaction that is taken back is gone again', async () => {
  let armed = false;
  await using world = await engineWorld({
    faults: [
      {
        error: 'EIO',
        at: ({ method, dest }) => armed && method === 'rename' && dest?.endsWith('/b') === true,
      },
    ],
  });
  const { store } = world;
  await store.collection('c').put('old', 1);
  armed = true;
  const saved = store.transact((tx) => {
    void tx.writeFile('b', 'x');
    tx.put('c', 'new', 2);
    tx.put('c', 'old', 2);
  });
  await assert.rejectsWithCode(saved, 'ERR_APPLY_ROLLED_BACK');
  assert.equal(await store.collection('c').range(), [['old', 1]]);
});

test('of a group whose first transaction ends in an error that nobody has thought of the others are not applied', async () => {
  await using world = await engineWorld({ failpoint: { name: 'apply.after', action: 'throw' } });
  const { store } = world;
  const results = await Promise.allSettled(['a', 'b', 'c'].map((path) => store.writeFile(path, '1')));
  for (const result of results) {
    assert.is(result.status === 'rejected' && (result.reason as StoreError).code, 'ERR_STORE_POISONED');
  }
  assert.equal(world.tree(), { a: '1' });
  assert.is(world.rows('log'), 3, 'recovery has what it needs');
});

test('a log that has lost its format is not written any more', async () => {
  await using world = await engineWorld();
  const { store } = world;
  await store.writeFile('a', '1');
  new MemoryLog(world.state).commit((batch) => batch.delete('meta', metaKeys.format));
  await assert.rejectsWithCode(store.writeFile('a', '2'), 'ERR_UNSUPPORTED_FORMAT');
  assert.equal(world.tree(), { a: '1' });
});

test('what another process has carried out meanwhile is not taken back', async () => {
  let armed = false;
  await using world = await engineWorld({
    faults: [
      {
        error: 'EIO',
        at: ({ method, dest }) => {
          if (!armed || method !== 'rename' || dest?.endsWith('/b') !== true) return false;
          const [key, value] = encodeMark({ owner: 1, counter: 2 }, { kind: 'applied', bootId: 'b' });
          new MemoryLog(world.state).commit((batch) => batch.put('log', key, value));
          return true;
        },
      },
    ],
  });
  const { store } = world;
  await store.writeFiles({ a: 'old' });
  armed = true;
  await assert.rejectsWithCode(store.writeFiles({ a: 'new', b: 'new' }), 'ERR_STORE_POISONED');
  assert.equal(world.tree(), { a: 'new' });
});

test.run();
