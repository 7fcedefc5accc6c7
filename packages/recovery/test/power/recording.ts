/** A disk image under record, as long as this lives: the other side of `recorder-child.ts`. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { TestProcess } from '@forewrit/testkit/child-process';
import { type DeviceEntry, decodeJournal } from './device-journal.js';
import type { RecorderMessage, RecorderRequest } from './recorder-child.js';

const script = new URL('./recorder-child.js', import.meta.url);

export class Recording implements AsyncDisposable {
  /** The image, to be mounted through a loop device. */
  readonly path: string;
  readonly #journal: string;
  readonly #child: TestProcess<RecorderMessage>;

  private constructor(request: RecorderRequest) {
    this.path = request.point;
    this.#journal = request.journal;
    this.#child = new TestProcess<RecorderMessage>(script, { request });
  }

  /** From now on what is written to the recording is written to the image, too. */
  static async of(image: string): Promise<Recording> {
    const [point, journal] = [`${image}.recorded`, `${image}.journal`];
    writeFileSync(point, '');
    rmSync(journal, { force: true });
    const recording = new Recording({ image, point, journal });
    try {
      await recording.#child.next('mounted');
    } catch (error) {
      await recording[Symbol.asyncDispose]();
      throw error;
    }
    return recording;
  }

  /** Everything so far. */
  entries(): DeviceEntry[] {
    const failure = this.#child.messages.find(({ type }) => type === 'failed');
    if (failure !== undefined) throw new Error(`the recorder failed: ${JSON.stringify(failure)}`);
    return decodeJournal(readFileSync(this.#journal));
  }

  /** Whoever still uses the file gets errors from then on; nobody waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    spawnSync('umount', ['-l', this.path], { timeout: 5000 });
    await this.#child.kill();
  }
}
