/**
 * What is, was or will be at a path. A fingerprint recognises a file without reading it; it never contains ctime or
 * the link count (linking and renaming change them), and no device number (not stable across boots).
 */

import type { FileStat } from '../files/file-system.js';

export interface Fingerprint {
  readonly ino: bigint;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly birthtimeNs: bigint;
}

export type Image =
  | { readonly type: 'absent' }
  | {
      readonly type: 'file';
      readonly fingerprint: Fingerprint;
      readonly mode: number;
      /** xxh64 of the content; absent when nobody has read the file. */
      readonly checksum?: bigint;
    }
  /** `ino` is absent where any directory will do. */
  | { readonly type: 'directory'; readonly ino?: bigint; readonly mode?: number }
  | { readonly type: 'symlink'; readonly fingerprint: Fingerprint }
  | { readonly type: 'other'; readonly fingerprint: Fingerprint };

export const absent: Image = Object.freeze({ type: 'absent' });

export function fingerprintOf(stat: FileStat): Fingerprint {
  return { ino: stat.ino, size: stat.size, mtimeNs: stat.mtimeNs, birthtimeNs: stat.birthtimeNs };
}

export function imageOf(stat: FileStat | undefined, checksum?: bigint): Image {
  if (stat === undefined) return absent;
  switch (stat.type) {
    case 'file':
      return checksum === undefined
        ? { type: 'file', fingerprint: fingerprintOf(stat), mode: stat.mode }
        : { type: 'file', fingerprint: fingerprintOf(stat), mode: stat.mode, checksum };
    case 'directory':
      return { type: 'directory', ino: stat.ino, mode: stat.mode };
    case 'symlink':
    case 'other':
      return { type: stat.type, fingerprint: fingerprintOf(stat) };
  }
}

export function sameFingerprint(a: Fingerprint, b: Fingerprint): boolean {
  return (
    a.ino === b.ino &&
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    // A copy of the disk or another kernel may know a birth time where the first did not.
    (a.birthtimeNs === b.birthtimeNs || a.birthtimeNs === 0n || b.birthtimeNs === 0n)
  );
}

/** Is what `stat` shows still this image? Directories are the same while their inode is. */
export function showsImage(stat: FileStat | undefined, image: Image): boolean {
  if (stat === undefined) return image.type === 'absent';
  if (image.type === 'absent' || image.type !== stat.type) return false;
  if (image.type === 'directory') return image.ino === undefined || image.ino === stat.ino;
  return sameFingerprint(image.fingerprint, fingerprintOf(stat));
}

/**
 * The fingerprint of content that is in no file yet: it is that of no file there can be. Its time is not before that of any
 * file that was there when it was saved: what comes back in a power cut must not pass for newer.
 */
export function fingerprintInLog(size: number, savedAtMs: number): Fingerprint {
  return { ino: 0n, size, mtimeNs: BigInt(Math.floor(savedAtMs) + 1) * 1_000_000n, birthtimeNs: 0n };
}

/** Content that the log alone has. */
export function isInLogOnly(image: Image): image is Extract<Image, { type: 'file' }> {
  return image.type === 'file' && image.fingerprint.ino === 0n;
}

export function inodeOf(image: Image): bigint | undefined {
  if (image.type === 'absent') return undefined;
  return image.type === 'directory' ? image.ino : image.fingerprint.ino;
}
