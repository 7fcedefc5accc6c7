/**
 * A store that saving processes work on and are killed in, one after the other; and what must hold of it after each
 * death: the tree is exactly that of one version, not older than the last acknowledged one, and nothing else is left.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecoveryReport, StoreOptions } from '@forewrit/core';
import { inspect, openStore } from '@forewrit/recovery';
import * as assert from '@forewrit/testkit/assert';
import { type ProcessEnd, TestProcess } from '@forewrit/testkit/child-process';
import { labelOf } from './labelled-content.js';
import type { SetMessage, SetRequest } from './set-child.js';
import { setFiles, SetHistory, type SetHistoryOptions } from './set-history.js';

const script = new URL('./set-child.js', import.meta.url);

export type SetProcess = TestProcess<SetMessage>;

export class SetWorld {
  readonly root: string;
  readonly #options: SetHistoryOptions;
  readonly #history: SetHistory;
  /** The newest version that must be there, and the newest that may. */
  #oldest: number;
  #newest: number;

  /** `version`: what the store has now. */
  constructor(root: string, options: SetHistoryOptions, version = 0) {
    this.root = root;
    this.#options = options;
    this.#history = new SetHistory(options);
    this.#oldest = version;
    this.#newest = version;
  }

  /** As far as is known. */
  get version(): number {
    return this.#oldest;
  }

  start(request: Omit<SetRequest, 'root' | keyof SetHistoryOptions> = {}): SetProcess {
    return new TestProcess<SetMessage>(script, {
      request: { root: this.root, ...this.#options, ...request },
    });
  }

  /** Takes in what a process that has ended had acknowledged. */
  async heed(child: SetProcess): Promise<ProcessEnd> {
    const end = await child.ended;
    for (const message of child.messages) {
      switch (message.type) {
        case 'failed':
          throw new Error(`a save failed: ${message.error}`);
        case 'open':
          this.#assertVersion(message.version);
          this.#oldest = message.version;
          // A save may have been under way when it was killed.
          this.#newest = message.version + 1;
          break;
        case 'saved':
          assert.is(message.version, this.#newest, 'versions are saved in order');
          this.#oldest = message.version;
          this.#newest = message.version + 1;
          break;
      }
    }
    return end;
  }

  /** Opens the store, which recovers it, and looks at everything; then a second time. */
  async verify(options: StoreOptions = { committer: 'inline' }): Promise<RecoveryReport> {
    const store = await openStore(this.root, options);
    const { recovery } = store;
    try {
      const { blocked, kept, conflicts } = recovery;
      // Nobody else has changed anything.
      assert.equal({ blocked, kept, conflicts }, { blocked: [], kept: [], conflicts: [] });
      this.#assertTree();
      if (this.#history.version > 0) {
        const read = await store.readFiles(setFiles);
        for (const path of setFiles) this.#assertSetVersion(read.get(path)!, path);
      }
    } finally {
      await store.close();
    }
    await this.#assertClean();
    const again = await openStore(this.root, options);
    const { durationMs: _, ...report } = again.recovery;
    const { findings } = await again.verify();
    await again.close();
    assert.equal(report, { redone: [], undone: [], kept: [], blocked: [], conflicts: [], sweptFiles: 0 });
    assert.equal(findings, []);
    this.#assertTree();
    await this.#assertClean();
    return recovery;
  }

  #assertTree(): void {
    const tree = treeOf(this.root);
    const first = tree.get(setFiles[0]);
    const version = first === undefined ? 0 : Number.parseInt(labelOf(first, setFiles[0]), 10);
    this.#assertVersion(version);
    this.#oldest = version;
    this.#newest = version;
    this.#history.advanceTo(version);
    const expected = this.#history.tree();
    assert.equal([...tree.keys()].sort(), [...expected.keys()].sort(), `the paths of version ${version}`);
    for (const [path, content] of expected) {
      const found = tree.get(path);
      const same = content === undefined ? found === undefined : found?.equals(content) === true;
      assert.ok(same, `'${path}' is not as version ${version} left it`);
    }
  }

  #assertVersion(version: number): void {
    const { root } = this;
    const range = `${this.#oldest} to ${this.#newest}`;
    assert.ok(
      version >= this.#oldest && version <= this.#newest,
      `${root} has version ${version}, not ${range}`,
    );
  }

  #assertSetVersion(content: Uint8Array, path: string): void {
    assert.is(Number.parseInt(labelOf(content, path), 10), this.#history.version, `the version of '${path}'`);
  }

  async #assertClean(): Promise<void> {
    const { history, leftovers } = await inspect(this.root);
    assert.equal(leftovers, [], 'what nobody knows');
    for (const place of ['staged', 'before', 'conflicts']) {
      if (place === 'before' && history.transactions > 0) continue;
      assert.equal(readdirSync(`${this.root}/.forewrit/${place}`), [], `left in ${place}`);
    }
  }
}

/** Everything in a directory but the store's own: content by path; a directory has none. */
export function treeOf(root: string): Map<string, Buffer | undefined> {
  const tree = new Map<string, Buffer | undefined>();
  const pending = [''];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const entry of readdirSync(join(root, next), { withFileTypes: true })) {
      const path = join(next, entry.name);
      if (path === '.forewrit') continue;
      if (entry.isDirectory()) pending.push(path);
      tree.set(path, entry.isDirectory() ? undefined : readFileSync(join(root, path)));
    }
  }
  return tree;
}
