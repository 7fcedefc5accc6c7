/** What the disk itself takes: one page written over what is there, and flushed. Times are compared in units of it. */

import fs from 'node:fs';
import path from 'node:path';

const pageBytes = 4096;
const pages = 256;

export class Probe {
  readonly #descriptor: number;
  readonly #page = Buffer.alloc(pageBytes);
  #next = 0;

  constructor(directory: string) {
    this.#descriptor = fs.openSync(path.join(directory, 'probe'), 'w');
    fs.writeSync(this.#descriptor, Buffer.alloc(pages * pageBytes));
    fs.fsyncSync(this.#descriptor);
  }

  flush(): number {
    this.#page.fill(this.#next % 256);
    const startedMs = performance.now();
    fs.writeSync(this.#descriptor, this.#page, 0, pageBytes, (this.#next % pages) * pageBytes);
    fs.fdatasyncSync(this.#descriptor);
    this.#next += 1;
    return performance.now() - startedMs;
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }
}
