/** What `stat` tells of a file: as `node:fs` does, and what the log knows of it. */

import { formatChecksum } from './checksum.js';
import type { FileType } from './file-system.js';
import type { ReadFile } from './reader.js';

export interface StoreStat {
  readonly type: FileType;
  /** Bytes. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  readonly mtimeMs: number;
  /** Of the transaction that wrote this content; absent if no transaction did, or the file was edited since. */
  readonly revision?: number;
  /** xxh64 of the content, 16 hexadecimal digits; where `revision` is. */
  readonly checksum?: string;
}

export function statOfRead({ stat, row }: ReadFile): StoreStat {
  const { type, size, mode, mtimeNs } = stat!;
  const checksum = row?.image.type === 'file' ? row.image.checksum : undefined;
  return {
    type,
    size,
    mode,
    mtimeMs: Number(mtimeNs) / 1e6,
    ...(row === undefined ? {} : { revision: row.revision }),
    ...(checksum === undefined ? {} : { checksum: formatChecksum(checksum) }),
  };
}
