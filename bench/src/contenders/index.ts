/** Everybody, in the order in which they are shown. */

import { atomically, steno, writeFileAtomic } from './atomic-files.js';
import type { Contender } from './contender.js';
import { betterSqlite3, classicLevel, lmdbFlushed, lmdbSync } from './databases.js';
import { forewrit, forewritDeferred, forewritRelaxed } from './forewrit.js';
import { limit } from './limit.js';
import { type NamedContender, plainReads, recursiveRemove, writeStream } from './single.js';
import { jsonFile, sqliteTasks } from './task-keepers.js';
import { fsyncAtOnce, fsyncInTurn, writeFileAtOnce, writeFileInTurn } from './plain-files.js';

export const contenders: readonly Contender[] = [
  forewrit,
  forewritDeferred,
  forewritRelaxed,
  limit,
  writeFileInTurn,
  writeFileAtOnce,
  fsyncInTurn,
  fsyncAtOnce,
  writeFileAtomic,
  atomically,
  steno,
  betterSqlite3,
  lmdbSync,
  lmdbFlushed,
  classicLevel,
];

/** Everybody that results can name, with what can be relied on. */
export const namedContenders: readonly NamedContender[] = [
  ...contenders,
  writeStream,
  plainReads,
  recursiveRemove,
  jsonFile,
  sqliteTasks,
];

/** For many savers at once: without those that wait for one file after the other, and the floor, which is for one saver. */
export const forManySavers: readonly Contender[] = contenders.filter(
  (contender) => ![limit, writeFileInTurn, fsyncInTurn].includes(contender),
);
