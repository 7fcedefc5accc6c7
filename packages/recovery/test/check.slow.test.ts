/** What a check sees that no damage is needed for, and that it sees nothing where others are only busy. */

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type Store, StoreError } from '@forewrit/core';
import {
  accept,
  check,
  discardStaged,
  explain,
  type Finding,
  inspect,
  openStore,
  recover,
  resetLog,
} from '@forewrit/recovery';
import * as assert from '@forewrit/testkit/assert';
import { suite } from '@forewrit/testkit/suite';
import { temporaryDirectory } from '@forewrit/testkit/temp-directory';

const test = suite('check and mend', { timeoutMs: 60_000 });

const codesOf = (findings: readonly Finding[]): string[] => findings.map(({ code }) => code);

async function saved(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  const store = await openStore(root, { committer: 'inline' });
  await store.writeFiles(files);
  await store.close();
}

test('where there is no store nothing is checked, mended or made', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  for (const call of [
    () => check(root),
    () => recover(root),
    () => resetLog(root),
    () => accept(root, ['a']),
    () => discardStaged(root, 'x'),
  ]) {
    await assert.rejectsWithCode(call(), 'ERR_NOT_FOUND');
  }
  assert.equal(readdirSync(root), []);
});

test('a store that saves without a pause gives no findings, also when files are read', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  const store = await openStore(root, { checkpointIntervalMs: 5, inlineLimitBytes: 100 });
  let ended = false;
  const save = async (name: string): Promise<void> => {
    for (let n = 0; !ended; n += 1) {
      await store.writeFiles({ [`${name}/small`]: `${n}`, [`${name}/large`]: `${n} `.repeat(100) });
      if (n % 5 === 4) await store.transact((transaction) => transaction.rm(`${name}/small`));
    }
  };
  const saving = ['a', 'b', 'c'].map(save);
  for (let look = 0; look < 15; look += 1) {
    const { findings, clean } = await check(root, { readData: true });
    assert.equal(findings, []);
    assert.is(clean, true);
  }
  ended = true;
  await Promise.all(saving);
  await store.close();
});

test('progress counts up to all files, and an aborted check ends', async () => {
  using directory = temporaryDirectory('check');
  await saved(directory.path, { a: '1', b: '2', c: '3' });
  const seen: string[] = [];
  const { files } = await check(directory.path, {
    readData: true,
    onProgress: (done, total) => seen.push(`${done}/${total}`),
  });
  assert.is(files, 3);
  assert.equal(seen, ['0/3', '1/3', '2/3']);
  const signal = AbortSignal.abort(new Error('enough'));
  const error = await check(directory.path, { readData: true, signal }).catch((thrown: unknown) => thrown);
  assert.instance(error, Error);
  assert.is((error as Error).message, 'enough');
});

test('a file is recorded as it is, and a later save knows it so', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  await saved(root, { a: 'old', b: 'old', c: 'old' });
  writeFileSync(`${root}/a`, 'edited');
  rmSync(`${root}/b`);
  assert.equal(codesOf((await check(root, { readData: true })).findings), ['file-changed', 'file-missing']);
  const { revision, paths } = await accept(root, ['b', 'a']);
  assert.is(revision, 2);
  assert.equal(
    paths.map(({ path, is }) => [path, is]),
    [
      ['b', 'absent'],
      ['a', 'file'],
    ],
  );
  assert.is((await check(root, { readData: true })).clean, true);
  assert.is(readFileSync(`${root}/a`, 'utf8'), 'edited');
  const store = await openStore(root, { committer: 'inline' });
  assert.is((await store.stat('a')).revision, 2);
  // Who has read what was there before it was recorded is in conflict.
  await assert.rejectsWithCode(store.writeFile('a', 'x', { ifRevision: 1 }), 'ERR_CONFLICT');
  await store.writeFile('a', 'newer', { ifRevision: 2 });
  await store.writeFile('b', 'back', { ifAbsent: true });
  await store.close();
  assert.is((await check(root, { readData: true })).clean, true);
});

test('of several paths all are recorded, or none', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  await saved(root, { a: 'old' });
  writeFileSync(`${root}/a`, 'edited');
  await assert.rejectsWithCode(accept(root, ['a', 'unknown']), 'ERR_NOT_FOUND');
  assert.equal(codesOf((await check(root, { readData: true })).findings), ['file-changed']);
});

async function staged(store: Store, id: string, content: string): Promise<void> {
  const staging = await store.stage(id);
  await staging.append(content);
  await staging.sync();
  await staging.close();
}

test('staged content is forgotten only when nobody has it, and what is left of it is kept', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  const store = await openStore(root, { committer: 'inline' });
  await staged(store, 'upload', 'a part');
  await assert.rejectsWithCode(discardStaged(root, 'upload'), 'ERR_STORE_LOCKED');
  assert.equal(readdirSync(`${root}/.forewrit/conflicts`), []);
  await store.close();
  await assert.rejectsWithCode(discardStaged(root, 'another'), 'ERR_NOT_FOUND');
  const { savedAs } = await discardStaged(root, 'upload');
  assert.is(readFileSync(savedAs!, 'utf8'), 'a part');
  assert.equal(readdirSync(`${root}/.forewrit/staged`), []);
  const again = await openStore(root, { committer: 'inline' });
  assert.equal(await again.staged(), []);
  await again.close();
});

test('a log that is whole is not reset', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  await saved(root, { a: '1' });
  const before = readFileSync(`${root}/.forewrit/log/data.mdb`);
  assert.equal(await resetLog(root), { entries: 0, contents: [] });
  assert.ok(before.equals(readFileSync(`${root}/.forewrit/log/data.mdb`)));
  assert.is(existsSync(`${root}/.forewrit/set-aside`), false);
});

test('a log that somebody has open is not reset, however damaged it is', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  const store = await openStore(root);
  await store.writeFile('a', '1');
  const file = `${root}/.forewrit/log/data.mdb`;
  const whole = readFileSync(file);
  rmSync(file);
  writeFileSync(file, 'no log');
  await assert.rejectsWithCode(resetLog(root), 'ERR_STORE_LOCKED');
  assert.is(existsSync(`${root}/.forewrit/set-aside`), false);
  assert.is(readFileSync(file, 'utf8'), 'no log');
  writeFileSync(file, whole);
  await store.close().catch((error: unknown) => assert.instance(error, StoreError));
});

async function withEntries(root: string): Promise<void> {
  const store = await openStore(root, { committer: 'inline' });
  await store.transact((transaction) => {
    for (const key of ['one', 'two', 'three']) transaction.put('notes', key, { said: `entry ${key}` });
  });
  await store.writeFile('a', 'content');
  await store.close();
}

/** Of one row a byte is another one; the pages are whole. */
function damageEntry(root: string): void {
  const file = `${root}/.forewrit/log/data.mdb`;
  const log = readFileSync(file);
  let changed = 0;
  for (let at = log.indexOf('entry two'); at !== -1; at = log.indexOf('entry two', at + 1)) {
    log.write('E', at);
    changed += 1;
  }
  assert.ok(changed > 0);
  writeFileSync(file, log);
}

async function entries(root: string): Promise<Record<string, unknown>> {
  const store = await openStore(root, { committer: 'inline' });
  const found: Record<string, unknown> = Object.fromEntries(await store.collection('notes').range());
  await store.close();
  return found;
}

const sound = { one: { said: 'entry one' }, three: { said: 'entry three' } };

test('a reset takes over the entries that can still be read', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  await withEntries(root);
  damageEntry(root);
  assert.equal(codesOf((await check(root)).findings), ['log-damaged']);
  const report = await resetLog(root);
  assert.is(report.entries, 2);
  assert.is(report.setAside, `${root}/.forewrit/set-aside/1`);
  assert.equal(await entries(root), sound);
  assert.is(readFileSync(`${root}/a`, 'utf8'), 'content');
  const { clean, findings } = await check(root, { readData: true });
  assert.is(clean, true);
  assert.equal(codesOf(findings), ['set-aside']);
  // The next one goes beside it.
  writeFileSync(`${root}/.forewrit/log/data.mdb`, 'no log');
  assert.is((await resetLog(root)).setAside, `${root}/.forewrit/set-aside/2`);
});

test('something else in place of the table of readers, or of the queue, is found, and moved away', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  await withEntries(root);
  const whole = await entries(root);
  const log = `${root}/.forewrit/log`;
  rmSync(`${log}/lock.mdb`);
  mkdirSync(`${log}/lock.mdb`, { mode: 0o700 });
  rmSync(`${log}/queue`, { recursive: true });
  writeFileSync(`${log}/queue`, '', { mode: 0o600 });
  const { findings } = await check(root, { readData: true });
  assert.equal(codesOf(findings), ['place-taken', 'place-taken']);
  for (const { remedy } of findings) {
    assert.equal(remedy.command?.slice(0, 3), ['mv', '-n', '--']);
    const [, , , from, to] = remedy.command!;
    renameSync(from!, `${to}${from!.slice(from!.lastIndexOf('/') + 1)}`);
  }
  await recover(root);
  assert.equal(codesOf((await check(root)).findings), ['kept-aside']);
  assert.equal(await entries(root), whole);
});

test('a `.forewrit` that is no directory is refused by whoever opens or looks', async () => {
  using directory = temporaryDirectory('check');
  const root = `${directory.path}/store`;
  await saved(root, { a: 'content' });
  const own = `${root}/.forewrit`;
  const elsewhere = `${directory.path}/else where`;
  renameSync(own, elsewhere);
  const state = (): string[] => [...readdirSync(elsewhere, { recursive: true, encoding: 'utf8' })].sort();
  const before = state();
  const ways: readonly (readonly [string, () => void])[] = [
    [
      `'${own}' is a symbolic link to '${elsewhere}', and should be a directory itself`,
      () => symlinkSync('../else where', own),
    ],
    [`'${own}' is a symbolic link to 'nowhere', where no directory is`, () => symlinkSync('nowhere', own)],
    [`'${own}' is a file`, () => writeFileSync(own, 'mine')],
  ];
  for (const [message, take] of ways) {
    take();
    for (const call of [
      () => openStore(root),
      () => openStore(root, { committer: 'inline', create: false }),
      () => openStore(root, { readOnly: true }),
      () => inspect(root),
      () => check(root),
      () => recover(root),
      () => resetLog(root),
      () => accept(root, ['a']),
    ]) {
      const error = await assert.rejectsWithCode(call(), 'ERR_NOT_DIRECTORY');
      assert.match(error.message, message);
      assert.is((error as StoreError).path, own);
    }
    rmSync(own);
  }
  assert.equal(state(), before);
  assert.equal(readdirSync(root), ['a']);
});

test('the command that is named for it puts a store back that was linked', async () => {
  using directory = temporaryDirectory('check');
  const root = `${directory.path}/store`;
  await saved(root, { a: 'content' });
  const own = `${root}/.forewrit`;
  renameSync(own, `${directory.path}/there`);
  symlinkSync(`${directory.path}/there`, `${directory.path}/between`);
  symlinkSync(`${directory.path}/between`, own);
  const error = (await assert.rejectsWithCode(check(root), 'ERR_NOT_DIRECTORY')) as StoreError;
  const [program, ...words] = explain(error, { root })!.remedy.command!;
  assert.is(spawnSync(program!, words).status, 0);
  assert.ok(lstatSync(own).isDirectory());
  assert.equal((await check(root, { readData: true })).findings, []);
});

const taken = [
  { name: 'id', make: (path: string) => mkdirSync(path, { mode: 0o700 }) },
  { name: 'conflicts', make: (path: string) => writeFileSync(path, '', { mode: 0o600 }) },
  { name: 'set-aside', make: (path: string) => writeFileSync(path, '', { mode: 0o600 }) },
  { name: 'spare', make: (path: string) => writeFileSync(path, '', { mode: 0o600 }) },
  { name: 'staged', make: (path: string) => writeFileSync(path, '', { mode: 0o600 }) },
];
for (const { name, make } of taken) {
  test(`something else in place of ${name} is the one finding, and moved away by the command that is named`, async () => {
    using directory = temporaryDirectory('check');
    const root = directory.path;
    await saved(root, { a: 'content' });
    const path = `${root}/.forewrit/${name}`;
    rmSync(path, { recursive: true, force: true });
    make(path);
    const { findings } = await check(root);
    assert.equal(codesOf(findings), ['place-taken']);
    assert.is(findings[0]!.path, path);
    const [program, ...words] = findings[0]!.remedy.command!;
    assert.is(spawnSync(program!, words).status, 0);
    await recover(root);
    assert.equal(
      (await check(root, { readData: true })).findings.filter(({ severity }) => severity !== 'note'),
      [],
    );
  });
}

test('what is in the way of a reset is found first, and refused before anything is moved', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  await saved(root, { a: 'content' });
  writeFileSync(`${root}/.forewrit/log/data.mdb`, 'no log');
  const path = `${root}/.forewrit/set-aside`;
  writeFileSync(path, '', { mode: 0o600 });
  const { findings } = await check(root);
  assert.equal(codesOf(findings), ['place-taken', 'log-damaged']);
  const error = (await assert.rejectsWithCode(resetLog(root), 'ERR_NOT_DIRECTORY')) as StoreError;
  assert.equal([error.op, error.path], ['reset', path]);
  assert.equal(explain(error, { root })?.remedy, findings[0]!.remedy);
  assert.ok(existsSync(`${root}/.forewrit/id`));
  const [program, ...words] = findings[0]!.remedy.command!;
  assert.is(spawnSync(program!, words).status, 0);
  assert.is((await resetLog(root)).setAside, `${path}/1`);
});

test('a reset that was interrupted is told of, and continued from wherever it was', async () => {
  const names = ['log', 'staged', 'before', 'spare', 'id'];
  for (let moved = 0; moved <= names.length; moved += 1) {
    using directory = temporaryDirectory('check');
    const root = directory.path;
    await withEntries(root);
    damageEntry(root);
    const own = `${root}/.forewrit`;
    mkdirSync(`${own}/set-aside/1`, { recursive: true, mode: 0o700 });
    writeFileSync(`${own}/set-aside/1/unfinished`, '', { mode: 0o600 });
    for (const name of names.slice(0, moved)) {
      renameSync(`${own}/${name}`, `${own}/set-aside/1/${name}`);
    }
    const found = await check(root);
    const unfinished = found.findings.find(({ code }) => code === 'reset-unfinished');
    assert.equal(unfinished?.remedy.command?.slice(0, 4), ['forewrit', 'recover', '--reset-log', '--yes']);
    const report = await resetLog(root);
    assert.is(report.entries, 2, `after ${moved} moves`);
    assert.equal(await entries(root), sound);
    assert.is((await check(root, { readData: true })).clean, true);
  }
});

test('a reset that died before it took over the entries does so the next time, and keeps what is newer', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  await withEntries(root);
  damageEntry(root);
  await resetLog(root);
  // As if it had died there, and somebody had gone on.
  writeFileSync(`${root}/.forewrit/set-aside/1/unfinished`, '', { mode: 0o600 });
  const store = await openStore(root, { committer: 'inline' });
  await store.transact((transaction) => {
    transaction.delete('notes', 'one');
    transaction.put('notes', 'three', 'newer');
  });
  await store.close();
  assert.is((await resetLog(root)).entries, 1);
  assert.equal(await entries(root), { one: { said: 'entry one' }, three: 'newer' });
});

test('what a first open left is swept', async () => {
  using directory = temporaryDirectory('check');
  const root = directory.path;
  await saved(root, { a: '1' });
  writeFileSync(`${root}/.forewrit/id.0123abcd`, 'half', { mode: 0o600 });
  assert.equal(codesOf((await check(root)).findings), ['leftover']);
  assert.is((await recover(root)).leftovers, 1);
  assert.is((await check(root)).clean, true);
});

test.run();
