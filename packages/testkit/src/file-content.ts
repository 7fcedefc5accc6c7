/** Changes to the content of a simulated file, whole or as a power cut leaves them. */
import type { Inode } from './simulated-inode.js';

/**
 * What a power cut may leave of one write that was not flushed. Size and content are independent of each other, and
 * so is each sector:
 *
 * - `lost`: nothing of it
 * - `whole`: all of it
 * - `size-only`: size and time, no content: zeros where the file grew, the old bytes elsewhere
 * - `data-only`: the bytes within the old size, but neither size nor time
 * - `first-half`, `second-half`: size and time, and the sectors before or after the middle
 * - `short`: what comes before the middle, and the file ends there
 */
export type WriteOutcome =
  | 'lost'
  | 'whole'
  | 'size-only'
  | 'data-only'
  | 'first-half'
  | 'second-half'
  | 'short';

export interface PendingBytes {
  readonly position: number;
  /** Never changed after it was handed over: contents share it. */
  readonly bytes: Uint8Array;
  readonly timeNs: bigint;
}

/** The outcomes that differ for such a write, `lost` and `whole` first. `size` is that of the file before it. */
export function outcomesOf(write: PendingBytes, size: number, sectorBytes: number): readonly WriteOutcome[] {
  const end = write.position + write.bytes.length;
  const tears = splitOf(write, sectorBytes) !== undefined;
  if (write.position >= size) return tears ? appendTorn : append;
  if (end <= size) return tears ? overwriteTorn : overwrite;
  return tears ? straddleTorn : straddle;
}

const append: readonly WriteOutcome[] = ['lost', 'whole', 'size-only'];
const appendTorn: readonly WriteOutcome[] = [...append, 'first-half', 'second-half', 'short'];
const overwrite: readonly WriteOutcome[] = ['lost', 'whole', 'size-only', 'data-only'];
const overwriteTorn: readonly WriteOutcome[] = [...overwrite, 'first-half', 'second-half'];
const straddle: readonly WriteOutcome[] = overwrite;
const straddleTorn: readonly WriteOutcome[] = [...overwriteTorn, 'short'];

/** The sector boundary nearest to the middle of the write; `undefined` if none lies inside it. */
function splitOf({ position, bytes }: PendingBytes, sectorBytes: number): number | undefined {
  const end = position + bytes.length;
  let split = Math.ceil((position + bytes.length / 2) / sectorBytes) * sectorBytes;
  if (split >= end) split -= sectorBytes;
  return split > position ? split : undefined;
}

/** Applies one outcome. The inode must be the caller's own. */
export function applyOutcome(
  inode: Inode,
  write: PendingBytes,
  { outcome, sectorBytes }: { readonly outcome: WriteOutcome; readonly sectorBytes: number },
): void {
  if (outcome === 'lost') return;
  const { position, bytes } = write;
  const end = position + bytes.length;
  const middle = (splitOf(write, sectorBytes) ?? end) - position;
  if (outcome === 'data-only') {
    if (position < inode.size) writeBytes(inode, position, bytes.subarray(0, inode.size - position));
    return;
  }
  inode.mtimeNs = write.timeNs;
  switch (outcome) {
    case 'whole':
      writeBytes(inode, position, bytes);
      return;
    case 'size-only':
      resize(inode, Math.max(inode.size, end));
      return;
    case 'first-half':
      resize(inode, Math.max(inode.size, end));
      writeBytes(inode, position, bytes.subarray(0, middle));
      return;
    case 'second-half':
      resize(inode, Math.max(inode.size, end));
      writeBytes(inode, position + middle, bytes.subarray(middle));
      return;
    case 'short':
      writeBytes(inode, position, bytes.subarray(0, middle));
      return;
    default:
      unreachable(outcome);
  }
}

/** Size and time survive, and of the content each sector for which `keeps` says so. */
export function applyScatter(
  inode: Inode,
  write: PendingBytes,
  { keeps, sectorBytes }: { readonly keeps: (sector: number) => boolean; readonly sectorBytes: number },
): void {
  const { position, bytes } = write;
  const end = position + bytes.length;
  inode.mtimeNs = write.timeNs;
  resize(inode, Math.max(inode.size, end));
  for (let sector = Math.floor(position / sectorBytes); sector * sectorBytes < end; sector += 1) {
    if (!keeps(sector)) continue;
    const from = Math.max(sector * sectorBytes, position);
    const to = Math.min((sector + 1) * sectorBytes, end);
    writeBytes(inode, from, bytes.subarray(from - position, to - position));
  }
}

/** Keeps `bytes` itself as the content where it can: it must never change afterwards. */
export function writeBytes(inode: Inode, position: number, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  const end = position + bytes.length;
  if (position === 0 && inode.size <= end) {
    inode.bytes = bytes;
    inode.ownsBytes = false;
    inode.size = end;
    return;
  }
  reserve(inode, Math.max(inode.size, end));
  inode.bytes.set(bytes, position);
  if (end > inode.size) inode.size = end;
}

/** Cuts the file, or fills it up with zeros. */
export function resize(inode: Inode, size: number): void {
  if (size < inode.size) {
    if (inode.ownsBytes) inode.bytes.fill(0, size, inode.size);
    else inode.bytes = inode.bytes.subarray(0, size);
  } else if (size > inode.size) {
    reserve(inode, size);
  }
  inode.size = size;
}

function reserve(inode: Inode, capacity: number): void {
  if (inode.ownsBytes && inode.bytes.length >= capacity) return;
  // Doubling keeps a file that is written in many pieces from being copied for each of them.
  const length = inode.ownsBytes ? Math.max(capacity, inode.bytes.length * 2) : capacity;
  const bytes = new Uint8Array(length);
  bytes.set(inode.bytes.subarray(0, inode.size));
  inode.bytes = bytes;
  inode.ownsBytes = true;
}

function unreachable(outcome: never): never {
  throw new Error(`Simulated disk: unknown outcome ${String(outcome)}`);
}
