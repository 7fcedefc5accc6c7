/** A store that is damaged on purpose, and the tools to damage it with. */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type LogBatch, NodeFileSystem, openLmdbLog } from '@forewrit/core';
import { openStore, type Store, type StoreOptions } from '#src/index.js';
import { StoreWorld } from '../store-world.js';

/** Whatever is in it, a shell must get it whole. */
const name = "it's a store";

export const firstFiles = { 'a.txt': 'old a\n', 'd/b.txt': 'old b\n', 'd/c.txt': 'old c\n' } as const;
export const firstEntries = { one: { said: 'entry one' }, two: { said: 'entry two' } } as const;

export class DamagedStore extends StoreWorld {
  readonly own: string;
  readonly log: string;
  readonly data: string;

  constructor() {
    super(name);
    this.own = `${this.root}/.forewrit`;
    this.log = `${this.own}/log`;
    this.data = `${this.log}/data.mdb`;
  }

  /** Three files and two entries, saved and closed in an orderly way. */
  async fill(): Promise<void> {
    await this.use(async (store) => {
      await store.writeFiles(firstFiles);
      await store.transact((transaction) => {
        for (const [key, value] of Object.entries(firstEntries)) transaction.put('notes', key, value);
      });
    });
  }

  async use(body: (store: Store) => Promise<void>, options: StoreOptions = {}): Promise<void> {
    const store = await openStore(this.root, { committer: 'inline', ...options });
    await body(store);
    await store.close();
  }

  /** Rows as no process writes them. */
  editLog(body: (batch: LogBatch) => void): void {
    const log = openLmdbLog({
      directory: this.log,
      fileSystem: new NodeFileSystem(),
      queueToken: `1.1.another-boot.none.${process.hrtime.bigint()}`,
      isTokenAlive: () => false,
      mustExist: true,
    });
    log.commit(body);
    log.close();
  }

  /** Turns one bit of the byte at the end of each place where the log has this text. */
  flipBit(text: string): void {
    const log = readFileSync(this.data);
    let flipped = 0;
    for (let at = log.indexOf(text); at !== -1; at = log.indexOf(text, at + 1)) {
      log[at + text.length - 1]! ^= 1;
      flipped += 1;
    }
    if (flipped === 0) throw new Error(`the log does not hold '${text}'`);
    this.overwrite(this.data, log, 0);
  }

  /** In place: the same inode. */
  overwrite(file: string, bytes: Uint8Array, position: number): void {
    const descriptor = openSync(file, 'r+');
    writeSync(descriptor, bytes, 0, bytes.byteLength, position);
    closeSync(descriptor);
  }

  /** Other bytes of the same number, and no trace in its times. */
  rot(path: string): void {
    const file = `${this.root}/${path}`;
    const reference = `${this.directory}/times`;
    writeFileSync(reference, '');
    const copyTimes = (from: string, to: string): void => void execFileSync('touch', ['-r', from, to]);
    copyTimes(file, reference);
    this.overwrite(file, Buffer.alloc(statSync(file).size, '?'), 0);
    copyTimes(reference, file);
  }

  make(path: string): void {
    mkdirSync(`${this.own}/${path}`, { recursive: true, mode: 0o700 });
  }

  touch(path: string, text = ''): void {
    writeFileSync(`${this.own}/${path}`, text, { mode: 0o600, flag: 'wx' });
  }

  /** A socket in the directory of the log whose process was killed. */
  async leaveSocket(socket: string): Promise<void> {
    const script = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
    // Its path may be longer than that of a socket may be.
    const child = spawn(process.execPath, ['-e', script, socket], { cwd: this.log, stdio: 'ignore' });
    await once(child, 'exit');
    if (!existsSync(`${this.log}/${socket}`)) throw new Error('there is no socket');
  }
}
