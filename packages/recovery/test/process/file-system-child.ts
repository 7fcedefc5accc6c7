/** A process that runs a part of the kill and edit tests in a directory: on the file system that it is started under. */
import { mkdirSync } from 'node:fs';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { Random } from '@forewrit/testkit/random';
import { editAfterKill, targetCount } from './edit-scenarios.js';
import { killAtFailpoint, killAtRandom } from './kill-scenarios.js';
import type { SetHistoryOptions } from './set-history.js';
import { SetWorld } from './set-world.js';

export interface FileSystemRequest {
  readonly directory: string;
  readonly seed: number;
  readonly kills: number;
  /** A store that was made before, at this version, where the file system shows it. */
  readonly older?: { readonly root: string; readonly version: number; readonly history: SetHistoryOptions };
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
    : { 'kills in an older store': () => killSome(new SetWorld(older.root, older.history, older.version)) }),
  'kills at random': () => {
    mkdirSync(`${directory}/kills`);
    return killSome(new SetWorld(`${directory}/kills`, { seed }));
  },
  'kills at failpoints': async () => {
    await Promise.all([killAtFailpoint('log.after', 7), killAtFailpoint('apply.target', 22)]);
    await Promise.all([killAtFailpoint('checkpoint.trim', 2), killAtFailpoint('recover.target', 1)]);
  },
  'edits on the same boot': () => edit('same'),
  'edits on another boot': () => edit('other'),
};

async function killSome(world: SetWorld): Promise<void> {
  await killAtRandom(world, new Random(seed), { kills: 0, looks: 0, redone: 0, undone: 0 }, kills);
}

async function edit(boot: 'same' | 'other'): Promise<void> {
  const scenario = { failpoint: 'apply.target', skip: targetCount >> 1, boot } as const;
  await Promise.all([0, 65_536].map((inlineLimitBytes) => editAfterKill({ ...scenario, inlineLimitBytes })));
}

for (const [part, run] of Object.entries(parts)) {
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
process.exit(0);
