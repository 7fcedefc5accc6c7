/**
 * How many files may be kept open until their checkpoint. Linux tells the process its limit (Node has raised the soft
 * one to the hard one by then); half of it is left to everything else.
 */

import { readTextFile } from './node-file-system.js';

const budgetMax = 16_384;
/** Where nobody tells: half of what macOS gives a process. */
const budgetUnknown = 1024;

/** The limit of a running process stays what it is. */
let ownLimits: string | undefined;

export function descriptorBudget(limits = (ownLimits ??= readTextFile('/proc/self/limits') ?? '')): number {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  if (soft === undefined) return budgetUnknown;
  return soft === 'unlimited' ? budgetMax : Math.min(Math.floor(Number(soft) / 2), budgetMax);
}
