/** Compares what history keeps with its rows: that it is there, of which type and size, and its checksums. Reads only. */

import {
  beforePath,
  checksumOfFile,
  type FileSystem,
  findHistory,
  type HistoryRow,
  type HistoryTarget,
  lookVolume,
  newestHistory,
  type StoreAccess,
  type StorePath,
  systemCode,
  transactionId,
  type VerifyReport,
  type Volume,
} from '@forewrit/core';

type Finding = VerifyReport['findings'][number];

const pageRows = 100;

export function verifyHistory(access: StoreAccess): {
  readonly checked: number;
  readonly findings: Finding[];
} {
  const findings: Finding[] = [];
  let checked = 0;
  let before: number | undefined;
  for (;;) {
    const page = access.log.view((view) => newestHistory(view, { before, limit: pageRows }));
    for (const row of page) {
      const kept = row.targets.filter((target) => target.kept !== undefined);
      checked += kept.length;
      const found = kept.flatMap((target) => check(access, row, target) ?? []);
      // It may have gone meanwhile.
      if (found.length > 0 && access.log.view((view) => findHistory(view, row.number)) !== undefined)
        findings.push(...found);
    }
    if (page.length < pageRows) return { checked, findings };
    before = page.at(-1)!.revision;
  }
}

function check(access: StoreAccess, row: HistoryRow, target: HistoryTarget): Finding | undefined {
  const { fileSystem, roots } = access;
  const { path } = target;
  const of = `what history keeps of it, from transaction ${transactionId(row.number)},`;
  let volume: Volume | undefined;
  try {
    volume = lookVolume(fileSystem, roots, target.volume);
  } catch (error) {
    return { path, problem: 'unreadable', detail: `${of} cannot be read: ${causeOf(error)}` };
  }
  if (volume === undefined)
    return { path, problem: 'unreadable', detail: `${of} is on a file system that is not there` };
  for (const found of lookAtKept({ fileSystem, volume, readData: true }, target)) {
    if (found === undefined) continue;
    const { problem, why } = found;
    const detail = found.path === path ? `${of} ${why}` : `${of} is not whole: '${found.path}' ${why}`;
    return { path, problem, detail };
  }
  return undefined;
}

/** Of one thing that is kept. */
export interface KeptProblem {
  /** Where it was in the tree. */
  readonly path: StorePath;
  readonly file: string;
  readonly problem: 'missing' | 'damaged' | 'unreadable';
  readonly why: string;
}

export interface KeptLook {
  readonly fileSystem: FileSystem;
  readonly volume: Volume;
  readonly readData: boolean;
}

/** Yields after each thing that is kept of a path: the problem with it, or nothing. */
export function* lookAtKept(look: KeptLook, target: HistoryTarget): Generator<KeptProblem | undefined> {
  const { path, before, below = [], kept } = target;
  if (kept === undefined) return;
  const top = beforePath(look.volume, kept);
  const found = problemAt(look, top, wantedAt(target));
  yield found === undefined ? undefined : { path, file: top, ...found };
  if (found !== undefined || before.type !== 'directory') return;
  for (const { name, type, sizeBytes, checksum } of below) {
    const file = `${top}/${name}`;
    const inside = problemAt(look, file, type === 'file' ? { type, sizeBytes, checksum } : { type });
    yield inside === undefined ? undefined : { path: `${path}/${name}`, file, ...inside };
  }
}

interface Wanted {
  readonly type: HistoryTarget['before']['type'];
  readonly sizeBytes?: number;
  readonly checksum?: bigint | undefined;
}

function wantedAt({ before }: HistoryTarget): Wanted {
  const { type } = before;
  if (before.type === 'file') return { type, sizeBytes: before.fingerprint.size, checksum: before.checksum };
  return before.type === 'symlink' ? { type, sizeBytes: before.fingerprint.size } : { type };
}

function problemAt(
  { fileSystem, readData }: KeptLook,
  file: string,
  { type, sizeBytes, checksum }: Wanted,
): Pick<KeptProblem, 'problem' | 'why'> | undefined {
  try {
    const stat = fileSystem.lstat(file);
    if (stat === undefined) return { problem: 'missing', why: 'is gone' };
    if (stat.type !== type) return { problem: 'damaged', why: `is of type ${stat.type}, and was of ${type}` };
    if (sizeBytes !== undefined && stat.size !== sizeBytes)
      return { problem: 'damaged', why: `has ${stat.size} bytes, and had ${sizeBytes}` };
    if (type !== 'file' || !readData || checksumOfFile(fileSystem, file) === checksum) return undefined;
    return { problem: 'damaged', why: 'fails its checksum' };
  } catch (error) {
    return { problem: 'unreadable', why: `cannot be read: ${causeOf(error)}` };
  }
}

function causeOf(error: unknown): string {
  return systemCode(error) ?? String(error);
}
