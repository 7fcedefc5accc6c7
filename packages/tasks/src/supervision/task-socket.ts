/**
 * Connects to a shim's socket, however long the path of its directory: on Linux through a descriptor of the directory,
 * elsewhere through a symbolic link that lives as long as the connecting takes.
 */

import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { randomUUID } from 'node:crypto';
import { NodeFileSystem } from '@forewrit/core';
import { socketName } from '../shim/task-files.js';

/** `sun_path` without the byte that ends it, of the platform with the shortest. */
const socketPathBytesMax = 103;

export interface TaskSocketOptions {
  /** As shim.json has it: absolute, or absent for the directory's own. */
  readonly recorded?: string | undefined;
  readonly platform?: NodeJS.Platform;
}

/** Rejects as `connect` does. */
export async function connectTask(
  directory: string,
  { recorded, platform = process.platform }: TaskSocketOptions = {},
): Promise<Socket> {
  const path = recorded ?? `${directory}/${socketName}`;
  if (recorded !== undefined || Buffer.byteLength(path) <= socketPathBytesMax) return connected(path);
  const fileSystem = new NodeFileSystem();
  if (platform === 'linux') {
    const descriptor = fileSystem.openRead(directory);
    try {
      return await connected(`/proc/self/fd/${descriptor}/${socketName}`);
    } finally {
      fileSystem.close(descriptor);
    }
  }
  const link = `${tmpdir()}/fw-${randomUUID().slice(0, 13)}`;
  fileSystem.symlink(directory, link);
  try {
    return await connected(`${link}/${socketName}`);
  } finally {
    fileSystem.unlink(link);
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
