import { constants } from 'node:os';

const messages: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBADF: 'bad file descriptor',
  EBUSY: 'resource busy or locked',
  EDQUOT: 'disk quota exceeded',
  EEXIST: 'file already exists',
  EFBIG: 'file too large',
  EINVAL: 'invalid argument',
  EIO: 'i/o error',
  EISDIR: 'illegal operation on a directory',
  ELOOP: 'too many symbolic links encountered',
  EMFILE: 'too many open files',
  EMLINK: 'too many links',
  ENAMETOOLONG: 'name too long',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  ENOTSUP: 'operation not supported on socket',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
  EXDEV: 'cross-device link not permitted',
};

export interface SystemErrorContext {
  readonly syscall: string;
  readonly path?: string | undefined;
  readonly dest?: string | undefined;
}

const errnos: Readonly<Record<string, number>> = constants.errno;

/** An error as Node's file system calls throw it. */
export function systemError(
  code: string,
  { syscall, path, dest }: SystemErrorContext,
): NodeJS.ErrnoException {
  const where = path === undefined ? '' : ` '${path}'${dest === undefined ? '' : ` -> '${dest}'`}`;
  const error: NodeJS.ErrnoException = new Error(
    `${code}: ${messages[code] ?? 'simulated error'}, ${syscall}${where}`,
  );
  error.code = code;
  error.syscall = syscall;
  const errno = errnos[code];
  if (errno !== undefined) error.errno = -errno;
  if (path !== undefined) error.path = path;
  return dest === undefined ? error : Object.assign(error, { dest });
}
