/** Whole contents over the narrow file-system calls: loops over short reads and writes, checksums as bytes pass. */

import { RunningChecksum } from '../record/checksum.js';
import type { Descriptor, FileSystem } from './file-system.js';

const pieceBytes = 1 << 20;
/** Most files are small, and a buffer for each of ten thousand is to be cheap. */
const firstPieceBytes = 1 << 16;

/** Writes all of `bytes` at `position`; a file system that stops taking bytes without an error is one (`EIO`). */
export function writeFully(
  fileSystem: FileSystem,
  descriptor: Descriptor,
  bytes: Uint8Array,
  position: number,
): void {
  let done = 0;
  while (done < bytes.byteLength) {
    const rest = done === 0 ? bytes : bytes.subarray(done);
    const written = fileSystem.write(descriptor, rest, position + done);
    if (written <= 0) {
      throw Object.assign(new Error('the file system took none of the bytes'), {
        code: 'EIO',
        syscall: 'write',
      });
    }
    done += written;
  }
}

export function readFully(fileSystem: FileSystem, descriptor: Descriptor, size: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(size);
  let done = 0;
  while (done < size) {
    const count = fileSystem.read(descriptor, done === 0 ? bytes : bytes.subarray(done), done);
    if (count === 0) return bytes.subarray(0, done);
    done += count;
  }
  return bytes;
}

export function readFileAt(fileSystem: FileSystem, path: string): Uint8Array {
  const descriptor = fileSystem.openRead(path);
  try {
    return readFully(fileSystem, descriptor, fileSystem.stat(descriptor).size);
  } finally {
    fileSystem.close(descriptor);
  }
}

/**
 * Calls `use` for each piece of a file, or of its first bytes, in order. The piece is only valid during the call. Returns how
 * many bytes there were.
 */
export function eachPiece(
  fileSystem: FileSystem,
  descriptor: Descriptor,
  use: (piece: Uint8Array, position: number) => void,
  bytesMax = Number.POSITIVE_INFINITY,
): number {
  let buffer = Buffer.allocUnsafe(Math.min(bytesMax, firstPieceBytes));
  let position = 0;
  while (position < bytesMax) {
    const left = bytesMax - position;
    const count = fileSystem.read(
      descriptor,
      left < buffer.length ? buffer.subarray(0, left) : buffer,
      position,
    );
    if (count === 0) break;
    use(count < buffer.length ? buffer.subarray(0, count) : buffer, position);
    position += count;
    if (count === firstPieceBytes) buffer = Buffer.allocUnsafe(Math.min(bytesMax - position, pieceBytes));
  }
  return position;
}

export function checksumOfDescriptor(
  fileSystem: FileSystem,
  descriptor: Descriptor,
  bytesMax?: number,
): bigint {
  const checksum = new RunningChecksum();
  eachPiece(fileSystem, descriptor, (piece) => checksum.update(piece), bytesMax);
  return checksum.digest();
}

/** Of the first bytes of it, where a limit is given. */
export function checksumOfFile(fileSystem: FileSystem, path: string, bytesMax?: number): bigint {
  const descriptor = fileSystem.openRead(path);
  try {
    return checksumOfDescriptor(fileSystem, descriptor, bytesMax);
  } finally {
    fileSystem.close(descriptor);
  }
}

/** What link(2) answers where a file system, or this file, takes no further link. */
export const linkRefusals: ReadonlySet<string> = new Set([
  'EPERM',
  'EACCES',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EMLINK',
  'ENOSYS',
  'EINVAL',
]);

/** A second file with the content, mode and owner of the first (a symbolic link: with its target); durable on return. */
export function copyDurably(fileSystem: FileSystem, from: string, to: string): void {
  if (fileSystem.lstat(from)?.type === 'symlink') {
    fileSystem.symlink(fileSystem.readlink(from), to);
    return;
  }
  const source = fileSystem.openRead(from);
  try {
    const copy = fileSystem.create(to, 0o600);
    try {
      const stat = fileSystem.stat(source);
      eachPiece(fileSystem, source, (piece, position) => writeFully(fileSystem, copy, piece, position));
      const own = fileSystem.stat(copy);
      if (own.uid !== stat.uid || own.gid !== stat.gid) fileSystem.chown(copy, stat);
      fileSystem.chmod(copy, stat.mode);
      fileSystem.sync(copy);
    } finally {
      fileSystem.close(copy);
    }
  } finally {
    fileSystem.close(source);
  }
}

/** On return the file's content is durable. */
export function syncFile(fileSystem: FileSystem, path: string): void {
  const descriptor = fileSystem.openRead(path);
  try {
    fileSystem.sync(descriptor);
  } finally {
    fileSystem.close(descriptor);
  }
}
