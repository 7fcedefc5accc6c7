/** Whole contents over the narrow file-system calls: loops over short reads and writes, checksums as bytes pass. */

import { RunningChecksum } from './checksum.js';
import type { Descriptor, FileSystem } from './file-system.js';

const pieceBytes = 1 << 20;

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
      throw Object.assign(new Error('the file system took none of the bytes'), { code: 'EIO' });
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

/** Calls `use` for each piece of a file, in order. The piece is only valid during the call. */
export function eachPiece(
  fileSystem: FileSystem,
  descriptor: Descriptor,
  use: (piece: Uint8Array, position: number) => void,
): number {
  const buffer = Buffer.allocUnsafe(pieceBytes);
  let position = 0;
  for (;;) {
    const count = fileSystem.read(descriptor, buffer, position);
    if (count === 0) return position;
    use(buffer.subarray(0, count), position);
    position += count;
  }
}

export function checksumOfDescriptor(fileSystem: FileSystem, descriptor: Descriptor): bigint {
  const checksum = new RunningChecksum();
  eachPiece(fileSystem, descriptor, (piece) => checksum.update(piece));
  return checksum.digest();
}

export function checksumOfFile(fileSystem: FileSystem, path: string): bigint {
  const descriptor = fileSystem.openRead(path);
  try {
    return checksumOfDescriptor(fileSystem, descriptor);
  } finally {
    fileSystem.close(descriptor);
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
