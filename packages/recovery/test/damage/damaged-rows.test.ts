/** Rows that are damaged within a log whose pages are whole. */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { inspect, openStore } from '@forewrit/recovery';
import * as assert from '@forewrit/testkit/assert';
import { suite } from '@forewrit/testkit/suite';
import { temporaryDirectory } from '@forewrit/testkit/temp-directory';

const test = suite('damaged rows');

for (const [what, from, to] of [
  ['the key', 'notes\0beta', 'notes\0betb'],
  ['the value', 'the second', 'the sEcond'],
] as const) {
  test(`an entry in ${what} of which a byte has changed is not passed over when its store is opened`, async () => {
    using directory = temporaryDirectory('rows');
    const root = `${directory.path}/store`;
    const store = await openStore(root, { committer: 'inline' });
    await store.transact((transaction) => {
      transaction.put('notes', 'alpha', 'the first');
      transaction.put('notes', 'beta', 'the second');
    });
    await store.writeFile('a.txt', 'content');
    await store.close();
    const file = `${root}/.forewrit/log/data.mdb`;
    const log = readFileSync(file);
    let changed = 0;
    for (let at = log.indexOf(from); at !== -1; at = log.indexOf(from, at + 1)) {
      log.write(to, at);
      changed += 1;
    }
    assert.ok(changed > 0);
    writeFileSync(file, log);
    for (const readOnly of [false, true]) {
      await assert.rejectsWithCode(openStore(root, { committer: 'inline', readOnly }), 'ERR_LOG_CORRUPT');
    }
    // Who only looks is told, and sees the rest.
    const seen = await inspect(root);
    assert.equal(
      seen.problems.map(({ code }) => code),
      ['ERR_LOG_CORRUPT'],
    );
    assert.is(seen.clean, false);
    assert.is(seen.revision, 2);
  });
}

test('verifying a store looks at rows that nobody reads', async () => {
  using directory = temporaryDirectory('rows');
  const root = `${directory.path}/store`;
  const store = await openStore(root, { committer: 'inline' });
  await store.transact((transaction) => transaction.put('notes', 'beta', 'the second'));
  await store.verify();
  const file = `${root}/.forewrit/log/data.mdb`;
  const log = readFileSync(file);
  const descriptor = openSync(file, 'r+');
  for (let at = log.indexOf('the second'); at !== -1; at = log.indexOf('the second', at + 1))
    writeSync(descriptor, 'E', at + 2);
  closeSync(descriptor);
  await assert.rejectsWithCode(store.verify(), 'ERR_LOG_CORRUPT');
  // What is asked for by its path does not take a look at the whole log.
  await store.verify({ paths: [] });
  await store.close();
});

test.run();
