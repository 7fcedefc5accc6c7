/** What an error that a verb ended with means, and the command that mends it: the same words as a check finds for it. */

import {
  eachPiece,
  type FileSystem,
  type FileStat,
  mountOf,
  NodeFileSystem,
  parseMountTable,
  storeLayout,
  StoreError,
  systemCode,
} from '@forewrit/core';
import { finding, type Finding, type FindingCode, findingKinds, forewrit, type Remedy } from './finding.js';
import { takenPlaces } from './taken.js';

export interface Explanation {
  readonly meaning: string;
  readonly remedy: Remedy;
}

export interface ExplainOptions {
  /** The directory of the store. */
  readonly root: string;
  /** The words of the command that failed, to be repeated as somebody else. By default a check. */
  readonly words?: readonly string[];
  readonly fileSystem?: FileSystem;
}

const readOnlyMeaning = 'The file system is mounted read-only, so nothing in the store can be changed here.';

/** `undefined` for what is no matter of the store's health. */
export function explain(error: StoreError, options: ExplainOptions): Explanation | undefined {
  const taken = takenBehind(error, options);
  if (taken !== undefined) return taken;
  const code = codeOf(error, options);
  if (code !== undefined) {
    const isReadOnly = causeOf(error) === 'EROFS';
    const meaning = isReadOnly ? readOnlyMeaning : findingKinds[code].meaning;
    return { meaning, remedy: remedyOf(code, error, options) };
  }
  const { root } = options;
  switch (error.code) {
    case 'ERR_STORE_LOCKED':
      return {
        meaning: 'Another process is in the way. Nothing was changed.',
        remedy: {
          command: forewrit(root, 'status'),
          advice: 'It shows who has the store open. Let that process go on or end it, then try again.',
        },
      };
    case 'ERR_APPLY_BLOCKED':
      return {
        meaning: findingKinds['transaction-blocked'].meaning,
        remedy: {
          command: forewrit(root, 'check'),
          advice: 'It names the transaction and how to settle it.',
        },
      };
    case 'ERR_RECOVERY_REQUIRED':
      return {
        meaning: findingKinds['recovery-pending'].meaning,
        remedy: { command: forewrit(root, 'recover') },
      };
    case 'ERR_NO_SPACE':
      return {
        meaning:
          error.op === 'reset'
            ? 'The disk is full. Nothing is lost: what was set aside is whole, and a reset that has begun goes on later.'
            : 'The log must never meet a full disk, so the store stops a little early. Nothing was changed.',
        remedy: { command: ['df', '-h', root], advice: 'Free some space there, then try again.' },
      };
    default:
      return undefined;
  }
}

/** The same as a finding of a check, for a store that could not be looked at further. */
export function findingOfError(error: StoreError, options: ExplainOptions): Finding {
  const taken = takenBehind(error, options);
  if (taken !== undefined) return taken;
  const code = codeOf(error, options) ?? 'not-readable';
  return finding(code, {
    ...(error.path === undefined ? {} : { path: error.path }),
    message: error.message,
    remedy: remedyOf(code, error, options),
  });
}

/** What the system answers where a place of the store's own is taken by something else. */
const codesOfTaken: ReadonlySet<string> = new Set([
  'ERR_NOT_DIRECTORY',
  'ERR_IS_DIRECTORY',
  'ERR_EXISTS',
  'ERR_INVALID_PATH',
  'ERR_IO',
]);

function takenBehind(
  { code }: StoreError,
  { root, fileSystem = new NodeFileSystem() }: ExplainOptions,
): Finding | undefined {
  return codesOfTaken.has(code) ? takenPlaces(root, fileSystem)[0] : undefined;
}

function codeOf(
  error: StoreError,
  { root, fileSystem = new NodeFileSystem() }: ExplainOptions,
): FindingCode | undefined {
  switch (error.code) {
    case 'ERR_LOG_CORRUPT':
      return 'log-damaged';
    case 'ERR_STORE_MISMATCH':
      return hasLog(root, fileSystem) ? 'store-mismatch' : 'log-missing';
    case 'ERR_UNSUPPORTED_FORMAT':
      return 'format-unsupported';
    case 'ERR_PERMISSION':
      return 'no-permission';
    case 'ERR_IO':
      return 'not-readable';
    default:
      return undefined;
  }
}

function hasLog(root: string, fileSystem: FileSystem): boolean {
  return quietly(() => fileSystem.lstat(`${storeLayout(root).log}/data.mdb`)) !== undefined;
}

function remedyOf(code: FindingCode, error: StoreError, options: ExplainOptions): Remedy {
  const { root, words = ['check'] } = options;
  switch (code) {
    case 'log-damaged':
    case 'log-missing':
    case 'store-mismatch':
      return {
        command: forewrit(root, 'recover', '--reset-log', '--yes'),
        advice:
          code === 'log-damaged'
            ? 'A backup of .forewrit that was made while the store was closed can be put back instead. The command sets ' +
              'the log aside and begins a new one with the files as they are.'
            : 'If the log that belongs here is somewhere, put it back instead. The command sets aside what is there and ' +
              'begins a new log with the files as they are.',
      };
    case 'format-unsupported':
      return {
        command: ['npm', 'install', '--global', 'forewrit@latest'],
        advice: 'Open the store with the version that wrote it, or a newer one.',
      };
    case 'no-permission':
      return permissionRemedy(error, { root, words, fileSystem: options.fileSystem ?? new NodeFileSystem() });
    default:
      return {
        command: forewrit(root, 'check'),
        advice: 'Look at the health of the disk and at the messages of the kernel, then check again.',
      };
  }
}

function permissionRemedy(
  error: StoreError,
  { root, words, fileSystem }: { root: string; words: readonly string[]; fileSystem: FileSystem },
): Remedy {
  if (causeOf(error) === 'EROFS') {
    const command = ['mount', '-o', 'remount,rw', mountPointOf(fileSystem, root)];
    return { command, advice: 'The file system is mounted read-only.' };
  }
  const { directory, log } = storeLayout(root);
  for (const place of [directory, log, `${log}/data.mdb`, `${log}/lock.mdb`]) {
    const stat = quietly(() => fileSystem.lstat(place));
    if (stat === undefined) continue;
    if (stat.uid !== (process.getuid?.() ?? stat.uid)) return asOwner(stat, forewrit(root, ...words));
    const wanted = stat.type === 'directory' ? 0o700 : 0o600;
    if ((stat.mode & wanted) !== wanted)
      return { command: ['chmod', stat.type === 'directory' ? '700' : '600', place] };
  }
  return { advice: `Give this user the right to write to the directory that holds '${error.path ?? root}'.` };
}

function asOwner({ uid }: FileStat, command: readonly string[]): Remedy {
  return {
    command: ['sudo', '-u', `#${uid}`, ...command],
    advice: `The store belongs to the user with the number ${uid}: run it as that one.`,
  };
}

/** What the system answered underneath. */
function causeOf(error: unknown): string | undefined {
  let code: string | undefined;
  for (let at = error; at instanceof Error; at = at.cause)
    if (!(at instanceof StoreError)) code ??= systemCode(at);
  return code;
}

function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function mountPointOf(fileSystem: FileSystem, path: string): string {
  const table = quietly(() => readTable(fileSystem, '/proc/self/mountinfo')) ?? '';
  return mountOf(parseMountTable(table), path)?.mountPoint ?? path;
}

/** What is in /proc has no size. */
function readTable(fileSystem: FileSystem, path: string): string {
  const descriptor = fileSystem.openRead(path);
  try {
    const pieces: Buffer[] = [];
    eachPiece(fileSystem, descriptor, (piece) => pieces.push(Buffer.from(piece)));
    return Buffer.concat(pieces).toString('utf8');
  } finally {
    fileSystem.close(descriptor);
  }
}
