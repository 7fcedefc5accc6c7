/**
 * The witness of an owner: a socket with a path, on which its committer's thread listens. The kernel closes it with
 * the last thread that could still write, however that ends, so a refused connection proves death:
 *
 *     listening; also while stopped, or busy (the kernel queues)   connect → accepted
 *     the thread or process has ended, the file is there           connect → ECONNREFUSED
 *     no file, no right to it, a full queue, no answer in time     proves nothing
 *
 * Two things about it are not obvious. libuv removes the path that a socket was bound to when it closes it, and then
 * ENOENT would prove nothing: so it is bound to a temporary name and renamed, which the kernel does not mind. And a
 * socket's path has about 107 bytes: a longer one goes through a descriptor of the directory, in /proc.
 */

import { connect, createServer, type Server } from 'node:net';
import { systemCode } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import { NodeFileSystem } from '../files/node-file-system.js';

export type WitnessAnswer = 'refused' | 'accepted' | 'unknown';

export const witnessTimeoutMs = 250;

/** `sun_path` without the byte that ends it. */
const socketPathBytesMax = { linux: 107, others: 103 } as const;

export const witnessPrefix = 'witness-';
/** Left behind only by an open that died between two calls: to be swept. */
export const witnessTemporarySuffix = '.new';

export interface Witness {
  /** File name in its directory. */
  readonly name: string;
  /** Stops listening and leaves the file, so that whoever asks sees a death. Idempotent. */
  close(): Promise<void>;
  /** Stops listening and removes the file: nobody has a reason to ask. Idempotent. */
  remove(): Promise<void>;
}

export interface WitnessOptions {
  readonly fileSystem?: FileSystem;
  readonly platform?: NodeJS.Platform;
}

/**
 * Listens as `<directory>/witness-<owner>`; does not keep the process alive. `undefined` where that is impossible: on
 * Windows, on file systems without sockets, or if the path is too long and there is no /proc. An owner without a
 * witness is judged by its process alone.
 */
export async function openWitness(
  directory: string,
  owner: string,
  { fileSystem = new NodeFileSystem(), platform = process.platform }: WitnessOptions = {},
): Promise<Witness | undefined> {
  if (platform === 'win32') return undefined;
  const name = `${witnessPrefix}${owner}`;
  const temporary = `${name}${witnessTemporarySuffix}`;
  const path = `${directory}/${name}`;
  let server: Server;
  try {
    unlinkIfThere(fileSystem, `${directory}/${temporary}`);
    server = await throughShortPath(directory, { name: temporary, fileSystem, platform }, listen);
  } catch {
    return undefined;
  }
  try {
    fileSystem.rename(`${directory}/${temporary}`, path);
  } catch {
    // Closing removes the temporary name as well.
    await closed(server);
    return undefined;
  }
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closed(server));
  return {
    name,
    close,
    async remove() {
      await close();
      unlinkIfThere(fileSystem, path);
    },
  };
}

/**
 * Asks the witness at `path`, for 250 ms at most. It may be asked while its thread is stopped; then each asking takes a
 * place in the kernel's queue until the thread goes on, and when that is full the answer is 'unknown'.
 */
export async function probeWitness(path: string, options: WitnessOptions = {}): Promise<WitnessAnswer> {
  const { fileSystem = new NodeFileSystem(), platform = process.platform } = options;
  if (platform === 'win32') return 'unknown';
  const slash = path.lastIndexOf('/');
  const directory = path.slice(0, Math.max(slash, 1));
  const name = path.slice(slash + 1);
  try {
    // Connecting to what is no socket is refused as well, and would pass for a proof.
    if (fileSystem.lstat(path)?.type !== 'other') return 'unknown';
    return await throughShortPath(directory, { name, fileSystem, platform }, ask);
  } catch {
    return 'unknown';
  }
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.destroy();
    });
    server.once('error', reject);
    // Without `exclusive` a worker of node:cluster would have its primary listen, and outlive itself.
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject);
      // Failing to accept (too many open files) changes nothing: the kernel has connected by then.
      server.on('error', () => undefined);
      resolve(server);
    });
    server.unref();
  });
}

function ask(path: string): Promise<WitnessAnswer> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (result: WitnessAnswer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(answer, witnessTimeoutMs, 'unknown');
    socket.once('connect', () => answer('accepted'));
    // Stays for errors after the answer.
    socket.on('error', (error) => answer(systemCode(error) === 'ECONNREFUSED' ? 'refused' : 'unknown'));
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

interface SocketPlace {
  readonly name: string;
  readonly fileSystem: FileSystem;
  readonly platform: NodeJS.Platform;
}

/** Calls `use` with a path of the socket that is short enough, valid until the promise settles. */
async function throughShortPath<T>(
  directory: string,
  { name, fileSystem, platform }: SocketPlace,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const path = `${directory}/${name}`;
  const bytesMax = platform === 'linux' ? socketPathBytesMax.linux : socketPathBytesMax.others;
  if (Buffer.byteLength(path) <= bytesMax) return use(path);
  if (platform !== 'linux') throw new Error('the path of the socket is too long');
  // Linux opens directories like files.
  const descriptor = fileSystem.openRead(directory);
  try {
    return await use(`/proc/self/fd/${descriptor}/${name}`);
  } finally {
    fileSystem.close(descriptor);
  }
}

function unlinkIfThere(fileSystem: FileSystem, path: string): void {
  if (fileSystem.lstat(path) !== undefined) fileSystem.unlink(path);
}
