/** Removed directories that come back in one piece, and go again. */

import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { HistoryEntry } from '#src/history/history-entry.js';
import { hash64 } from '#src/record/checksum.js';
import { assert, suite } from '@forewrit/testkit';
import { engineWorld } from './engine-world.js';
import { type StoreWorld, storeWorld } from './store-world.js';

const test = suite('history of directories');

const before = { 'd/a': 'one', 'd/s/b': 'uno', 'd/s/c': 'due', k: 'k' };

async function world(): Promise<StoreWorld> {
  return await storeWorld({ history: {}, checkpointIntervalMs: 1e9 });
}

/** A directory that has gone and come back; which transaction was the undo. */
async function broughtBack(w: Pick<StoreWorld, 'store'>): Promise<string> {
  await w.store.writeFiles(before);
  const { transaction } = await w.store.rm('d', { recursive: true });
  return (await w.store.undo(transaction)).transaction;
}

test('it comes and goes as often as one likes', async () => {
  await using w = await world();
  let last = await broughtBack(w);
  for (let round = 0; round < 3; round += 1) {
    assert.equal(w.tree(), before);
    last = (await w.store.undo(last)).transaction;
    assert.equal(w.tree(), { k: 'k' });
    last = (await w.store.undo(last)).transaction;
  }
  await w.store.checkpoint();
  assert.equal(readdirSync(`${w.root}/.forewrit/staged`), []);
});

test('it has the modes that it had, and links, and what is empty, and its files have their owner', async () => {
  await using w = await world();
  await w.store.writeFiles({ 'd/a': 'a', 'd/s/b': 'b' });
  mkdirSync(`${w.root}/d/empty`, { mode: 0o711 });
  symlinkSync('../nowhere', `${w.root}/d/s/l`);
  chmodSync(`${w.root}/d/a`, 0o444);
  chmodSync(`${w.root}/d/s`, 0o555);
  chmodSync(`${w.root}/d`, 0o750);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(`${w.root}/d/a`, 1234, 4321);
  const { transaction } = await w.store.rm('d', { recursive: true });
  await w.store.undo(transaction);
  const modes = ['d', 'd/a', 'd/s', 'd/empty'].map((path) => statSync(`${w.root}/${path}`).mode & 0o777);
  assert.equal(modes, [0o750, 0o444, 0o555, 0o711]);
  assert.is(readlinkSync(`${w.root}/d/s/l`), '../nowhere');
  if (isRoot) {
    const { uid, gid } = statSync(`${w.root}/d/a`);
    assert.equal([uid, gid], [1234, 4321]);
  }
  chmodSync(`${w.root}/d/s`, 0o755);
});

test('the store knows its files: their revision and their content', async () => {
  await using w = await engineWorld({ history: {} });
  await broughtBack(w);
  const [newest] = await entries(w);
  assert.is((await w.store.stat('d/s/b')).revision, newest?.revision);
  const row = w.fileRows().find(({ path }) => path === 'd/s/b');
  assert.is(row?.image.type === 'file' && row.image.checksum, hash64(Buffer.from('uno')));
});

async function entries({ store }: Pick<StoreWorld, 'store'>, path?: string): Promise<HistoryEntry[]> {
  const found: HistoryEntry[] = [];
  for await (const entry of store.history(path)) found.push(entry);
  return found;
}

test('history shows it as a directory that was made, and finds it by what it brought', async () => {
  await using w = await world();
  const brought = await broughtBack(w);
  const [newest] = await entries(w, 'd/s/b');
  assert.is(newest?.transaction, brought);
  assert.equal(newest?.paths, [{ path: 'd', did: 'directory-made' }]);
  assert.ok(newest?.undoable);
});

const edits: readonly (readonly [what: string, edit: (root: string) => void])[] = [
  ['a file is written', (root) => writeFileSync(`${root}/d/s/b`, 'theirs')],
  ['a file of the same size is written', (root) => writeFileSync(`${root}/d/s/b`, 'unO')],
  ['a file has gone', (root) => rmSync(`${root}/d/s/c`)],
  ['it has gone itself', (root) => rmSync(`${root}/d`, { recursive: true })],
  [
    'a file is there instead',
    (root) => {
      rmSync(`${root}/d`, { recursive: true });
      writeFileSync(`${root}/d`, 'theirs');
    },
  ],
  ['a file has come', (root) => writeFileSync(`${root}/d/s/theirs`, 'theirs')],
  ['a directory has come', (root) => mkdirSync(`${root}/d/theirs`)],
  ['a directory has gone', (root) => rmSync(`${root}/d/s`, { recursive: true })],
  [
    'a file is a link now',
    (root) => {
      rmSync(`${root}/d/a`);
      symlinkSync('a', `${root}/d/a`);
    },
  ],
];

for (const [what, edit] of edits) {
  test(`it does not go again where something has changed in it: ${what}`, async () => {
    await using w = await world();
    const brought = await broughtBack(w);
    await w.store.checkpoint();
    edit(w.root);
    const tree = w.tree();
    assert.is((await entries(w))[0]?.obstacle?.code, 'ERR_CONFLICT');
    await assert.rejectsWithCode(w.store.undo(brought), 'ERR_CONFLICT');
    assert.equal(w.tree(), tree);
  });

  test(`nor where that happens while its undo is under way: ${what}`, async () => {
    await using w = await engineWorld({ history: {} });
    const brought = await broughtBack(w);
    await w.store.checkpoint();
    let looks = 0;
    let theirs: Record<string, string> = {};
    w.onCall = ({ method, path }) => {
      // It is looked at when that is judged, as it is and with all moves, when it is asked to go, and when that is planned.
      if (method !== 'list' || path !== `${w.root}/d` || ++looks < 4) return;
      w.onCall = undefined;
      edit(w.root);
      theirs = w.tree();
    };
    await assert.rejectsWithCode(w.store.undo(brought), 'ERR_CONFLICT');
    assert.is(looks, 4);
    assert.equal(w.tree(), theirs);
  });
}

test('content that came back counts as unchanged, and so does a newer save that was undone', async () => {
  await using w = await world();
  const brought = await broughtBack(w);
  const newer = await w.store.writeFile('d/s/b', 'newer');
  await assert.rejectsWithCode(w.store.undo(brought), 'ERR_CONFLICT');
  await w.store.undo(newer.transaction);
  writeFileSync(`${w.root}/d/a`, 'one');
  await w.store.undo(brought);
  assert.equal(w.tree(), { k: 'k' });
});

test('kept content that is not what it was, or has gone, is refused, and leaves nothing', async () => {
  for (const spoil of [
    (file: string) => writeFileSync(file, 'onE'),
    (file: string) => rmSync(file),
    (file: string) => {
      rmSync(file);
      mkdirSync(file);
    },
  ]) {
    await using w = await world();
    await w.store.writeFiles(before);
    const { transaction } = await w.store.rm('d', { recursive: true });
    await w.store.checkpoint();
    const [kept] = readdirSync(`${w.root}/.forewrit/before`);
    spoil(`${w.root}/.forewrit/before/${kept}/a`);
    await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_INTEGRITY');
    assert.equal(w.tree(), { k: 'k' });
    assert.equal(readdirSync(`${w.root}/.forewrit/staged`), []);
  }
});

test('it is durable with all its names before it moves to its place', async () => {
  await using w = await engineWorld({ history: {} });
  await w.store.writeFiles(before);
  const { transaction } = await w.store.rm('d', { recursive: true });
  await w.store.checkpoint();
  const calls: string[] = [];
  w.onCall = ({ method, path, dest }) => {
    if (path.includes('.forewrit/staged'))
      calls.push(`${method} ${path.slice(path.indexOf('staged'))} ${dest ?? ''}`);
  };
  await w.store.undo(transaction);
  w.onCall = undefined;
  const at = (what: RegExp): number => calls.findLastIndex((call) => what.test(call));
  const order = [
    /^makeDirectory /,
    /^create /,
    /^sync /,
    /^syncDirectory .*\.tree\/s $/,
    /^syncDirectory .*\.tree $/,
    /^syncDirectory staged $/,
    /^rename /,
  ];
  const found = order.map(at);
  assert.equal(
    found,
    found.toSorted((a, b) => a - b),
  );
  assert.ok(found[0]! >= 0);
});

test('a copy that fails, or is given up, leaves nothing', async () => {
  for (const method of ['makeDirectory', 'create', 'write', 'sync', 'syncDirectory', 'chmodPath'] as const) {
    await using w = await engineWorld({
      history: {},
      faults: [{ error: 'EIO', at: (call) => call.method === method && call.path.includes('.tree') }],
    });
    await w.store.writeFiles(before);
    const { transaction } = await w.store.rm('d', { recursive: true });
    await w.store.checkpoint();
    await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_IO');
    assert.equal([w.tree(), readdirSync(`${w.root}/.forewrit/staged`)], [{ k: 'k' }, []]);
    await w.store.undo(transaction);
    assert.equal(w.tree(), before);
  }
  await using w = await engineWorld({ history: {} });
  await w.store.writeFiles(before);
  const { transaction } = await w.store.rm('d', { recursive: true });
  await w.store.checkpoint();
  const abort = new AbortController();
  w.before(
    ({ method, path }) => method === 'create' && path.includes('.tree'),
    () => abort.abort(),
  );
  await assert.rejectsWithCode(w.store.undo(transaction, { signal: abort.signal }), 'ERR_ABORTED');
  assert.equal([w.tree(), readdirSync(`${w.root}/.forewrit/staged`)], [{ k: 'k' }, []]);
});

test('a roll-back takes it away again; but not if somebody has put something into it', async () => {
  for (const meanwhile of [undefined, 'theirs']) {
    let fails = false;
    await using w = await engineWorld({
      history: {},
      faults: [
        {
          error: 'EIO',
          at: ({ method, dest = '' }) => fails && method === 'rename' && dest.endsWith('/z'),
        },
      ],
    });
    await w.store.writeFiles({ ...before, z: 'z' });
    const tx = await w.store.begin();
    tx.rm('d', { recursive: true });
    tx.rm('z');
    const { transaction } = await tx.commit();
    await w.store.checkpoint();
    fails = true;
    if (meanwhile !== undefined)
      w.before(
        ({ method, dest = '' }) => method === 'rename' && dest === `${w.root}/z`,
        () => writeFileSync(`${w.root}/d/s/${meanwhile}`, meanwhile),
      );
    await assert.rejectsWithCode(w.store.undo(transaction), 'ERR_APPLY_ROLLED_BACK');
    fails = false;
    assert.equal(w.tree(), meanwhile === undefined ? { k: 'k' } : { ...before, 'd/s/theirs': 'theirs' });
    assert.equal(readdirSync(`${w.root}/.forewrit/staged`), []);
    assert.equal(
      w.fileRows().filter(({ path }) => path.startsWith('.forewrit')),
      [],
    );
    if (meanwhile !== undefined) continue;
    await w.store.undo(transaction);
    assert.equal(w.tree(), { ...before, z: 'z' });
  }
});

test.run();
