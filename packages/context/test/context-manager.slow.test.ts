import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isStoreError } from '@forewrit/core';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { contextFileNames, ContextManager } from '#src/index.js';
import {
  bytesIn,
  fileNames,
  fill,
  leftovers,
  managerOf,
  openTestStore,
  wholeVersion,
} from './context-world.js';

const clock = { nowMs: () => Date.UTC(2024, 1, 29, 12, 30, 15, 250) };

const saving = suite('saving a context');

saving('writes four files of indented UTF-8 JSON that end with a newline', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const manager = new ContextManager<{ text: string }>({ store, directory: 'agents/a', clock });
  manager.messages.push({ text: 'Grüße, 世界 \u{1F600} \ud800' });
  manager.metadata['model'] = 'x-1';
  manager.state['step'] = 3;
  manager.globalContext['user'] = { name: 'Ada' };
  const commit = await manager.save();

  assert.equal(commit.paths.toSorted(), fileNames.map((name) => `agents/a/${name}`).toSorted());
  const text = (name: string): string => readFileSync(join(root.path, 'agents/a', name), 'utf8');
  assert.equal(Object.keys(bytesIn(join(root.path, 'agents/a'))), fileNames.toSorted());
  assert.is(text('messages.json'), '[\n  {\n    "text": "Grüße, 世界 \u{1F600} \\ud800"\n  }\n]\n');
  assert.is(
    text('metadata.json'),
    '{\n  "model": "x-1",\n  "last_updated": "2024-02-29T12:30:15.250Z",\n  "message_count": 1\n}\n',
  );
  assert.is(text('state.json'), '{\n  "step": 3\n}\n');
  assert.is(text('global_context.json'), '{\n  "user": {\n    "name": "Ada"\n  }\n}\n');
  assert.is(await manager.load(), true);
  assert.equal(manager.messages, [{ text: 'Grüße, 世界 \u{1F600} \ud800' }]);
});

saving('stamps the metadata in memory, keeping the object', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const manager = managerOf(store, { clock });
  const metadata = { version: 7 };
  manager.metadata = metadata;
  await manager.save();
  assert.is(manager.metadata, metadata);
  assert.equal(metadata, { version: 7, last_updated: '2024-02-29T12:30:15.250Z', message_count: 0 });
});

saving('replaces metadata that is frozen', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const manager = managerOf(store, { clock });
  manager.metadata = Object.freeze({ version: 7 });
  await manager.save();
  assert.is(manager.metadata.message_count, 0);
  assert.is(manager.metadata.version, 7);
});

saving('takes the data at the time of the call', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const manager = managerOf(store);
  fill(manager, 1);
  const saved = manager.save();
  manager.messages.push({ role: 'user', content: 'too late', version: 2 });
  manager.state.notes.push('too late');
  manager.globalContext = { version: 2 };
  await saved;
  await manager.load();
  assert.is(wholeVersion(manager), 1);
  assert.is(manager.messages.length, 3);
  assert.equal(manager.state.notes, ['step 1']);
});

saving('carries out concurrent calls in their order, each with the data of its own time', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const manager = managerOf(store);
  const revisions: number[] = [];
  const calls: Promise<unknown>[] = [];
  for (let version = 1; version <= 20; version += 1) {
    fill(manager, version, version);
    calls.push(manager.save().then(({ revision }) => revisions.push(revision)));
  }
  const loaded = manager.load();
  await Promise.all(calls);
  assert.is(await loaded, true);
  assert.is(wholeVersion(manager), 20);
  assert.is(manager.messages.length, 20);
  assert.equal(
    revisions,
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
});

saving('goes on with the next call when one fails', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const manager = managerOf(store);
  fill(manager, 1);
  const abort = new AbortController();
  const first = manager.save();
  const second = manager.save({ signal: abort.signal });
  fill(manager, 3);
  const third = manager.save();
  abort.abort();
  await first;
  await assert.rejectsWithCode(second, 'ERR_ABORTED');
  await third;
  await manager.load();
  assert.is(wholeVersion(manager), 3);
});

saving('refuses more than 1,000 calls at once', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const manager = managerOf(store);
  const calls = Array.from({ length: 1000 }, () => manager.load());
  await assert.rejectsWithCode(manager.save(), 'ERR_TOO_MANY');
  await Promise.all(calls);
  await manager.save();
});

saving(
  'refuses what JSON cannot hold, and what could not be loaded again, before anything is staged',
  async () => {
    using root = temporaryDirectory();
    await using store = await openTestStore(root.path);
    const manager = managerOf(store);
    fill(manager, 1);
    await manager.save();
    const before = bytesIn(join(root.path, 'context'));
    const { commits } = store.stats();

    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    const throwing = {
      toJSON() {
        throw new RangeError('no');
      },
    };
    const bad: readonly (readonly [string, unknown])[] = [
      ['messages', [cycle]],
      ['messages', [1n]],
      ['messages', undefined],
      ['messages', { length: 1 }],
      ['metadata', { cycle }],
      ['metadata', null],
      ['metadata', [1]],
      ['state', cycle],
      ['state', 'text'],
      ['state', new Date()],
      ['state', () => undefined],
      ['globalContext', { big: 2n ** 64n }],
      ['globalContext', throwing],
      ['globalContext', 7],
    ];
    for (const [part, value] of bad) {
      const changed = managerOf(store);
      await changed.load();
      fill(changed, 2);
      Object.assign(changed, { [part]: value });
      const error = await assert.rejectsWithCode(changed.save(), 'ERR_INVALID_ARGUMENT');
      assert.instance(error, TypeError);
      assert.match(error.message, part);
      if (value === throwing) assert.instance(error.cause, RangeError);
      if (part !== 'metadata') assert.is(changed.metadata.last_updated, manager.metadata.last_updated);
    }
    assert.equal(bytesIn(join(root.path, 'context')), before);
    assert.is(store.stats().commits, commits);
  },
);

saving('keeps a key called __proto__', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const manager = new ContextManager({ store, directory: 'c' });
  manager.metadata = JSON.parse('{"__proto__": {"a": 1}}');
  await manager.save();
  await manager.load();
  assert.equal(Object.keys(manager.metadata).toSorted(), ['__proto__', 'last_updated', 'message_count']);
});

saving('a few hundred messages, and megabytes of them, comes back as it was', async () => {
  using root = temporaryDirectory();
  for (const committer of ['inline', 'worker'] as const) {
    await using store = await openTestStore(root.path, { committer });
    for (const count of [300, 6000]) {
      const manager = managerOf(store, { directory: `${committer}-${count}` });
      for (const version of [1, 2]) {
        fill(manager, version, count);
        await manager.save();
      }
      const { messages } = manager;
      await manager.load();
      assert.is(wholeVersion(manager), 2);
      assert.equal(manager.messages, messages);
    }
    await store.checkpoint();
    assert.equal((await store.verify()).findings, []);
  }
});

saving('with relaxed durability, one save after another is no conflict', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path, { committer: 'worker', durability: 'relaxed' });
  const manager = managerOf(store);
  for (let version = 1; version <= 50; version += 1) {
    fill(manager, version);
    await manager.save();
  }
  const other = managerOf(store);
  assert.is(await other.load(), true);
  assert.is(wholeVersion(other), 50);
});

saving('in a closed store fails with its code', async () => {
  using root = temporaryDirectory();
  const store = await openTestStore(root.path);
  const manager = managerOf(store);
  fill(manager, 1);
  await manager.save();
  await store.close();
  await assert.rejectsWithCode(manager.save(), 'ERR_STORE_CLOSED');
  await assert.rejectsWithCode(manager.load(), 'ERR_STORE_CLOSED');
});

saving.run();

const loading = suite('loading a context');

loading('where there is none empties memory, and says so', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const manager = managerOf(store);
  fill(manager, 1);
  assert.is(await manager.load(), false);
  assert.equal(manager.messages, []);
  assert.equal([manager.metadata, manager.state, manager.globalContext], [{}, {}, {}]);
  fill(manager, 2);
  await manager.save();
});

loading('reads what another program has written', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const directory = join(root.path, 'context');
  mkdirSync(directory);
  writeFileSync(join(directory, 'messages.json'), '\ufeff[{"role": "user"}]');
  for (const name of fileNames.slice(1)) writeFileSync(join(directory, name), '{"by": "another"}\r\n');
  const manager = new ContextManager({ store, directory: 'context' });
  assert.is(await manager.load(), true);
  assert.equal(manager.messages, [{ role: 'user' }]);
  assert.equal(manager.globalContext, { by: 'another' });
  await manager.save();
  await manager.save();
});

for (const name of fileNames) {
  loading(`refuses a set without its ${name}, and leaves memory alone`, async () => {
    using root = temporaryDirectory();
    await using store = await openTestStore(root.path);
    const manager = managerOf(store);
    fill(manager, 1);
    await manager.save();
    await store.rm(`context/${name}`);
    fill(manager, 2);
    const error = await assert.rejectsWithCode(manager.load(), 'ERR_INTEGRITY');
    assert.ok(isStoreError(error));
    assert.is(error.path, `context/${name}`);
    assert.is(manager.state.version, 2);
    // Nor does a save make the loss final.
    const conflict = await assert.rejectsWithCode(manager.save(), 'ERR_CONFLICT');
    assert.ok(isStoreError(conflict));
    assert.is(conflict.path, `context/${name}`);
    await manager.save({ force: true });
    await manager.load();
    assert.is(wholeVersion(manager), 2);
  });

  const damages: readonly (readonly [string, string | Uint8Array])[] = [
    ['nothing', ''],
    ['half a file', '{"a": 1, "b'],
    ['zeros', new Uint8Array(100)],
    ['bytes that are not UTF-8', Buffer.from('["\xff\xfe"]', 'latin1')],
    ['NaN', '[NaN]'],
    ['another type', name === 'messages.json' ? '{}' : '[]'],
    ['null', 'null'],
  ];
  loading(`refuses a damaged ${name} by its path, and leaves memory alone`, async () => {
    using root = temporaryDirectory();
    await using store = await openTestStore(root.path);
    const manager = managerOf(store);
    fill(manager, 1);
    await manager.save();
    for (const [what, content] of damages) {
      writeFileSync(join(root.path, 'context', name), content);
      const error = await assert.rejectsWithCode(manager.load(), 'ERR_INTEGRITY');
      assert.ok(isStoreError(error));
      assert.is(error.path, `context/${name}`, what);
      assert.is(error.op, 'load');
      if (what !== 'null' && what !== 'another type') assert.instance(error.cause, Error, what);
      assert.is(manager.state.version, 1);
      // Damage is somebody's edit: it is not written over unasked.
      await assert.rejectsWithCode(manager.save(), 'ERR_CONFLICT');
    }
    await manager.save({ force: true });
    await manager.load();
    assert.is(wholeVersion(manager), 1);
  });
}

loading('a directory in the place of a file fails with the code of the store', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  mkdirSync(join(root.path, 'context/messages.json'), { recursive: true });
  await assert.rejectsWithCode(managerOf(store).load(), 'ERR_IS_DIRECTORY');
  await assert.rejectsWithCode(managerOf(store).save(), 'ERR_IS_DIRECTORY');
});

loading.run();

const places = suite('the places of a context');

places('the global context lies elsewhere in the store', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const options = { globalContextPath: 'shared/global.json' };
  const manager = managerOf(store, options);
  fill(manager, 1);
  await manager.save();
  assert.equal(Object.keys(bytesIn(join(root.path, 'context'))), fileNames.slice(0, 3).toSorted());
  assert.equal(Object.keys(bytesIn(join(root.path, 'shared'))), ['global.json']);
  const other = managerOf(store, options);
  assert.is(await other.load(), true);
  assert.is(wholeVersion(other), 1);
});

places('the global context lies in another root', async () => {
  using root = temporaryDirectory();
  using elsewhere = temporaryDirectory();
  await using store = await openTestStore(root.path, { roots: { home: elsewhere.path } });
  const options = { globalContextPath: 'home:agent/global_context.json' };
  const manager = managerOf(store, options);
  for (const version of [1, 2]) {
    fill(manager, version);
    await manager.save();
  }
  assert.equal(Object.keys(bytesIn(join(elsewhere.path, 'agent'))), ['global_context.json']);
  const other = managerOf(store, options);
  await other.load();
  assert.is(wholeVersion(other), 2);
});

const memoryDirectory = '/dev/shm';
const noMemoryDirectory = existsSync(memoryDirectory) ? undefined : `there is no ${memoryDirectory}`;

places.skipIf(noMemoryDirectory, 'the global context lies on another file system', async () => {
  using root = temporaryDirectory();
  const elsewhere = mkdtempSync(join(memoryDirectory, 'forewrit-context-'));
  try {
    await using store = await openTestStore(root.path, { roots: { memory: elsewhere } });
    const options = { globalContextPath: 'memory:global_context.json' };
    const manager = managerOf(store, options);
    for (const [version, messageCount] of [
      [1, 3],
      [2, 3],
      [3, 400],
      [4, 400],
    ] as const) {
      fill(manager, version, messageCount);
      await manager.save();
      const other = managerOf(store, options);
      assert.is(await other.load(), true);
      assert.is(wholeVersion(other), version);
    }
    await store.checkpoint();
    assert.equal(leftovers(root.path), []);
    assert.equal(leftovers(elsewhere, '.forewrit-staged'), []);
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});

places('a global context elsewhere may be missing, and may be there alone', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const globalContextPath = 'shared/global_context.json';
  const one = managerOf(store, { directory: 'one', globalContextPath });
  fill(one, 1);
  await one.save();

  const two = managerOf(store, { directory: 'two', globalContextPath });
  fill(two, 2);
  await assert.rejectsWithCode(two.save(), 'ERR_CONFLICT');
  assert.is(await two.load(), false);
  assert.equal(two.messages, []);
  assert.equal(two.globalContext, { version: 1 });
  await two.save();

  await store.rm(globalContextPath);
  assert.is(await one.load(), true);
  assert.is(one.state.version, 1);
  assert.equal(one.globalContext, {});
  await one.save();
});

places('a directory may be a root, the working root, absolute or a URL', async () => {
  using root = temporaryDirectory();
  using elsewhere = temporaryDirectory();
  await using store = await openTestStore(root.path, { roots: { other: elsewhere.path } });
  const directories = [
    ['.', root.path],
    ['other:', elsewhere.path],
    ['other:deep/er//', join(elsewhere.path, 'deep/er')],
    [join(root.path, 'absolute'), join(root.path, 'absolute')],
    [pathToFileURL(join(root.path, 'a b')), join(root.path, 'a b')],
  ] as const;
  for (const [directory, absolute] of directories) {
    const manager = managerOf(store, { directory });
    fill(manager, 1);
    await manager.save();
    assert.equal(Object.keys(bytesIn(absolute)), fileNames.toSorted());
    assert.is(await managerOf(store, { directory }).load(), true);
  }
});

places('outside the store are refused with their code', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  for (const [options, code] of [
    [{ directory: '../x' }, 'ERR_PATH_ESCAPE'],
    [{ directory: '.forewrit' }, 'ERR_PATH_RESERVED'],
    [{ directory: 'x', globalContextPath: '/elsewhere/global.json' }, 'ERR_PATH_ESCAPE'],
    [{ directory: 'a\0b' }, 'ERR_INVALID_PATH'],
  ] as const) {
    await assert.rejectsWithCode(managerOf(store, options).save(), code);
    await assert.rejectsWithCode(managerOf(store, options).load(), code);
  }
});

places('that make no sense are refused at once', async () => {
  using root = temporaryDirectory();
  await using store = await openTestStore(root.path);
  const wrong: readonly unknown[] = [
    undefined,
    {},
    { store },
    { directory: 'x' },
    { store: {}, directory: 'x' },
    { store, directory: '' },
    { store, directory: 7 },
    { store, directory: new URL('https://example.org/x') },
    { store, directory: 'x', globalContextPath: '' },
    { store, directory: 'x', globalContextPath: 'x/state.json' },
    { store, directory: 'x/', globalContextPath: './y/../x/messages.json' },
  ];
  for (const options of wrong) {
    assert.throwsWithCode(() => new ContextManager(options as never), 'ERR_INVALID_ARGUMENT');
  }
  assert.equal(Object.values(contextFileNames), fileNames);
});

places.run();
