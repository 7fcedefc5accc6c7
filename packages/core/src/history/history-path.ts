/** What a transaction did to each path, in words for people. */

import type { HistoryRow, HistoryTarget } from '../record/history-row.js';
import type { Image } from '../record/image.js';
import type { StorePath } from '../path/path.js';

export interface HistoryPath {
  readonly path: StorePath;
  readonly did:
    | 'created'
    | 'written'
    | 'moved'
    | 'removed'
    | 'directory-made'
    | 'directory-moved'
    | 'directory-removed';
  /** Where it was moved from. */
  readonly from?: StorePath;
  /** Of the file as it was left. */
  readonly sizeBytes?: number;
  /** Of the file that was replaced or removed; of all files in a directory. */
  readonly sizeBytesBefore?: number;
}

export function whatWasDone({ targets }: HistoryRow): HistoryPath[] {
  const sources = new Set(targets.flatMap(({ action, from }) => (action === 'move' ? [from] : [])));
  return targets
    .filter(({ action, path, kept }) => !(action === 'remove' && kept === undefined && sources.has(path)))
    .map((target) => {
      const { action, path, from, before, after, below } = target;
      const files = below?.filter(({ type }) => type === 'file');
      const held = files?.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) ?? sizeOf(before);
      const size = sizeOf(after);
      const isMove = action === 'move' || action === 'move-directory';
      return {
        path,
        did: didTo(target),
        ...(isMove && from !== undefined ? { from } : {}),
        ...(size === undefined ? {} : { sizeBytes: size }),
        ...(held === undefined ? {} : { sizeBytesBefore: held }),
      };
    });
}

function didTo({ action, before, from }: HistoryTarget): HistoryPath['did'] {
  const made = before.type === 'absent' ? 'created' : 'written';
  switch (action) {
    case 'write':
      return made;
    case 'move':
      return from === undefined ? made : 'moved';
    case 'remove':
      return 'removed';
    case 'make-directory':
    case 'make-parent':
      return 'directory-made';
    case 'move-directory':
      return from === undefined ? 'directory-made' : 'directory-moved';
    case 'remove-directory':
      return 'directory-removed';
  }
}

function sizeOf(image: Image): number | undefined {
  return image.type === 'file' ? image.fingerprint.size : undefined;
}
