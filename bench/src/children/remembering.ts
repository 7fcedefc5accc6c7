/** A process that does nothing but save with one contender, and says how much memory that has made resident. */

import fs from 'node:fs';
import v8 from 'node:v8';
import vm from 'node:vm';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { Unavailable } from '../contenders/contender.js';
import { contenders } from '../contenders/index.js';
import { residentMiB } from '../memory.js';
import { contextSet } from '../scenarios/sets.js';

export interface RememberingRequest {
  readonly contender: string;
  readonly directory: string;
  /** After each of these many saves it looks. */
  readonly saves: readonly number[];
}

export type RememberingMessage =
  | { readonly type: 'done'; readonly openMiB: number; readonly afterMiB: readonly number[] }
  | { readonly type: 'unavailable'; readonly reason: string };

/** It is started without flags. */
function garbageCollector(): () => void {
  v8.setFlagsFromString('--expose-gc');
  return vm.runInNewContext('gc') as () => void;
}

async function main(): Promise<void> {
  const { contender: name, directory, saves } = requestOf<RememberingRequest>();
  const contender = contenders.find((each) => each.name === name)!;
  const collect = garbageCollector();
  const look = (): number => {
    collect();
    return residentMiB();
  };
  fs.mkdirSync(directory, { recursive: true });
  const bareMiB = look();
  const saver = await contender.open(directory);
  const openMiB = look() - bareMiB;
  const afterMiB: number[] = [];
  for (const [index, last] of saves.entries()) {
    for (let save = index === 0 ? 0 : saves[index - 1]!; save < last; save += 1)
      await saver.save(contextSet(save));
    afterMiB.push(look() - bareMiB);
  }
  await saver.close();
  say({ type: 'done', openMiB, afterMiB } satisfies RememberingMessage);
}

// It never outlives whoever has started it.
onCommand(() => undefined);
try {
  await main();
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  say({ type: 'unavailable', reason: error.message } satisfies RememberingMessage);
}
process.exit(0);
