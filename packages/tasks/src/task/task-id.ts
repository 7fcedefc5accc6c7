/**
 * Ids of tasks: the microsecond of their creation, then chance. So the order of the ids is the order of creation, and a
 * page of the newest is a range of keys. Lower case and digits only: an id is the name of a directory.
 */

import { randomBytes } from 'node:crypto';
import { InvalidArgumentError } from '@forewrit/core';

const timeDigits = 11;
const chanceDigits = 6;
const pattern = /^[0-9a-z]{17}$/;
/** Of tasks that were taken over from elsewhere. */
const aliasPattern = /^[\w.:-]{1,128}$/;

export class TaskIds {
  #lastUs = 0;

  /** Never the same twice, and never before one that this object gave out earlier, whatever the clock does. */
  next(nowMs: number, chance: string = randomChance()): string {
    this.#lastUs = Math.max(this.#lastUs + 1, Math.floor(nowMs * 1000));
    return taskIdAt(this.#lastUs / 1000, chance);
  }
}

export function taskIdAt(atMs: number, chance: string): string {
  return (
    Math.max(0, Math.round(atMs * 1000))
      .toString(36)
      .padStart(timeDigits, '0') + chance.slice(0, chanceDigits).padStart(chanceDigits, '0')
  );
}

export function isTaskId(text: string): boolean {
  return pattern.test(text);
}

/** @throws InvalidArgumentError if it can be no task's id, and none of a task that was imported */
export function checkTaskId(op: string, id: unknown): string {
  if (typeof id === 'string' && aliasPattern.test(id)) return id;
  throw new InvalidArgumentError(op, 'the id of a task is the text that start() gave in `id`');
}

export function randomChance(): string {
  return BigInt(`0x${randomBytes(8).toString('hex')}`).toString(36);
}
