/** What a check sees of that which history keeps: what cannot be undone is said, and nothing where others let go of it. */

import {
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { lookVolume, MemoryLog } from '@forewrit/core';
import { check, type Finding, openStore, recover } from '@forewrit/recovery';
import { assert, FaultyFileSystem, suite } from '@forewrit/testkit';
import { temporaryDirectory } from '@forewrit/testkit/temp-directory';
import { checkHistory } from '#src/check/history.js';
import { historyRows } from './history-world.js';
import { remove, root as simulatedRoot, World, write } from './world.js';

const test = suite('check of history', { timeoutMs: 60_000 });

/** Of a file, a file, a directory and a symbolic link what was there before. */
const subjects = { a: 'old a', b: 'old b', 'd/x': 'old x', 'd/e/y': 'old y' } as const;

interface Saved {
  readonly before: string;
  /** The transaction that changed each path. */
  readonly ids: Readonly<Record<'a' | 'b' | 'd' | 'l', string>>;
}

async function saved(root: string): Promise<Saved> {
  const store = await openStore(root, { committer: 'inline', history: {} });
  await store.writeFiles(subjects);
  symlinkSync('a', `${root}/l`);
  const ids = {
    a: (await store.writeFile('a', 'new a')).transaction,
    b: (await store.rm('b')).transaction,
    d: (await store.rm('d', { recursive: true })).transaction,
    l: (await store.rm('l')).transaction,
  };
  await store.close();
  assert.equal((await check(root, { readData: true })).findings, []);
  return { before: `${root}/.forewrit/before`, ids };
}

const plain = (findings: readonly Finding[]): unknown[] =>
  findings.map(({ code, severity, path, transaction }) => [code, severity, path, transaction]);

async function undo(root: string, transaction: string): Promise<unknown> {
  const store = await openStore(root, { committer: 'inline', history: {} });
  try {
    return await store.undo(transaction);
  } finally {
    await store.close();
  }
}

/** Damages, each of one transaction; what is found at a glance, and what only by reading. */
const damages: readonly {
  readonly name: string;
  readonly of: keyof Saved['ids'];
  readonly path?: string;
  readonly damage: (kept: string) => void;
  readonly code: string;
  readonly reading?: boolean;
}[] = [
  { name: 'a file is gone', of: 'a', damage: (kept) => unlinkSync(kept), code: 'history-missing' },
  { name: 'a removed file is gone', of: 'b', damage: (kept) => unlinkSync(kept), code: 'history-missing' },
  { name: 'a symbolic link is gone', of: 'l', damage: (kept) => unlinkSync(kept), code: 'history-missing' },
  {
    name: 'a directory is gone',
    of: 'd',
    damage: (kept) => rmSync(kept, { recursive: true }),
    code: 'history-missing',
  },
  {
    name: 'a file in a directory is gone',
    of: 'd',
    path: 'd/e/y',
    damage: (kept) => unlinkSync(`${kept}/e/y`),
    code: 'history-missing',
  },
  { name: 'a file is cut off', of: 'a', damage: (kept) => truncateSync(kept, 2), code: 'history-damaged' },
  {
    name: 'a file in a directory is cut off',
    of: 'd',
    path: 'd/x',
    damage: (kept) => truncateSync(`${kept}/x`, 2),
    code: 'history-damaged',
  },
  {
    name: 'a directory is in place of a file',
    of: 'b',
    damage: (kept) => {
      unlinkSync(kept);
      mkdirSync(kept);
    },
    code: 'history-damaged',
  },
  {
    name: 'a file is in place of a symbolic link',
    of: 'l',
    damage: (kept) => {
      unlinkSync(kept);
      writeFileSync(kept, 'a');
    },
    code: 'history-damaged',
  },
  {
    name: 'a file has rotted',
    of: 'a',
    damage: (kept) => writeFileSync(kept, 'OLD a'),
    code: 'history-damaged',
    reading: true,
  },
  {
    name: 'a file in a directory has rotted',
    of: 'd',
    path: 'd/e/y',
    damage: (kept) => {
      writeFileSync(`${kept}/e/y`, 'OLD y');
      utimesSync(`${kept}/e/y`, 1, 1);
    },
    code: 'history-damaged',
    reading: true,
  },
];

for (const { name, of, path = of, damage, code, reading = false } of damages) {
  test(`${name}: its transaction is named, cannot be undone, and goes with history`, async () => {
    using directory = temporaryDirectory('check');
    const root = directory.path;
    const { before, ids } = await saved(root);
    damage(`${before}/${ids[of]}-0`);
    const atAGlance = await check(root);
    const read = await check(root, { readData: true });
    const wanted = [[code, 'warning', path, ids[of]]];
    assert.equal(plain(atAGlance.findings), reading ? [] : wanted);
    assert.equal(plain(read.findings), wanted);
    assert.is(read.clean, false);
    assert.ok(read.findings[0]!.message.includes(`'${path}' (${before}/${ids[of]}-0`));
    assert.instance(await undo(root, ids[of]).catch((error: unknown) => error), Error);
    // As the finding says.
    const store = await openStore(root, { committer: 'inline', history: { maxBytes: 0 } });
    await store.checkpoint();
    await store.close();
    // What could not be removed belongs to nobody by now.
    await recover(root);
    assert.is((await check(root, { readData: true })).clean, true);
  });
}

test('several paths of one transaction are one finding', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  const store = await openStore(root, { committer: 'inline', history: {} });
  const names = Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((name) => [name, 'old']));
  await store.writeFiles(names);
  const { transaction } = await store.writeFiles(
    Object.fromEntries(Object.keys(names).map((name) => [name, 'newer'])),
  );
  await store.close();
  const before = `${root}/.forewrit/before`;
  for (const name of readdirSync(before)) unlinkSync(`${before}/${name}`);
  const { findings } = await check(root);
  assert.equal(plain(findings), [['history-missing', 'warning', 'a', transaction]]);
  assert.match(findings[0]!.message, /'a' \(.*'b' \(.*'c' \(.*\) and 2 more$/);
});

test('of many transactions one finding tells how many there are, on however many pages of rows', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  const store = await openStore(root, { committer: 'inline', history: {} });
  const saves = 230;
  for (let save = 0; save <= saves; save += 1) await store.writeFile('a', `content ${save}`);
  await store.close();
  const before = `${root}/.forewrit/before`;
  const names = readdirSync(before);
  assert.is(names.length, saves);
  for (const name of names) unlinkSync(`${before}/${name}`);
  const progress: string[] = [];
  const { findings, files } = await check(root, {
    onHistoryProgress: (done, total) => progress.push(`${done}/${total}`),
  });
  assert.equal(plain(findings), [['history-missing', 'warning', undefined, undefined]]);
  assert.match(
    findings[0]!.message,
    new RegExp(`of ${saves} transactions is gone: .* and ${saves - 3} more$`),
  );
  assert.is(files, 0);
  assert.is(progress.length, saves + 1);
  assert.is(progress.at(-1), `${saves + 1}/${saves + 1}`);
  const signal = AbortSignal.abort(new Error('enough'));
  const error = await check(root, { signal }).catch((thrown: unknown) => thrown);
  assert.is(error instanceof Error ? error.message : error, 'enough');
});

test('what another process lets go of while it is looked at is not missing', async () => {
  for (const readData of [false, true]) {
    const world = new World();
    const process = await world.open({ history: {} });
    process.commit(write('a', 'a0.'), write('d/x', 'x0.'));
    process.commit(write('a', 'a1.'));
    process.commit(remove('d'));
    process.checkpoint();
    assert.is(historyRows(world).length, 3);
    const other = await world.open({ history: { maxBytes: 0 } });
    let looked = 0;
    const fileSystem = new FaultyFileSystem(world.outside, {
      beforeCall: () => {
        looked += 1;
        if (looked === 1) other.checkpoint();
      },
    });
    const volume = lookVolume(world.outside, { root: simulatedRoot, named: new Map() }, '');
    const look = {
      log: new MemoryLog(world.log),
      fileSystem,
      volumes: new Map([['', volume!]]),
      readData,
      progress: () => undefined,
    };
    assert.equal(await checkHistory(look), []);
    assert.ok(looked > 0);
    assert.equal(historyRows(world), []);
  }
});

test('what cannot be looked at is told, with the reason', async () => {
  const world = new World();
  const process = await world.open({ history: {} });
  process.commit(write('a', 'a0.'));
  process.commit(write('a', 'a1.'));
  process.checkpoint();
  const fileSystem = new FaultyFileSystem(world.outside, {
    faults: [{ at: ({ method }) => method === 'openRead', error: 'EIO' }],
  });
  const volume = lookVolume(world.outside, { root: simulatedRoot, named: new Map() }, '')!;
  const look = {
    log: new MemoryLog(world.log),
    fileSystem,
    volumes: new Map([['', volume]]),
    readData: true,
    progress: () => undefined,
  };
  const [found, ...others] = await checkHistory(look);
  assert.equal(others, []);
  assert.is(found?.code, 'history-unreadable');
  assert.match(found!.message, /EIO/);
  // An area that is not there is told of elsewhere.
  assert.equal(await checkHistory({ ...look, volumes: new Map() }), []);
});

test('a store that saves, and lets go of history without a pause, gives no findings', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  const store = await openStore(root, { checkpointIntervalMs: 5, history: { maxBytes: 4000 } });
  let ended = false;
  const save = async (name: string): Promise<void> => {
    for (let n = 0; !ended; n += 1) {
      await store.writeFiles({ [`${name}/small`]: `${n}`, [`${name}/large`]: `${n} `.repeat(100) });
      if (n % 5 === 4) await store.rm(name, { recursive: true });
    }
  };
  const saving = ['a', 'b'].map(save);
  for (let look = 0; look < 15; look += 1) {
    assert.equal((await check(root, { readData: true })).findings, []);
  }
  ended = true;
  await Promise.all(saving);
  await store.close();
});

test.run();
