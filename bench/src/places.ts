/** Where it is measured: the disk that the project is on, and as root an ext4 with a journal and an xfs, each made for it. */

import fs from 'node:fs';
import path from 'node:path';
import { prepareMount, whyNoMount } from '@forewrit/testkit/mounts';

export const placeNames = ['plain', 'ext4', 'xfs'] as const;
export type PlaceName = (typeof placeNames)[number];

/** Sparse: what is not written takes no room. */
const imageBytes = 8 * 2 ** 30;

export interface Place {
  readonly name: PlaceName;
  /** Where the file system is, for whoever runs under it. */
  readonly directory: string;
  readonly under: readonly string[];
}

/** A place in an empty directory, or why it cannot be had. */
export function preparePlace(name: PlaceName, directory: string): Place | { readonly reason: string } {
  fs.mkdirSync(directory, { recursive: true });
  if (name === 'plain') return { name, directory, under: [] };
  const reason = whyNoMount(name);
  if (reason !== undefined) return { reason };
  const mount = prepareMount(name, directory, { imageBytes });
  return { name, directory: mount.path, under: mount.under };
}

/** What a file system is called that is in a file on another. */
export function describePlace(name: PlaceName, fileSystem: string): string {
  return name === 'plain' ? fileSystem : `${fileSystem}, on a loop device`;
}

export function workDirectory(base: string): string {
  fs.mkdirSync(base, { recursive: true });
  return fs.mkdtempSync(path.join(base, 'run-'));
}
