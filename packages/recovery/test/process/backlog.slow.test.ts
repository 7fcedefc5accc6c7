/** More unfinished transactions than an open waits for, of processes that were killed. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { TestProcess } from '@forewrit/testkit/child-process';
import { inspect, openStore } from '#src/index.js';
import type { GroupMessage, GroupRequest } from './group-child.js';

const test = suite('a store after hundreds of unfinished transactions', { timeoutMs: 120_000 });

const script = new URL('./group-child.js', import.meta.url);
const perProcess = 160;
const processes = 3;
const all = perProcess * processes;
const openTimeoutMs = 60_000;

async function leaveUnfinished(root: string): Promise<void> {
  const dying: TestProcess<GroupMessage>[] = [];
  for (let each = 0; each < processes; each += 1) {
    const request: GroupRequest = { root, firstFile: each * perProcess, files: perProcess };
    const child = new TestProcess<GroupMessage>(script, { request });
    dying.push(child);
    await child.next('open', openTimeoutMs);
  }
  for (const child of dying) {
    child.tell({});
    assert.is((await child.end(openTimeoutMs)).signal, 'SIGKILL');
  }
}

function assertWhole(root: string): void {
  for (let index = 0; index < all; index += 1)
    assert.is(readFileSync(path.join(root, `${index}.txt`), 'utf8'), `content ${index}`);
}

for (const committer of ['inline', 'worker'] as const) {
  test(`is open and takes saves while the rest is made durable, ${committer}`, async () => {
    using directory = temporaryDirectory('backlog');
    const root = directory.path;
    await leaveUnfinished(root);
    const store = await openStore(root, { committer });
    assert.is(store.recovery.redone.length, all);
    assertWhole(root);
    await store.writeFile('0.txt', 'content 0');
    await store.checkpoint();
    const { owners, transactions, leftovers } = await inspect(root);
    assert.is(owners.length, 1);
    assert.equal(transactions, []);
    assert.equal(leftovers, []);
    await store.close();
    assertWhole(root);
  });
}

test('may be closed at once: the next open goes on', async () => {
  using directory = temporaryDirectory('backlog');
  const root = directory.path;
  await leaveUnfinished(root);
  await (await openStore(root)).close();
  assertWhole(root);
  const store = await openStore(root);
  assert.equal(store.recovery.redone, []);
  await store.checkpoint();
  await store.close();
  assertWhole(root);
  assert.ok((await inspect(root)).clean);
});

test.run();
