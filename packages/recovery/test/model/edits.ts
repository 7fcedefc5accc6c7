/** Programs that know nothing of the store. */

import { syncFile } from '@forewrit/core';
import type { FileSystemCall } from '@forewrit/testkit';
import { blind, edit as replace, root, type World } from '../world.js';
import type { Edit } from './program.js';
import { parentOf } from './state.js';

export function canEditBefore({ method }: FileSystemCall): boolean {
  return !blind.has(method);
}

/** What the file holds afterwards; no content if it is deleted. */
export interface Edited {
  readonly content: string | undefined;
}

/** `undefined` where that is not possible. */
export function editFromOutside(
  { outside, disk }: World,
  { path, how, flushed }: Edit,
  text: string,
): Edited | undefined {
  const absolute = `${root}/${path}`;
  const directory = `${root}/${parentOf(path)}`.replace(/\/$/, '');
  const type = outside.lstat(absolute)?.type;
  if (outside.lstat(directory)?.type !== 'directory') return undefined;
  if (type === 'directory' || (type === undefined && how === 'delete')) return undefined;
  disk.clock.advance(5);
  // A power cut has left it.
  if (outside.lstat(`${absolute}~`) !== undefined) outside.unlink(`${absolute}~`);
  if (how === 'delete') outside.unlink(absolute);
  else if (how === 'in place' && type === 'file') {
    const descriptor = outside.openWrite(absolute);
    outside.truncate(descriptor, 0);
    outside.write(descriptor, Buffer.from(text), 0);
    outside.close(descriptor);
  } else replace(outside, path, text);
  disk.clock.advance(5);
  const edited = { content: how === 'delete' ? undefined : text };
  if (!flushed) return edited;
  if (how !== 'delete') syncFile(outside, absolute);
  outside.syncDirectory(directory);
  return edited;
}
