/** Whole contents over the calls of the caller's own thread: loops over short writes. */

import type { AsyncFileSystem } from '../files/async-file-system.js';
import type { Descriptor } from '../files/file-system.js';

/** Writes all of `bytes` at `position`; a file system that stops taking bytes without an error is one (`EIO`). */
export async function writeFullyInTime(
  fileSystem: AsyncFileSystem,
  descriptor: Descriptor,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const written = await fileSystem.write(descriptor, bytes.subarray(done), position + done);
    if (written <= 0)
      throw Object.assign(new Error('the file system took none of the bytes'), { code: 'EIO' });
    done += written;
  }
}
