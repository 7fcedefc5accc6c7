/** Saves leave a reserve of the disk free: the log must never meet a full one, and neither should anybody else. */

import { StoreError } from '../errors.js';
import type { FileSystem } from './file-system.js';
import { defaults } from '../store/options.js';

/** A small disk keeps this part of itself free instead of `reserveBytes`. */
const reservePart = 1 / 20;

export function requireSpace(
  fileSystem: FileSystem,
  directory: string,
  wanted: { readonly op: string; readonly bytes: number; readonly reserveBytes: number | undefined },
): void {
  const { op, bytes, reserveBytes = defaults.reserveBytes } = wanted;
  const { availableBytes, totalBytes } = fileSystem.space(directory);
  const reserve = Math.min(reserveBytes, Math.floor(totalBytes * reservePart));
  if (availableBytes - reserve >= bytes) return;
  throw new StoreError('ERR_NO_SPACE', `Not enough space: ${bytes} bytes needed, ${availableBytes} free`, {
    op,
    hint: `Free some space; ${reserve} bytes are kept in reserve. Nothing was changed.`,
  });
}
