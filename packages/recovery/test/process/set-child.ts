/** A process that saves version after version of a set (`set-history.ts`) and acknowledges each, until it is killed. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecoveryReport, Store, StoreOptions } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { labelOf } from './labelled-content.js';
import { setFiles, SetHistory, type SetHistoryOptions } from './set-history.js';
import { saveVersion } from './set-save.js';

export interface SetRequest extends SetHistoryOptions {
  readonly root: string;
  readonly options?: StoreOptions;
  /** Rests so long after each save. */
  readonly restMs?: number;
  /** Opens the store only when it is told to `go`. */
  readonly waits?: boolean;
}

export type SetMessage =
  | { readonly type: 'open'; readonly version: number; readonly recovery: RecoveryReport }
  | { readonly type: 'saved'; readonly version: number; readonly revision: number }
  | { readonly type: 'failed'; readonly error: string };

export type SetCommand = { readonly type: 'go' } | { readonly type: 'close' };

const request = requestOf<SetRequest>();
let closing = false;

onCommand<SetCommand>((command) => {
  if (command.type === 'close') closing = true;
  else run();
});
if (request.waits !== true) run();

function run(): void {
  saveForEver().catch((error: unknown) => {
    say({ type: 'failed', error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    process.exit(1);
  });
}

async function saveForEver(): Promise<void> {
  const { root, options = {}, restMs } = request;
  const store = await openStore(root, options);
  const history = new SetHistory(request);
  history.advanceTo(await versionOf(store));
  say({ type: 'open', version: history.version, recovery: store.recovery });
  while (!closing) {
    const { revision } = await saveVersion(store, history.advance());
    say({ type: 'saved', version: history.version, revision });
    if (restMs !== undefined) await sleep(restMs);
  }
  await store.close();
  process.exit(0);
}

async function versionOf(store: Store): Promise<number> {
  const path = setFiles[0];
  if (!(await store.exists(path))) return 0;
  return Number.parseInt(labelOf(await store.readFile(path), path), 10);
}
