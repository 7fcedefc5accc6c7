/**
 * A process that loads a context and saves it again and again, one version higher each time, until it is killed:
 * `saving-child.js <JSON>`. Writes a line with the version whenever a save was acknowledged.
 */
import { writeSync } from 'node:fs';
import type { Failpoint } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { fill, managerOf, wholeVersion } from './context-world.js';

export interface SavingOptions {
  readonly root: string;
  readonly roots?: Readonly<Record<string, string>>;
  readonly globalContextPath?: string;
  /** The numbers of messages to save, in turn. */
  readonly messageCounts: readonly number[];
  /** Where the process kills itself. */
  readonly failpoint?: Failpoint;
}

const options: SavingOptions = JSON.parse(process.argv[2] ?? '');
const { root, roots = {}, globalContextPath, messageCounts, failpoint } = options;
const store = await openStore(root, { roots, ...(failpoint === undefined ? {} : { failpoint }) });
const manager = managerOf(store, globalContextPath === undefined ? {} : { globalContextPath });
let version = (await manager.load()) ? wholeVersion(manager) : 0;
for (;;) {
  version += 1;
  fill(manager, version, messageCounts[version % messageCounts.length]);
  await manager.save();
  writeSync(1, `${version}\n`);
}
