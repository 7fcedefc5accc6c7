/** Every file against its recorded checksum. Others may be writing meanwhile: what looks wrong is looked at again. */

import {
  absolutePath,
  type FileRow,
  fileRow,
  isStoreError,
  type LogView,
  pathKey,
  type StoreAccess,
} from '@forewrit/core';
import { verifyRow } from '../verify.js';
import { finding, type Finding, type FindingCode, forewrit } from './finding.js';

/** A save moves on within moments; whoever holds a lock for longer is met by other checks. */
const looksMax = 5;
const pauseMs = 20;
const everything = { start: new Uint8Array(0) };

const codes = {
  damaged: 'file-damaged',
  changed: 'file-changed',
  missing: 'file-missing',
  unreadable: 'file-unreadable',
} as const satisfies Record<string, FindingCode>;

export interface FilesChecked {
  readonly files: number;
  readonly findings: readonly Finding[];
}

export interface FilesLook {
  readonly root: string;
  readonly progress: (done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
}

export async function checkFiles(
  access: StoreAccess,
  { root, progress, signal }: FilesLook,
): Promise<FilesChecked> {
  const rows = access.log.view(filesOf);
  const findings: Finding[] = [];
  for (const [index, row] of rows.entries()) {
    signal?.throwIfAborted();
    progress(index, rows.length);
    const found = await checkFile(access, row);
    if (found !== undefined) findings.push(describe(root, access, found));
    // Others have their turn: a signal, for instance.
    await new Promise(setImmediate);
  }
  return { files: rows.length, findings };
}

/** Rows that cannot be read are a finding of the log. */
function filesOf(view: LogView): FileRow[] {
  return view.range('files', everything).flatMap(([key, value]) => {
    try {
      const row = fileRow.decode(key, value);
      return row.image.type === 'file' ? [row] : [];
    } catch (error) {
      if (!isStoreError(error)) throw error;
      return [];
    }
  });
}

type Found = NonNullable<ReturnType<typeof verifyRow>>;

async function checkFile(access: StoreAccess, first: FileRow): Promise<Found | undefined> {
  let row = first;
  for (let look = 0; look < looksMax; look += 1) {
    const found = verifyRow(access, row);
    if (found === undefined) return undefined;
    const now = standing(access, row);
    // Removed by a newer save.
    if (now === undefined) return undefined;
    if (now.row.revision === row.revision && !now.locked) return found;
    row = now.row;
    await new Promise((resolve) => {
      setTimeout(resolve, pauseMs);
    });
  }
  // It is being saved again and again, or waits for recovery: the log knows better than the file.
  return undefined;
}

function standing(
  { log, folding }: StoreAccess,
  { path }: FileRow,
): { readonly row: FileRow; readonly locked: boolean } | undefined {
  const key = pathKey(path, folding);
  return log.view((view) => {
    const value = view.get('files', key);
    const row = value === undefined ? undefined : fileRow.decode(key, value);
    return row?.image.type === 'file' ? { row, locked: view.get('locks', key) !== undefined } : undefined;
  });
}

function describe(root: string, { roots }: StoreAccess, { path, problem, detail }: Found): Finding {
  const code = codes[problem];
  const message = `'${path}': ${detail}`;
  if (problem === 'unreadable') {
    const command = ['ls', '-ld', absolutePath(path, roots)];
    return finding(code, {
      path,
      message,
      remedy: { command, advice: 'Give this user the right to read it, then check again.' },
    });
  }
  const advice =
    problem === 'damaged'
      ? 'Put the file back from a backup if there is one. Then, or if it is right as it is, the command records it so.'
      : 'The command records the file as it is now. Or put back what was there, or save it anew.';
  return finding(code, {
    path,
    message,
    remedy: { command: acceptCommand(root, path), advice },
  });
}

/** Its name may look like an option. */
function acceptCommand(root: string, path: string): readonly string[] {
  const command = forewrit(root, 'accept', '--yes');
  return path.startsWith('-') ? [...command, '--', path] : [...command, path];
}
