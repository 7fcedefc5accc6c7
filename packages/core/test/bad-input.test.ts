/** Hostile paths and arguments, each with its code; none of them may change or leave anything. */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { Store } from '#src/store/store.js';
import { assert, suite } from '@forewrit/testkit';
import { openTestStore, type StoreWorld, storeWorld } from './store-world.js';

const argument = 'ERR_INVALID_ARGUMENT';
const escape = 'ERR_PATH_ESCAPE';
const reserved = 'ERR_PATH_RESERVED';
const invalid = 'ERR_INVALID_PATH';

type Attempt = (store: Store, world: StoreWorld) => unknown;
type Case = readonly [name: string, code: string, attempt: Attempt];

/** What no signature allows. */
const loose = (store: Store): Record<string, (...args: unknown[]) => Promise<unknown>> =>
  store as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;

const hostilePaths: readonly (readonly [path: unknown, code: string])[] = [
  [42, argument],
  [null, argument],
  [undefined, argument],
  [{}, argument],
  [[], argument],
  [true, argument],
  [Symbol('path'), argument],
  ['', argument],
  ['\0', invalid],
  ['a\0b', invalid],
  ['..', escape],
  ['../x', escape],
  ['../../../../etc/passwd', escape],
  ['a/../../b', escape],
  ['a/b/../../../c', escape],
  ['./../x', escape],
  ['/etc/passwd', escape],
  ['/', escape],
  ['.forewrit', reserved],
  ['.forewrit/log/data.mdb', reserved],
  ['./.forewrit/x', reserved],
  ['a/../.forewrit/x', reserved],
  ['.FOREWRIT/x', reserved],
  ['.Forewrit/staged/1-1-0', reserved],
  ['a/.forewrit-staged/x', reserved],
  ['.forewrit-staged/before/x', reserved],
  ['.', 'ERR_IS_DIRECTORY'],
  ['./', 'ERR_IS_DIRECTORY'],
  ['a/..', 'ERR_IS_DIRECTORY'],
  ['x'.repeat(256), invalid],
  [`${'d/'.repeat(2100)}x`, invalid],
  ['\ud800', invalid],
  ['a/\udfff/b', invalid],
  [new URL('https://example.org/x'), invalid],
  [new URL('file:///etc/passwd'), escape],
  [new URL('file:///%2e%2e/%2e%2e/etc/passwd'), escape],
  ['out/secret', escape],
  ['chain/secret', escape],
  ['up/x', escape],
  ['loop', invalid],
  ['loop/x', invalid],
  ['store-link/log/x', reserved],
  ['plain.txt/x', 'ERR_NOT_DIRECTORY'],
  ['directory', 'ERR_IS_DIRECTORY'],
];

const hostileCalls: readonly Case[] = [
  ['data that is a number', argument, (store) => loose(store)['writeFile']!('x', 42)],
  ['data that is an object', argument, (store) => loose(store)['writeFile']!('x', {})],
  ['no data', argument, (store) => loose(store)['writeFile']!('x')],
  ['null data', argument, (store) => loose(store)['writeFile']!('x', null)],
  ['a stream of numbers', argument, (store) => loose(store)['writeFile']!('x', [1, 2])],
  ['an unknown encoding', argument, (store) => loose(store)['writeFile']!('x', 'x', 'klingon')],
  [
    'an unknown encoding in options',
    argument,
    (store) => loose(store)['writeFile']!('x', 'x', { encoding: 7 }),
  ],
  ['a mode that is a string', argument, (store) => loose(store)['writeFile']!('x', 'x', { mode: '644' })],
  ['a mode that is too large', argument, (store) => store.writeFile('x', 'x', { mode: 0o10000 })],
  ['a negative mode', argument, (store) => store.writeFile('x', 'x', { mode: -1 })],
  ['a mode that is not whole', argument, (store) => store.writeFile('x', 'x', { mode: 1.5 })],
  ['a revision that is negative', argument, (store) => store.writeFile('x', 'x', { ifRevision: -1 })],
  [
    'a revision that is a string',
    argument,
    (store) => loose(store)['writeFile']!('x', 'x', { ifRevision: '1' }),
  ],
  [
    'a revision that is not the newest',
    'ERR_CONFLICT',
    (store) => store.writeFile('plain.txt', 'x', { ifRevision: 99 }),
  ],
  [
    'something that must not be there',
    'ERR_EXISTS',
    (store) => store.writeFile('plain.txt', 'x', { ifAbsent: true }),
  ],
  [
    'a parent that may not be made',
    'ERR_NOT_FOUND',
    (store) => store.writeFile('no/x', 'x', { parents: false }),
  ],
  ['a backup outside', escape, (store) => store.writeFile('plain.txt', 'x', { backup: '../x' })],
  ['files that are null', argument, (store) => loose(store)['writeFiles']!(null)],
  ['files that are a number', argument, (store) => loose(store)['writeFiles']!(7)],
  ['one bad path among good ones', escape, (store) => store.writeFiles({ good: 'x', '../bad': 'x' })],
  [
    'one bad content among good ones',
    argument,
    (store) => loose(store)['writeFiles']!({ good: 'x', bad: 7 }),
  ],
  ['a copy of nothing', 'ERR_NOT_FOUND', (store) => store.copyFile('nothing', 'x')],
  ['a copy to outside', escape, (store) => store.copyFile('plain.txt', '../x')],
  ['a copy of a directory', 'ERR_IS_DIRECTORY', (store) => store.copyFile('directory', 'x')],
  ['a move of nothing', 'ERR_NOT_FOUND', (store) => store.rename('nothing', 'x')],
  ['a move to outside', escape, (store) => store.rename('plain.txt', '../x')],
  ['a move from outside', escape, (store) => store.rename('../x', 'x')],
  ['a move into the store', reserved, (store) => store.rename('plain.txt', '.forewrit/x')],
  ['a directory into itself', invalid, (store) => store.rename('directory', 'directory/below')],
  ['a directory onto a file', 'ERR_EXISTS', (store) => store.rename('directory', 'plain.txt')],
  ['a file onto a directory', 'ERR_IS_DIRECTORY', (store) => store.rename('plain.txt', 'directory')],
  ['a removal of nothing', 'ERR_NOT_FOUND', (store) => store.rm('nothing')],
  ['a removal of the root', 'ERR_IS_DIRECTORY', (store) => store.rm('.', { recursive: true })],
  ['a removal of what is not empty', 'ERR_NOT_EMPTY', (store) => store.rm('directory')],
  ['a directory that is there', 'ERR_EXISTS', (store) => store.mkdir('directory')],
  ['a directory in the place of a file', 'ERR_EXISTS', (store) => store.mkdir('plain.txt')],
  ['a directory without its parent', 'ERR_NOT_FOUND', (store) => store.mkdir('no/such')],
  ['a directory with a bad mode', argument, (store) => store.mkdir('x', { mode: Number.NaN })],
  ['reading nothing', 'ERR_NOT_FOUND', (store) => store.readFile('nothing')],
  ['reading a directory', 'ERR_IS_DIRECTORY', (store) => store.readFile('directory')],
  ['reading in an unknown encoding', argument, (store) => loose(store)['readFile']!('plain.txt', 'klingon')],
  ['reading a set with one missing', 'ERR_NOT_FOUND', (store) => store.readFiles(['plain.txt', 'nothing'])],
  ['listing a file', 'ERR_NOT_DIRECTORY', (store) => store.readdir('plain.txt')],
  ['listing nothing', 'ERR_NOT_FOUND', (store) => store.readdir('nothing')],
  ['what stat does not find', 'ERR_NOT_FOUND', (store) => store.stat('nothing')],
  ['a collection without a name', argument, (store) => store.collection('')],
  ['a collection with a NUL', argument, (store) => store.collection('a\0b')],
  ['an entry without a key', argument, (store) => store.collection('c').put('', 1)],
  ['an entry whose key is too long', argument, (store) => store.collection('c').put('k'.repeat(1900), 1)],
  ['an entry that is undefined', argument, (store) => store.collection('c').put('k', undefined)],
  ['an entry that cannot be packed', argument, (store) => store.collection('c').put('k', () => 1)],
  [
    'a signal that is aborted',
    'ERR_ABORTED',
    (store) => store.writeFile('x', 'x', { signal: AbortSignal.abort() }),
  ],
  ['a signal that is none', argument, (store) => loose(store)['writeFile']!('x', 'x', { signal: {} })],
  [
    'a durability that is none',
    argument,
    (store) => loose(store)['writeFile']!('x', 'x', { durability: 'some' }),
  ],
  ['options that are a number', argument, (store) => loose(store)['writeFile']!('x', 'x', 7)],
  ['options that are a list', argument, (store) => loose(store)['rm']!('plain.txt', ['recursive'])],
  ['a flag that is a string', argument, (store) => loose(store)['rm']!('directory', { recursive: 'yes' })],
  ['a flag that is a number', argument, (store) => loose(store)['mkdir']!('x/y', { recursive: 1 })],
  [
    'ifAbsent that is a string',
    argument,
    (store) => loose(store)['writeFile']!('x', 'x', { ifAbsent: 'no' }),
  ],
  [
    'a backup that is a number',
    argument,
    (store) => loose(store)['writeFile']!('plain.txt', 'x', { backup: 7 }),
  ],
  [
    'a backup in the place of the file',
    argument,
    (store) => store.writeFile('plain.txt', 'x', { backup: './plain.txt' }),
  ],
  [
    'a backup in the store',
    reserved,
    (store) => store.writeFile('plain.txt', 'x', { backup: '.forewrit/x' }),
  ],
  ['files that are text', argument, (store) => loose(store)['writeFiles']!('abc')],
  ['files that are bytes', argument, (store) => loose(store)['writeFiles']!(Buffer.from('abc'))],
  ['files that are no pairs', argument, (store) => loose(store)['writeFiles']!([null])],
  ['files that are pairs of one', argument, (store) => loose(store)['writeFiles']!([['x']])],
  [
    'a file twice',
    'ERR_PATH_ALIAS',
    (store) =>
      store.writeFiles([
        ['x', '1'],
        ['./x', '2'],
      ]),
  ],
  ['a file by two names', 'ERR_PATH_ALIAS', (store) => store.writeFiles({ 'plain.txt': '1', alias: '2' })],
  ['paths that are one text', argument, (store) => loose(store)['readFiles']!('plain.txt')],
  ['paths that are none', argument, (store) => loose(store)['readFiles']!(undefined)],
  ['a path of a set that is a number', argument, (store) => loose(store)['readFiles']!(['plain.txt', 7])],
  ['reading with options that are a number', argument, (store) => loose(store)['readFile']!('plain.txt', 7)],
  [
    'listing with a flag that is a string',
    argument,
    (store) => loose(store)['readdir']!('.', { recursive: 'yes' }),
  ],
  ['a transaction without a function', argument, (store) => loose(store)['transact']!()],
  [
    'a transaction with retries that are text',
    argument,
    (store) => loose(store)['transact']!(() => 1, { retries: 'many' }),
  ],
  [
    'a transaction with a durability that is none',
    argument,
    (store) => loose(store)['begin']!({ durability: 1 }),
  ],
  ['a snapshot without a function', argument, (store) => loose(store)['snapshot']!({})],
  ['a collection that is a number', argument, (store) => loose(store)['collection']!(7)],
  ['a collection with half a character', argument, (store) => store.collection('\ud800')],
  ['a key with half a character', argument, (store) => store.collection('c').put('\udc00', 1)],
  ['a range with a limit that is negative', argument, (store) => store.collection('c').range({ limit: -1 })],
  [
    'a range with a start that is a number',
    argument,
    (store) => store.collection('c').range({ start: 5 as never }),
  ],
  ['an entry that is a symbol', argument, (store) => store.collection('c').put('k', Symbol('x'))],
  ['an entry that holds itself', argument, (store) => store.collection('c').put('k', circular())],
  ['an entry too large for its type', argument, (store) => store.collection('c').put('k', 2n ** 70n)],
  [
    'an entry larger than the log takes',
    'ERR_TOO_LARGE',
    (store) => store.collection('c').put('k', Buffer.alloc(17 << 20)),
  ],
  [
    'content that is an ArrayBuffer',
    argument,
    (store) => loose(store)['writeFile']!('x', new ArrayBuffer(4)),
  ],
  [
    'content that is a wider array',
    argument,
    (store) => loose(store)['writeFile']!('x', Uint16Array.of(1, 2)),
  ],
];

function circular(): object {
  const value: { self?: object } = {};
  value.self = value;
  return value;
}

const hostileOptions: readonly (readonly [options: unknown, code: string])[] = [
  [null, argument],
  [{ durability: 'some' }, argument],
  [{ committer: 'thread' }, argument],
  [{ symlinks: 'yes' }, argument],
  [{ inlineLimitBytes: -1 }, argument],
  [{ inlineLimitBytes: Number.NaN }, argument],
  [{ inlineLimitBytes: 2 ** 40 }, argument],
  [{ lockTimeoutMs: '10' }, argument],
  [{ checkpointIntervalMs: Number.POSITIVE_INFINITY }, argument],
  [{ roots: { far: 7 } }, argument],
];

const test = suite('bad input');

async function prepared(): Promise<StoreWorld> {
  const world = await storeWorld();
  const outside = `${world.root}/../outside`;
  mkdirSync(outside);
  writeFileSync(`${outside}/secret`, 'secret');
  mkdirSync(`${world.root}/directory`);
  writeFileSync(`${world.root}/directory/inner`, 'inner');
  writeFileSync(`${world.root}/plain.txt`, 'plain');
  symlinkSync(outside, `${world.root}/out`);
  symlinkSync('out', `${world.root}/chain`);
  symlinkSync('..', `${world.root}/up`);
  symlinkSync('loop', `${world.root}/loop`);
  symlinkSync('plain.txt', `${world.root}/alias`);
  symlinkSync('.forewrit', `${world.root}/store-link`);
  return world;
}

async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
    return 'no error';
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error) return String(error.code);
    return `no code: ${String(error)}`;
  }
}

test('each hostile path is refused with its code by every call that writes', async () => {
  await using world = await prepared();
  const before = world.tree();
  const wrong: string[] = [];
  for (const [path, code] of hostilePaths) {
    const given = path as string;
    const found = await codeOf(() => world.store.writeFile(given, 'x'));
    if (found !== code) wrong.push(`writeFile ${String(path).slice(0, 60)}: ${found}, not ${code}`);
    for (const [name, attempt] of [
      ['appendFile', () => world.store.appendFile(given, 'x')],
      ['copyFile', () => world.store.copyFile('plain.txt', given)],
      ['transact', () => world.store.transact((tx) => void tx.writeFile(given, 'x'))],
    ] as const) {
      const other = await codeOf(attempt);
      if (other !== code) wrong.push(`${name} ${String(path).slice(0, 60)}: ${other}, not ${code}`);
    }
  }
  assert.equal(wrong, []);
  assert.equal(world.tree(), before);
  assert.equal(world.leftovers(), []);
});

test('each hostile path is refused with its code by calls that read', async () => {
  await using world = await prepared();
  const wrong: string[] = [];
  for (const [path, code] of hostilePaths) {
    const found = await codeOf(() => world.store.readFile(path as string));
    if (found !== code) wrong.push(`readFile ${String(path).slice(0, 60)}: ${found}, not ${code}`);
  }
  assert.equal(wrong, []);
});

for (const [name, code, attempt] of hostileCalls) {
  test(`${name}: ${code}`, async () => {
    await using world = await prepared();
    const before = world.tree();
    assert.is(await codeOf(() => attempt(world.store, world)), code);
    assert.equal(world.tree(), before);
    assert.equal(world.leftovers(), []);
    await world.store.writeFile('afterwards', 'works');
    assert.is(world.text('afterwards'), 'works');
  });
}

test('each hostile option is refused with its code', async () => {
  await using world = await storeWorld();
  for (const [options, code] of hostileOptions) {
    const root = `${world.root}/../other`;
    const given = options as object | null;
    const attempt = (): Promise<unknown> =>
      given !== null && typeof given === 'object' && !('committer' in given)
        ? openTestStore(root, given)
        : openTestStore(root, (given ?? { durability: null }) as never);
    assert.is(await codeOf(attempt), code, JSON.stringify(options));
  }
});

test('roots that are no directories of a store', async () => {
  await using world = await prepared();
  assert.is(await codeOf(() => openTestStore(`${world.root}/plain.txt`)), 'ERR_NOT_DIRECTORY');
  assert.is(await codeOf(() => openTestStore('')), argument);
  assert.is(await codeOf(() => openTestStore('a\0b')), invalid);
  assert.is(await codeOf(() => openTestStore(new URL('https://example.org/') as never)), argument);
  assert.is(await codeOf(() => openTestStore(`${world.root}/missing`, { create: false })), 'ERR_NOT_FOUND');
});

test('an absolute path and a file URL inside the root are as good as a relative one', async () => {
  await using world = await prepared();
  await world.store.writeFile(`${world.root}/absolute`, 'one');
  await world.store.writeFile(pathToFileURL(`${world.root}/by url`), 'two');
  assert.is(world.text('absolute'), 'one');
  assert.is(world.text('by url'), 'two');
});

test.run();
