/**
 * What a check can find. The table is the one place that says how bad each kind is and what it means; codes are part of the
 * public surface. A note is something to know, and no error. docs/check.md shows the table, and a test compares them.
 */

import type { TransactionId } from '@forewrit/core';

export type Severity = 'error' | 'warning' | 'note';

interface Kind {
  readonly severity: Severity;
  readonly meaning: string;
}

export const findingKinds = {
  'log-damaged': {
    severity: 'error',
    meaning:
      'The log cannot be trusted, so the store is not opened. The files themselves can be read as ever.',
  },
  'log-missing': {
    severity: 'error',
    meaning:
      'The log is gone and the rest is there, so the store is not opened. The files can be read as ever.',
  },
  'store-mismatch': {
    severity: 'error',
    meaning:
      'Log and tree are of different stores: recovery by this log would change files it knows nothing of.',
  },
  'format-unsupported': {
    severity: 'error',
    meaning: 'Another version of Forewrit wrote this store. It is not damaged.',
  },
  'no-permission': {
    severity: 'error',
    meaning: 'This user may not do here what has to be done, so not everything could be looked at.',
  },
  'not-readable': {
    severity: 'error',
    meaning: 'The system could not read a part of the store. The disk may be failing.',
  },
  'reset-unfinished': {
    severity: 'error',
    meaning:
      'A reset of the log was interrupted. What it has set aside is whole; the rest is still to be done.',
  },
  'creation-unfinished': {
    severity: 'warning',
    meaning: 'The process that made this store died before there was a log. No save was ever made here.',
  },
  'identity-missing': {
    severity: 'warning',
    meaning: 'Nothing shows that this log belongs to this tree. The next open writes it down again.',
  },
  'flush-failed': {
    severity: 'warning',
    meaning:
      'The disk has refused a flush of the log. What was acknowledged is safe; look at the health of the disk.',
  },
  'transaction-blocked': {
    severity: 'error',
    meaning:
      'It is committed and can go neither forward nor back by itself. Its files are locked until it is settled.',
  },
  'content-missing': {
    severity: 'error',
    meaning: 'A committed save cannot be carried out: its new content is gone. None of its files is touched.',
  },
  'content-damaged': {
    severity: 'error',
    meaning:
      'A committed save cannot be carried out: its new content is not what was staged. None of its files is touched.',
  },
  'path-escapes': {
    severity: 'error',
    meaning: 'A committed save cannot be carried out: the way to its file leads out of the store now.',
  },
  'place-unreachable': {
    severity: 'error',
    meaning: 'A committed save cannot be carried out: the root or file system of a file is not there.',
  },
  'recovery-pending': {
    severity: 'error',
    meaning: 'A process died in the middle of a save. Until recovery has run, files may be of two versions.',
  },
  'checkpoint-pending': {
    severity: 'warning',
    meaning:
      'The files are in place. Recovery makes them durable, or what a power cut has taken back whole, and lets the log go.',
  },
  'lock-dead-owner': {
    severity: 'error',
    meaning: 'Its files are locked until recovery has run, which the next open does.',
  },
  'lock-orphaned': {
    severity: 'error',
    meaning: 'Nobody will ever let go of it, and whoever writes there waits in vain.',
  },
  'owner-dead': {
    severity: 'warning',
    meaning:
      'It did not close the store. It left nothing half done; its registration goes with the next open.',
  },
  'durable-copy-missing': {
    severity: 'warning',
    meaning:
      'A power cut before the next checkpoint could lose this content, for which there is no second copy now.',
  },
  'before-missing': {
    severity: 'warning',
    meaning: 'This save can no longer be taken back. It can be carried out.',
  },
  'staging-missing': {
    severity: 'error',
    meaning: 'What was staged over time under this id is gone and cannot be continued.',
  },
  'staging-damaged': {
    severity: 'error',
    meaning: 'What was staged over time under this id is not what was written, and will not be adopted.',
  },
  'staging-overdue': {
    severity: 'note',
    meaning: 'Nobody has continued it within its age limit: the next recovery removes it.',
  },
  'staged-orphan': {
    severity: 'warning',
    meaning: 'Nobody will ask for it: what a process that died had staged and not committed. It takes space.',
  },
  'before-orphan': {
    severity: 'warning',
    meaning: 'Nobody needs it any more: old content whose transaction is finished. It takes space.',
  },
  'spare-orphan': {
    severity: 'warning',
    meaning: 'Empty files that a process made ahead of need and did not live to use.',
  },
  'socket-stale': {
    severity: 'warning',
    meaning: 'Nobody listens there and nobody registered it: the process died while it opened the store.',
  },
  leftover: {
    severity: 'warning',
    meaning: 'A process died while it opened the store for the first time. Nobody needs it.',
  },
  'foreign-name': {
    severity: 'warning',
    meaning: 'Forewrit did not make it and will not touch it. Nothing but the store belongs there.',
  },
  'place-missing': {
    severity: 'warning',
    meaning: 'The next open makes it again. What was in it is gone.',
  },
  'place-taken': {
    severity: 'error',
    meaning:
      'Something else stands where the store needs a place of its own, and it cannot be opened to write.',
  },
  permissions: {
    severity: 'warning',
    meaning: 'Either others may read or change what is the store’s own, or its owner may not.',
  },
  'foreign-owner': {
    severity: 'warning',
    meaning:
      'It belongs to another user than the store does, most likely after a command that was run as root.',
  },
  'area-missing': {
    severity: 'note',
    meaning: 'The store has staged files there before. It is not mounted, or its root was not given.',
  },
  'kept-aside': {
    severity: 'note',
    meaning: 'Content that was met and not destroyed: compare it with the file in its place, then delete it.',
  },
  'set-aside': {
    severity: 'note',
    meaning: 'Evidence of a reset of the log. Delete it when nobody needs it any more.',
  },
  'file-damaged': {
    severity: 'error',
    meaning:
      'Bytes have rotted: the content is not what was saved, though nobody has touched the file’s time.',
  },
  'file-changed': {
    severity: 'warning',
    meaning:
      'Another program has written it since the last save. That is allowed, and the record is out of date.',
  },
  'file-missing': {
    severity: 'warning',
    meaning:
      'Another program has removed it since the last save. That is allowed, and the record is out of date.',
  },
  'file-unreadable': {
    severity: 'error',
    meaning: 'It could not be compared with its recorded checksum.',
  },
  'history-missing': {
    severity: 'warning',
    meaning:
      'No file of yours depends on it. The transaction cannot be undone: what it replaced is not kept any more.',
  },
  'history-damaged': {
    severity: 'warning',
    meaning:
      'No file of yours depends on it. The transaction cannot be undone: bytes have rotted, or a program has written there.',
  },
  'history-unreadable': {
    severity: 'warning',
    meaning: 'What is kept for undo could not be compared with what history says of it.',
  },
} as const satisfies Readonly<Record<string, Kind>>;

export type FindingCode = keyof typeof findingKinds;

export interface Remedy {
  /** The words of the command that mends it. Absent where no command can. */
  readonly command?: readonly string[];
  /** Other ways, which a person may prefer. */
  readonly alternatives?: readonly (readonly string[])[];
  /** What a person has to do or decide. */
  readonly advice?: string;
}

export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly path?: string;
  readonly transaction?: TransactionId;
  /** What was seen. */
  readonly message: string;
  readonly meaning: string;
  readonly remedy: Remedy;
}

export function finding(
  code: FindingCode,
  { message, remedy, ...where }: Pick<Finding, 'path' | 'transaction' | 'message' | 'remedy'>,
): Finding {
  return {
    code,
    severity: findingKinds[code].severity,
    ...where,
    message,
    meaning: findingKinds[code].meaning,
    remedy,
  };
}

/** A note is none. */
export function isError({ severity }: Finding): boolean {
  return severity !== 'note';
}

/** The command of this project on this store. */
export function forewrit(root: string, ...words: readonly string[]): readonly string[] {
  return ['forewrit', ...words, '--root', root];
}

const namesShownMax = 3;

/** The first few, and how many more. */
export function shown(names: readonly string[], count = names.length): string {
  const first = names.slice(0, namesShownMax).join(', ');
  return count <= namesShownMax ? first : `${first} and ${count - namesShownMax} more`;
}
