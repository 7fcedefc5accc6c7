/** A process that runs a part of the kill and edit tests in a directory: on the file system that it is started under. */
import { mkdirSync } from 'node:fs';
import type { Transaction } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import * as assert from '@forewrit/testkit/assert';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { Random } from '@forewrit/testkit/random';
import { directoryFiles } from './directory-files.js';
import { editAfterKill, targetCount } from './edit-scenarios.js';
import { killAtFailpoint, killAtRandom } from './kill-scenarios.js';
import type { SetHistoryOptions } from './set-history.js';
import { SetWorld, treeOf } from './set-world.js';

export interface FileSystemRequest {
  readonly directory: string;
  readonly seed: number;
  readonly kills: number;
  /** Stores that were made before, in the lower layer of an overlay. */
  readonly older?: {
    readonly root: string;
    readonly version: number;
    readonly history: SetHistoryOptions;
    /** Holds `directoryFiles`. */
    readonly directories: string;
  };
}

export type FileSystemMessage =
  | { readonly type: 'passed'; readonly part: string }
  | { readonly type: 'failed'; readonly part: string; readonly error: string };

const { directory, seed, kills, older } = requestOf<FileSystemRequest>();
onCommand(() => undefined);
process.env['FOREWRIT_TEST_DIR'] = `${directory}/own`;

const parts: Readonly<Record<string, () => Promise<unknown>>> = {
  ...(older === undefined
    ? {}
    : {
        'kills in an older store': () => killSome(new SetWorld(older.root, older.history, older.version)),
        'older directories': () => leaveDirectories(older.directories),
      }),
  'kills at random': () => {
    mkdirSync(`${directory}/kills`);
    return killSome(new SetWorld(`${directory}/kills`, { seed }));
  },
  'kills at failpoints': async () => {
    await killAtFailpoint('apply.target', 22);
    await killAtFailpoint('checkpoint.trim', 2);
  },
  'edits on the same boot': () => edit('same'),
  'edits on another boot': () => edit('other'),
};

async function killSome(world: SetWorld): Promise<void> {
  await killAtRandom(world, new Random(seed), { kills: 0, looks: 0, redone: 0, undone: 0 }, kills);
}

async function edit(boot: 'same' | 'other'): Promise<void> {
  for (const inlineLimitBytes of [0, 65_536]) {
    await editAfterKill({ failpoint: 'apply.target', skip: targetCount >> 1, inlineLimitBytes, boot });
  }
}

/** An overlay cannot move or remove them: it is refused before anything is changed. */
async function leaveDirectories(root: string): Promise<void> {
  const store = await openStore(root, { committer: 'inline' });
  await store.writeFile('fresh/a', 'of the upper layer');
  const tree = treeOf(root);
  const changes: readonly ((transaction: Transaction) => void)[] = [
    (transaction) => transaction.rm('top', { recursive: true }),
    (transaction) => transaction.rename('top', 'elsewhere'),
    (transaction) => {
      transaction.rm('top', { recursive: true });
      transaction.rename('fresh', 'top');
    },
  ];
  for (const change of changes) {
    const transaction = await store.begin();
    await transaction.writeFile('a', 'new');
    change(transaction);
    await assert.rejectsWithCode(transaction.commit(), 'ERR_INVALID_PATH');
    assert.equal(treeOf(root), tree);
  }
  await store.rm('fresh', { recursive: true });
  await store.writeFiles(Object.keys(directoryFiles).map((path) => [path, 'new'] as const));
  assert.equal((await store.verify()).findings, []);
  await store.close();
}

async function runPart(part: string, run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
    say({ type: 'passed', part });
  } catch (error) {
    say({
      type: 'failed',
      part,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }
}

await Promise.all(Object.entries(parts).map(([part, run]) => runPart(part, run)));
process.exit(0);
