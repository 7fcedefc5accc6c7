/** Compares what history keeps with its checksums. Reads only. */

import {
  beforePath,
  checksumOfFile,
  findHistory,
  type HistoryRow,
  type HistoryTarget,
  lookVolume,
  newestHistory,
  type StoreAccess,
  systemCode,
  transactionId,
  type VerifyReport,
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
  const { path, before, below, kept, volume: place } = target;
  const of = `what history keeps of it, from transaction ${transactionId(row.number)},`;
  try {
    const volume = lookVolume(fileSystem, roots, place);
    if (volume === undefined)
      return { path, problem: 'unreadable', detail: `${of} is on a file system that is not there` };
    const top = beforePath(volume, kept!);
    if (fileSystem.lstat(top)?.type !== before.type)
      return { path, problem: 'missing', detail: `${of} is gone` };
    const files =
      before.type === 'file'
        ? [{ file: top, checksum: before.checksum }]
        : (below ?? []).flatMap(({ name, type, checksum }) =>
            type === 'file' ? [{ file: `${top}/${name}`, checksum }] : [],
          );
    for (const { file, checksum } of files) {
      if (fileSystem.lstat(file) === undefined)
        return { path, problem: 'missing', detail: `${of} is not whole` };
      if (checksumOfFile(fileSystem, file) !== checksum)
        return { path, problem: 'damaged', detail: `${of} is not what it was` };
    }
    return undefined;
  } catch (error) {
    return {
      path,
      problem: 'unreadable',
      detail: `${of} cannot be read: ${systemCode(error) ?? String(error)}`,
    };
  }
}
