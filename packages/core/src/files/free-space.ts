/** Saves leave a reserve of the disk free: the log must never meet a full one, and neither should anybody else. */

import { StoreError } from '../errors.js';
import type { FileSystem } from './file-system.js';
import { defaults } from '../store/options.js';

/** A small disk keeps this part of itself free instead of `reserveBytes`. */
const reservePart = 1 / 20;

export interface StoreSpace {
  /** What an unprivileged program may still use. */
  readonly availableBytes: number;
  readonly totalBytes: number;
  /** Saves leave so much of it free. */
  readonly reserveBytes: number;
}

export function spaceOf(
  fileSystem: FileSystem,
  directory: string,
  reserveBytes: number = defaults.reserveBytes,
): StoreSpace {
  const { availableBytes, totalBytes } = fileSystem.space(directory);
  return {
    availableBytes,
    totalBytes,
    reserveBytes: Math.min(reserveBytes, Math.floor(totalBytes * reservePart)),
  };
}

export function requireSpace(
  fileSystem: FileSystem,
  directory: string,
  wanted: { readonly op: string; readonly bytes: number; readonly reserveBytes: number | undefined },
): void {
  const { op, bytes } = wanted;
  const { availableBytes, reserveBytes: reserve } = spaceOf(fileSystem, directory, wanted.reserveBytes);
  if (availableBytes - reserve >= bytes) return;
  throw new StoreError('ERR_NO_SPACE', `Not enough space: ${bytes} bytes needed, ${availableBytes} free`, {
    op,
    hint: `Free some space; ${reserve} bytes are kept in reserve. Nothing was changed.`,
  });
}
