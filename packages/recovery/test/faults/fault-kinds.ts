/** In which ways a call of a seam can fail, and with which codes a store may answer. */

import { type ErrorCode, StoreError } from '@forewrit/core';
import type { Fault, FaultCode, FileSystemMethod } from '@forewrit/testkit';
import type { LogFault } from '../faulty-log.js';

type FileSystemKind = { readonly name: string; readonly methods?: ReadonlySet<string> } & (
  | { readonly error: FaultCode; readonly after?: boolean }
  | { readonly shortWrite: number }
);

const changing: ReadonlySet<string> = new Set<FileSystemMethod>([
  'create',
  'write',
  'chmod',
  'chown',
  'sync',
  'syncDirectory',
  'link',
  'rename',
  'unlink',
  'makeDirectory',
  'removeDirectory',
  'chmodPath',
  'symlink',
]);
const writing: ReadonlySet<string> = new Set(['write']);

/** A flush that fails once and succeeds the next time is `EIO` at a `sync`: the simulated disk drops its pages. */
export const fileSystemKinds: readonly FileSystemKind[] = [
  { name: 'EIO', error: 'EIO' },
  { name: 'ENOSPC', error: 'ENOSPC' },
  { name: 'EACCES', error: 'EACCES' },
  { name: 'EBUSY', error: 'EBUSY' },
  { name: 'EMFILE', error: 'EMFILE' },
  { name: 'EIO, and done', error: 'EIO', after: true, methods: changing },
  { name: 'one byte', shortWrite: 1, methods: writing },
  { name: 'no byte', shortWrite: 0, methods: writing },
];

interface LogKind {
  readonly name: string;
  readonly methods: ReadonlySet<string>;
  readonly fault: () => LogFault;
  readonly code?: ErrorCode;
}

const commit: ReadonlySet<string> = new Set(['commit']);
const view: ReadonlySet<string> = new Set(['view']);

function refused(code: ErrorCode, when: 'before' | 'building', methods: ReadonlySet<string>): LogKind {
  const fault = (): LogFault => ({ error: new StoreError(code, 'injected', { op: 'commit' }), when });
  return { name: `${code} ${when === 'before' ? 'before' : 'while building'}`, methods, fault, code };
}

export const logKinds: readonly LogKind[] = [
  refused('ERR_NO_SPACE', 'before', commit),
  refused('ERR_LOG_FULL', 'before', commit),
  refused('ERR_STORE_LOCKED', 'before', commit),
  refused('ERR_LOG_CORRUPT', 'building', commit),
  { name: 'flush failed, lost', methods: commit, fault: () => ({ flush: 'lost' }) },
  { name: 'flush failed, kept', methods: commit, fault: () => ({ flush: 'kept' }) },
  refused('ERR_LOG_CORRUPT', 'before', view),
  refused('ERR_IO', 'before', view),
];

export type Kind = FileSystemKind | LogKind;

export function isLogKind(kind: Kind): kind is LogKind {
  return 'fault' in kind;
}

export function kindsOf(seam: 'file system' | 'log', method: string): readonly Kind[] {
  const kinds: readonly Kind[] = seam === 'log' ? logKinds : fileSystemKinds;
  return kinds.filter(({ methods }) => methods === undefined || methods.has(method));
}

const direct: Readonly<Partial<Record<FaultCode, ErrorCode>>> = {
  EIO: 'ERR_IO',
  ENOSPC: 'ERR_NO_SPACE',
  EACCES: 'ERR_PERMISSION',
  EBUSY: 'ERR_IO',
  EMFILE: 'ERR_IO',
};

/** What is said of a fault that came after the commit, or whose outcome nobody knows. */
const consequences: ReadonlySet<string> = new Set<ErrorCode>([
  'ERR_APPLY_ROLLED_BACK',
  'ERR_APPLY_BLOCKED',
  'ERR_STORE_POISONED',
]);

/** Whether a store may answer a fault of this kind so. */
export function isRightCode(kind: Kind, { code }: StoreError): boolean {
  if (consequences.has(code)) return true;
  // The flush of a log that was only just opened poisons nothing.
  if (isLogKind(kind)) return code === (kind.code ?? 'ERR_IO');
  return code === ('error' in kind ? direct[kind.error] : 'ERR_IO');
}

export function fileSystemFault(kind: FileSystemKind, at: Fault['at']): Fault {
  const place = { at, sticky: true };
  return 'error' in kind
    ? { ...place, error: kind.error, after: kind.after ?? false }
    : { ...place, shortWrite: kind.shortWrite };
}
