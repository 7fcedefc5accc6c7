/** Files compared with what the log says of them, and what an inspection shows of a log that is damaged. */

import {
  chmodSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { inspect, openStore } from '@forewrit/recovery';
import {
  metaKeys,
  encodeFrame,
  encodeMark,
  frameSeed,
  transactionKey,
  NodeFileSystem,
  type FileSystem,
  openLmdbLog,
  type Log,
  textRow,
  type VerifyReport,
} from '@forewrit/core';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';

const test = suite('verification');

test('each file is missing, changed, damaged, unreadable or as it was written', async () => {
  using directory = temporaryDirectory('verify');
  const root = directory.path;
  const names = ['fine', 'gone', 'a directory', 'a link', 'edited', 'rotten'];
  writeFileSync(`${root}/large`, 'by hand');
  await using store = await openStore(root, { committer: 'inline' });
  await store.writeFiles(Object.fromEntries(names.map((name) => [name, `content of ${name}`])));
  await store.rename('large', 'moved');
  assert.equal((await store.verify()).findings, []);
  for (const name of ['gone', 'a directory', 'a link']) unlinkSync(`${root}/${name}`);
  mkdirSync(`${root}/a directory`);
  symlinkSync('fine', `${root}/a link`);
  writeFileSync(`${root}/edited`, 'by another program');
  const { atime, mtime, size } = statSync(`${root}/rotten`);
  writeFileSync(`${root}/rotten`, 'X'.repeat(size));
  utimesSync(`${root}/rotten`, atime, mtime);
  const { checked, findings } = await store.verify();
  assert.is(checked, names.length + 1);
  const problems = Object.fromEntries(findings.map(({ path, problem }) => [path, problem]));
  // Times of Node are in microseconds: the edit may show.
  assert.ok(['damaged', 'changed'].includes(problems['rotten']!));
  delete problems['rotten'];
  assert.equal(problems, {
    'a directory': 'changed',
    'a link': 'changed',
    edited: 'changed',
    gone: 'missing',
  });
  const some = await store.verify({ paths: ['edited', 'fine', 'unknown'] });
  assert.is(some.checked, 2);
  assert.equal(
    some.findings.map(({ path }) => path),
    ['edited'],
  );
  writeFileSync(`${root}/moved`, 'by another program');
  const [moved] = (await store.verify({ paths: ['moved'] })).findings;
  assert.is(moved?.problem, 'changed');
  await store.rm('fine');
  assert.is((await store.verify({ paths: ['fine'] })).findings.length, 0);
});

test('what history keeps is missing, damaged or as it was', async () => {
  using directory = temporaryDirectory('verify');
  const root = directory.path;
  await using store = await openStore(root, { committer: 'inline', history: {} });
  await store.writeFiles({ a: 'one', b: 'one', 'd/x': 'x', 'd/y': 'y', c: 'one' });
  const { transaction } = await store.writeFiles({ a: 'two', b: 'two', c: 'two' });
  const removed = await store.rm('d', { recursive: true });
  await store.checkpoint();
  assert.equal((await store.verify()).findings, []);
  const before = `${root}/.forewrit/before`;
  writeFileSync(`${before}/${transaction}-0`, 'eno');
  rmSync(`${before}/${transaction}-1`);
  unlinkSync(`${before}/${removed.transaction}-0/y`);
  const { findings } = await store.verify();
  assert.equal(
    findings.map(({ path, problem }) => [path, problem]),
    [
      ['d', 'missing'],
      ['a', 'damaged'],
      ['b', 'missing'],
    ],
  );
  assert.equal((await store.verify({ paths: ['a'] })).findings, []);
  const { history } = await inspect(root);
  assert.equal([history.transactions, history.keptBytes], [3, 11]);
});

test('content that rots in its place is damaged, and a file that cannot be read says why', async () => {
  using directory = temporaryDirectory('verify');
  const trouble: { code?: string; rotten?: boolean } = {};
  class Failing extends NodeFileSystem {
    override openRead(path: string): number {
      if (path.endsWith('/a') && trouble.code !== undefined)
        throw trouble.code === ''
          ? new Error('no code')
          : Object.assign(new Error('no'), { code: trouble.code });
      return super.openRead(path);
    }
    override read(descriptor: number, into: Uint8Array, position: number): number {
      const count = super.read(descriptor, into, position);
      if (trouble.rotten === true && count > 0) into[0]! ^= 1;
      return count;
    }
  }
  const fileSystem: FileSystem = new Failing();
  await using store = await openStore(directory.path, { committer: 'inline', fileSystem });
  await store.writeFile('a', 'content');
  trouble.rotten = true;
  const look = async (): Promise<VerifyReport['findings'][number] | undefined> =>
    (await store.verify({ paths: ['a'] })).findings[0];
  assert.is((await look())?.problem, 'damaged');
  trouble.rotten = false;
  trouble.code = 'EACCES';
  const finding = await look();
  assert.equal([finding?.problem, finding?.detail], ['unreadable', 'EACCES']);
  trouble.code = '';
  assert.is((await look())?.problem, 'unreadable');
});

/** The log of a store that nobody uses, to be damaged by hand. */
function openLog(root: string): Log {
  return openLmdbLog({
    directory: `${root}/.forewrit/log`,
    fileSystem: new NodeFileSystem(),
    queueToken: '1.2.3.4.by-hand',
    isTokenAlive: () => false,
  });
}

test('an inspection shows what is damaged, row by row, and what is whole beside it', async () => {
  const everything = { start: new Uint8Array(0) };
  for (const table of ['log', 'locks', 'owners', 'meta', 'files'] as const) {
    using directory = temporaryDirectory('inspect');
    const root = directory.path;
    const store = await openStore(root, {
      committer: 'inline',
      checkpointIntervalMs: 1e9,
      failpoint: { name: 'log.after', action: 'throw' },
    });
    await store.writeFiles({ a: '1', b: '1' }).catch(() => undefined);
    await store.close();
    const whole = await inspect(root);
    assert.equal(whole.problems, []);
    assert.is(whole.clean, false);
    assert.is(whole.transactions[0]?.state, 'committed');
    const log = openLog(root);
    log.commit((batch) => {
      const rows = batch.range(table, everything);
      for (const [key, value] of rows) {
        const damaged = Uint8Array.from(value);
        damaged[damaged.length - 1]! ^= 1;
        batch.put(table, key, damaged);
      }
      if (rows.length === 0) batch.put(table, Uint8Array.of(0, 0, 0, 9), Uint8Array.of(1, 2, 3));
    });
    log.close();
    const damaged = await inspect(root);
    assert.ok(damaged.problems.length > 0, table);
    assert.ok(
      damaged.problems.every(({ code }) => code === 'ERR_LOG_CORRUPT'),
      table,
    );
    assert.is(damaged.clean, false);
    assert.equal(damaged.leftovers, [], 'what a damaged record names is not known to belong to nobody');
  }
});

test('an inspection of a store without areas, or below another format, shows what there is', async () => {
  using directory = temporaryDirectory('inspect');
  const root = directory.path;
  await (await openStore(root, { committer: 'inline' })).close();
  rmSync(`${root}/.forewrit/conflicts`, { recursive: true });
  rmSync(`${root}/.forewrit/staged`, { recursive: true });
  const log = openLog(root);
  const key = metaKeys.volume('not mounted');
  log.commit((batch) => batch.put('meta', key, textRow.encode(key, 'not mounted')));
  log.close();
  const found = await inspect(root, { probeWitness: () => Promise.resolve('refused'), ownersDead: ['1'] });
  assert.equal([found.conflicts, found.leftovers, found.clean], [[], [], true]);
  await assert.rejectsWithCode(inspect(`${root}/none`), 'ERR_NOT_FOUND');
  const file = `${root}/.forewrit/log/data.mdb`;
  const bytes = readFileSync(file);
  bytes.fill(0, 0, 8192);
  chmodSync(file, 0o600);
  writeFileSync(file, bytes);
  const damaged = await inspect(root);
  assert.equal(
    damaged.problems.map(({ code }) => code),
    ['ERR_LOG_CORRUPT'],
  );
  assert.equal([damaged.transactions, damaged.owners, damaged.clean], [[], [], false]);
});

test('an inspection shows transactions in every state', async () => {
  using directory = temporaryDirectory('inspect');
  const root = directory.path;
  const dying = await openStore(root, {
    committer: 'inline',
    checkpointIntervalMs: 1e9,
    failpoint: { name: 'log.after', action: 'throw' },
  });
  await dying.writeFile('a', '1').catch(() => undefined);
  await dying.close();
  const log = openLog(root);
  const begun = transactionKey(1, 9, 1);
  const [aborted, mark] = encodeMark({ owner: 1, counter: 1 }, { kind: 'abort', revision: 9 });
  log.commit((batch) => {
    batch.put('log', begun, encodeFrame(1, ['boot', '', 5], frameSeed('log', begun)));
    batch.put('log', aborted, mark);
  });
  log.close();
  const { transactions, problems, clean } = await inspect(root);
  assert.equal(problems, []);
  assert.is(clean, false);
  assert.equal(
    transactions.map(({ id, state, revision, startedAtMs }) => [
      id,
      state,
      revision,
      startedAtMs !== undefined,
    ]),
    [
      ['1-9', 'uncommitted', undefined, true],
      ['1-1', 'aborted', 1, true],
    ],
  );
  const store = await openStore(root, { committer: 'inline' });
  assert.equal([store.recovery.undone, store.recovery.redone], [['1-9'], []]);
  await store.close();
  assert.is((await inspect(root)).clean, true);
});

test('what is deferred is looked at in the log, and shown as such; somebody who has written its file is a finding', async () => {
  using directory = temporaryDirectory('verify');
  const root = directory.path;
  const store = await openStore(root, {
    committer: 'inline',
    materialize: 'deferred',
    materializeWithinMs: 1e9,
    checkpointIntervalMs: 1e9,
  });
  await store.writeFiles({ a: 'old', b: 'old' }, { materialize: 'immediate' });
  await store.checkpoint();
  await store.writeFiles({ a: 'new', n: 'new' });
  assert.equal((await store.verify()).findings, []);
  const { transactions, clean } = await inspect(root);
  assert.equal(
    transactions.map(({ state, paths }) => [state, paths.map(({ path }) => path)]),
    [['deferred', ['a', 'n']]],
  );
  assert.is(clean, true);
  writeFileSync(`${root}/a`, 'theirs');
  assert.equal(
    (await store.verify()).findings.map(({ path, problem }) => [path, problem]),
    [['a', 'changed']],
  );
  await store.close();
  const again = await openStore(root, { committer: 'inline' });
  assert.equal(
    (await again.verify()).findings.map(({ path, problem }) => [path, problem]),
    [['a', 'changed']],
  );
  await again.close();
});

test.run();
