/** Content that is staged over time, with real processes that are killed at it. */

import { readdirSync, readFileSync } from 'node:fs';
import type { FailpointName, StoreOptions } from '@forewrit/core';
import { inspect, openStore } from '@forewrit/recovery';
import { assert, suite, temporaryDirectory, TestProcess } from '@forewrit/testkit';
import type { StagingMessage, StagingRequest } from './staging-child.js';

const test = suite('staging, with processes', { timeoutMs: 120_000 });
const script = new URL('./staging-child.js', import.meta.url);
const content = Array.from({ length: 40 }, (_, line) => `Line ${line} of what arrives slowly.\n`).join('');
const pieceBytes = 200;

class Directory implements Disposable {
  readonly #directory = temporaryDirectory('staging');
  readonly root = `${this.#directory.path}/root`;

  start(more: Partial<StagingRequest> = {}): TestProcess<StagingMessage> {
    const request = { root: this.root, id: 'x', content, pieceBytes, ...more };
    return new TestProcess<StagingMessage>(script, { request });
  }

  names(): string[] {
    return readdirSync(`${this.root}/.forewrit/staged`);
  }

  [Symbol.dispose](): void {
    this.#directory.remove();
  }
}

function options(name: FailpointName, skip: number): StoreOptions {
  return { committer: 'inline', failpoint: { name, action: 'kill', skip } };
}

function durableAtLast(messages: readonly StagingMessage[]): number {
  return messages.reduce((offset, message) => ('offset' in message ? message.offset : offset), 0);
}

for (const name of ['staging.before', 'staging.after'] as const) {
  test(`killed at ${name} of every record, content is continued from its last durable byte`, async () => {
    using directory = new Directory();
    let acknowledged = 0;
    let kills = 0;
    let offset = 0;
    for (let skip = 0; offset < content.length; skip += 1) {
      // What was recorded before counts once more: taking it up is a record, too.
      await using child = directory.start({ options: options(name, Math.min(skip, 2)) });
      const hasAll = (await child.nextOrEnd('all')) !== undefined;
      await child.kill();
      const staged = child.messages.find(({ type }) => type === 'staged');
      if (staged?.type === 'staged') {
        offset = staged.offset;
        assert.ok(offset >= acknowledged, `${offset} of ${acknowledged}`);
      }
      acknowledged = Math.max(acknowledged, durableAtLast(child.messages));
      if (hasAll) break;
      kills += 1;
      assert.ok(kills < 100, 'it never comes to its end');
    }
    assert.ok(kills > 3);
    const store = await openStore(directory.root);
    const staged = await store.stage('x');
    assert.ok(staged.offset >= acknowledged);
    await staged.append(content.slice(staged.offset));
    await store.writeFile('x', staged);
    await store.close();
    assert.is(readFileSync(`${directory.root}/x`, 'utf8'), content);
    assert.equal(directory.names(), []);
  });
}

for (const committer of ['inline', 'worker'] as const) {
  test(`what a living process stages is refused, and continued once that was killed (${committer})`, async () => {
    using directory = new Directory();
    await using first = directory.start({ content: content.slice(0, 1000), options: { committer } });
    await first.next('all');
    let store = await openStore(directory.root, { committer });
    await assert.rejectsWithCode(store.stage('x'), 'ERR_CONFLICT');
    await assert.rejectsWithCode(store.discardStaged('x'), 'ERR_CONFLICT');
    assert.equal(
      (await store.staged()).map(({ id, durableBytes, heldBy }) => [id, durableBytes, heldBy]),
      [['x', 1000, 'elsewhere']],
    );
    assert.equal((await store.verify()).findings, []);
    const [seen] = (await inspect(directory.root)).transactions;
    assert.is(seen?.state, 'staging');
    assert.is(seen?.staging?.durableBytes, 1000);
    await first.kill();
    let staged = await store.stage('x');
    assert.is(staged.offset, 1000);
    await store.close();
    // To be continued, and nothing that anybody has to see to.
    const { clean, transactions } = await inspect(directory.root);
    assert.is(clean, true);
    assert.is(transactions.length, 1);
    store = await openStore(directory.root, { committer });
    assert.equal(store.recovery.undone, []);
    staged = await store.stage('x');
    await staged.append(content.slice(1000));
    await store.writeFile('x', staged);
    await store.close();
    assert.is(readFileSync(`${directory.root}/x`, 'utf8'), content);
    assert.equal(directory.names(), []);
  });
}

const adopting: readonly FailpointName[] = [
  'stage.before',
  'stage.after',
  'log.inside',
  'log.after',
  'apply.target',
  'apply.after',
  'checkpoint.sync-directory',
  'checkpoint.trim',
  'checkpoint.sweep',
];
const uncommitted: ReadonlySet<string> = new Set(['stage.before', 'stage.after', 'log.inside']);

test('killed anywhere while it is adopted, content is in its file, or can be continued', async () => {
  for (const name of adopting) {
    using directory = new Directory();
    const child = directory.start({ path: 'd/x', pieceBytes: 1000, options: options(name, 0) });
    const { signal } = await child.end();
    assert.is(signal, 'SIGKILL', `${name} was not reached`);
    const store = await openStore(directory.root, { committer: 'inline' });
    const isCommitted = !uncommitted.has(name);
    assert.is(await store.exists('d/x'), isCommitted, name);
    assert.is((await store.staged()).length, isCommitted ? 0 : 1, name);
    if (isCommitted) assert.is(await store.readFile('d/x', 'utf8'), content);
    else {
      const staged = await store.stage('x');
      assert.is(staged.offset, content.length);
      await store.writeFile('d/x', staged);
    }
    await store.close();
    assert.is(readFileSync(`${directory.root}/d/x`, 'utf8'), content);
    assert.equal(directory.names(), [], name);
  }
});

test.run();
