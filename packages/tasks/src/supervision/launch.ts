/** Starts a shim, hands it its order, and waits for its one answer. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { dirname } from 'node:path';
import { fromSystemError, hasCode, NodeAsyncFileSystem, NodeFileSystem, StoreError } from '@forewrit/core';
import { nonceVariable } from '../shim/processes.js';
import { encodeLine, LineCutter, type LaunchAnswer, type LaunchMessage } from '../shim/wire.js';
import type { ShimIdentity } from './supervisor.js';

/**
 * V8's own threads would only collect garbage, of which a small heap has little. The thread pool is for name look-ups and
 * asynchronous file calls: there are none.
 */
const nodeFlags = ['--v8-pool-size=0', '--max-semi-space-size=1', '--max-old-space-size=64'];
const directoryMode = 0o700;

/** What Node itself may need to start, and the way to `mkfifo`. Everything else of the engine's environment is for the command, if for anybody. */
const inheritedNames = [
  'PATH',
  'LD_LIBRARY_PATH',
  'DYLD_LIBRARY_PATH',
  'TMPDIR',
  'TEMP',
  'TMP',
  'SystemRoot',
  'ComSpec',
  // Whoever measures what of the code is run means the shims as well.
  'NODE_V8_COVERAGE',
];

export interface LaunchOptions {
  readonly nodePath: string;
  readonly timeoutMs: number;
}

export async function launchShim(
  directory: string,
  message: LaunchMessage,
  { nodePath, timeoutMs }: LaunchOptions,
): Promise<ShimIdentity> {
  await makeTaskDirectory(directory);
  const main = fileURLToPath(new URL('../shim/main.js', import.meta.url));
  const shim = spawn(nodePath, [...nodeFlags, main, directory], {
    cwd: directory,
    env: shimEnvironment(message.order.nonce),
    // A session of its own: what is sent to our process group or terminal does not reach it.
    detached: true,
    windowsHide: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const { stdin, stdout } = shim;
  let timer: NodeJS.Timeout | undefined;
  try {
    const answer = await new Promise<LaunchAnswer>((resolve, reject) => {
      const lines = new LineCutter();
      timer = setTimeout(() => reject(noAnswer(`did not answer within ${timeoutMs} ms`)), timeoutMs);
      shim.once('error', (error) => reject(fromSystemError(error, { op: 'launch', path: nodePath })));
      // It ends before it has read all if it has nothing to do.
      stdin.on('error', () => undefined);
      stdout.on('data', (chunk: Buffer) => {
        const line = lines.push(chunk)?.[0];
        if (line !== undefined) resolve(JSON.parse(line) as LaunchAnswer);
      });
      stdout.once('close', () => reject(noAnswer('ended before it answered')));
      stdin.end(encodeLine(message));
    });
    return settled(answer, directory);
  } finally {
    clearTimeout(timer);
    stdin.destroy();
    stdout.destroy();
    shim.on('error', () => undefined);
    shim.unref();
  }
}

function settled(answer: LaunchAnswer, directory: string): ShimIdentity {
  switch (answer.type) {
    case 'settled':
      return answer.shim;
    case 'claimed':
      throw new StoreError('ERR_CONFLICT', 'somebody else has decided that this launch is not to be', {
        op: 'launch',
        path: directory,
        hint: 'Look at the task again; start it anew if it should run.',
      });
    case 'failed':
      throw fromSystemError(Object.assign(new Error(answer.message), { code: answer.code }), {
        op: 'launch',
        path: directory,
      });
  }
}

/** Makes it, and what is missing above it, durably: a launch that is forgotten would be taken for one that never was. */
export async function makeTaskDirectory(directory: string): Promise<void> {
  const fileSystem = new NodeFileSystem();
  const missing: string[] = [];
  for (let path = directory; fileSystem.lstat(path) === undefined; path = dirname(path)) missing.push(path);
  for (const path of missing.toReversed()) {
    try {
      fileSystem.makeDirectory(path, directoryMode);
      fileSystem.chmodPath(path, directoryMode);
    } catch (error) {
      // Another task, or an observer.
      if (!hasCode(error, new Set(['EEXIST']))) throw fromSystemError(error, { op: 'launch', path });
    }
    await syncDirectory(dirname(path));
  }
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const files = new NodeAsyncFileSystem();
  const descriptor = await files.openRead(path);
  try {
    await files.sync(descriptor);
  } finally {
    await files.close(descriptor);
  }
}

function shimEnvironment(nonce: string): NodeJS.ProcessEnv {
  const inherited = inheritedNames
    .map((name) => [name, process.env[name]] as const)
    .filter(([, value]) => value !== undefined);
  return {
    ...Object.fromEntries(inherited),
    UV_THREADPOOL_SIZE: '1',
    // For the moment in which the command is forked and does not have its own yet.
    [nonceVariable]: nonce,
    ...(process.versions['electron'] === undefined ? {} : { ELECTRON_RUN_AS_NODE: '1' }),
  };
}

function noAnswer(what: string): StoreError {
  return new StoreError('ERR_IO', `the shim of the task ${what}`, {
    op: 'launch',
    hint: 'Look at the task again: that decides whether the command runs.',
  });
}
