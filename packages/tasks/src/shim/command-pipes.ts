/**
 * Real pipes for a command. What Node calls pipes are sockets: a command cannot open those as `/dev/stderr`, and each
 * chunk that is read from them is a new piece of memory. There is no call for pipes in Node, but `mkfifo` makes them
 * with names, which are gone as soon as both ends are open. Where there is no `mkfifo`, sockets will do.
 */

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { type OnReadOpts, Socket } from 'node:net';

const makeMsMax = 5000;
const chunkBytes = 64 * 1024;

export interface CommandPipe {
  /** Our end; it does not block. */
  readonly own: number;
  /** The command's end; it blocks, as commands expect. */
  readonly command: number;
}

export interface CommandPipes {
  readonly stdin?: CommandPipe;
  readonly stdout: CommandPipe;
  readonly stderr: CommandPipe;
}

/** `undefined` where they cannot be had. */
export function openPipes(
  directory: string,
  { withStdin }: { readonly withStdin: boolean },
): CommandPipes | undefined {
  const [stdin, stdout, stderr] = ['stdin', 'stdout', 'stderr'].map((name) => `${directory}/${name}.pipe`);
  if (stdin === undefined || stdout === undefined || stderr === undefined) return undefined;
  const paths = withStdin ? [stdin, stdout, stderr] : [stdout, stderr];
  try {
    const made = spawnSync('mkfifo', ['-m', '600', '--', ...paths], { stdio: 'ignore', timeout: makeMsMax });
    if (made.status !== 0) return undefined;
    return {
      stdout: openOutput(stdout),
      stderr: openOutput(stderr),
      ...(withStdin ? { stdin: openInput(stdin) } : {}),
    };
  } catch {
    return undefined;
  } finally {
    for (const path of paths) fs.rmSync(path, { force: true });
  }
}

/** When the command has them, or could not be spawned. */
export function closeCommandEnds({ stdin, stdout, stderr }: CommandPipes): void {
  for (const pipe of [stdin, stdout, stderr]) if (pipe !== undefined) fs.closeSync(pipe.command);
}

/** Hands over what it reads in one buffer, again and again. */
export function readPipe({ own }: CommandPipe, take: (chunk: Buffer) => void): Socket {
  const onread: OnReadOpts = {
    buffer: Buffer.alloc(chunkBytes),
    callback: (bytes, buffer) => {
      take(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
      return true;
    },
  };
  const options = { fd: own, readable: true, writable: false, onread };
  const socket = new Socket(options);
  // So that it comes to its end.
  return socket.resume();
}

export function writePipe({ own }: CommandPipe): Socket {
  return new Socket({ fd: own, readable: false, writable: true });
}

// The first end must not wait for the other one; the other one then need not.

function openOutput(path: string): CommandPipe {
  const own = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  return { own, command: fs.openSync(path, fs.constants.O_WRONLY) };
}

function openInput(path: string): CommandPipe {
  const first = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const own = fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
  const command = fs.openSync(path, fs.constants.O_RDONLY);
  fs.closeSync(first);
  return { own, command };
}
