/** What `stat` tells of a file: as `node:fs` does, and what the log knows of it. */

import { formatChecksum } from '../record/checksum.js';
import { StoreError } from '../errors.js';
import type { FileType } from '../files/file-system.js';
import type { StorePath } from '../path/path.js';
import type { ReadFile } from './reader.js';
import { partSize } from '../plan/operation.js';
import type { WorkingNode } from '../plan/working-tree.js';

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

/** Of what a transaction has written and not yet committed. */
export function statOfNode(node: WorkingNode, path: StorePath): StoreStat {
  switch (node.type) {
    case 'absent':
      throw new StoreError('ERR_NOT_FOUND', `There is nothing at '${path}'`, { op: 'stat', path });
    case 'directory':
      return { type: 'directory', size: 0, mode: node.mode ?? 0o777, mtimeMs: 0 };
    case 'file': {
      const begun = node.inode === undefined && node.copyOf === undefined ? 0 : (node.like?.size ?? 0);
      const size = node.parts.reduce((sum, part) => sum + partSize(part), begun);
      return { type: 'file', size, mode: node.mode ?? node.like?.mode ?? 0o666, mtimeMs: 0 };
    }
    case 'symlink':
    case 'other':
      return { type: node.type, size: 0, mode: 0o777, mtimeMs: 0 };
  }
}
