/**
 * Reads that interleave with the steps of a writer, deterministically. The code that writes is synchronous, so nothing
 * can run between its steps; what it leaves after each of them is kept instead, and a reader is shown one moment after
 * the other as it goes. At the end of the timeline it sees the present.
 */

import { type Descriptor, type FileSystem, type Log, MemoryLog } from '@forewrit/core';
import type { World } from '../world.js';

interface Frame {
  readonly fileSystem: FileSystem;
  readonly log: Log;
  /** Of the oracle. */
  readonly history: number;
}

export class Timeline {
  readonly frames: Frame[] = [];

  add(world: World, history: number): void {
    const fileSystem = world.disk.fork().mount();
    this.frames.push({ fileSystem, log: new MemoryLog(world.log.clone()), history });
  }
}

const viewsMany = 10;

interface Playing {
  readonly frames: readonly Frame[];
  readonly pace: number[];
  at: number;
  first: number | undefined;
}

/** A file system and a log as a reader has them: the present ones, or those of a timeline that is played. */
export class Window {
  readonly fileSystem: FileSystem;
  readonly log: Log;
  readonly #onEnd: () => void;
  readonly #opened = new Map<
    Descriptor,
    { readonly fileSystem: FileSystem; readonly descriptor: Descriptor }
  >();
  #playing: Playing | undefined;
  #nextDescriptor = 1_000_000;
  #views = 0;

  /** `onEnd`: a timeline has come to its end, or time goes by without one. */
  constructor(present: { readonly fileSystem: FileSystem; readonly log: Log }, onEnd: () => void) {
    this.#onEnd = onEnd;
    const reading: Partial<FileSystem> = {
      lstat: (path) => this.#look(present).fileSystem.lstat(path),
      list: (path) => this.#look(present).fileSystem.list(path),
      readlink: (path) => this.#look(present).fileSystem.readlink(path),
      openRead: (path) => {
        const { fileSystem } = this.#look(present);
        const descriptor = fileSystem.openRead(path);
        if (fileSystem === present.fileSystem) return descriptor;
        const own = this.#nextDescriptor++;
        this.#opened.set(own, { fileSystem, descriptor });
        return own;
      },
      stat: (own) => {
        const { fileSystem, descriptor } = this.#file(own, present);
        return fileSystem.stat(descriptor);
      },
      read: (own, into, position) => {
        const { fileSystem, descriptor } = this.#file(own, present);
        return fileSystem.read(descriptor, into, position);
      },
      close: (own) => {
        const { fileSystem, descriptor } = this.#file(own, present);
        this.#opened.delete(own);
        fileSystem.close(descriptor);
      },
    };
    this.fileSystem = overlaid(present.fileSystem, reading);
    this.log = overlaid<Log>(present.log, {
      view: (read) => {
        const { log } = this.#look(present);
        // Who looks again and again waits for something.
        if (log === present.log && (this.#views += 1) % viewsMany === 0) onEnd();
        return log.view(read);
      },
    });
  }

  /** `pace`: how many frames pass before each look; then all the others. */
  play({ frames }: Timeline, pace: readonly number[]): void {
    this.#playing = frames.length === 0 ? undefined : { frames, pace: [...pace], at: 0, first: undefined };
  }

  get isPlaying(): boolean {
    return this.#playing !== undefined;
  }

  /** The moments of the history at the first look and at the last; `undefined` for the present. */
  get shown(): { readonly first: number | undefined; readonly last: number | undefined } {
    const { frames, at, first } = this.#playing ?? {};
    return { first: first ?? this.#firstShown, last: frames?.[at!]?.history };
  }

  #firstShown: number | undefined;

  stop(): void {
    this.#playing = undefined;
    this.#firstShown = undefined;
  }

  #look(present: { readonly fileSystem: FileSystem; readonly log: Log }): Pick<Frame, 'fileSystem' | 'log'> {
    const playing = this.#playing;
    if (playing === undefined) return present;
    playing.at += playing.pace.shift() ?? Number.POSITIVE_INFINITY;
    const frame = playing.frames[playing.at];
    if (frame === undefined) {
      this.#firstShown = playing.first;
      this.#playing = undefined;
      this.#onEnd();
      return present;
    }
    playing.first ??= frame.history;
    return frame;
  }

  #file(
    own: Descriptor,
    present: { readonly fileSystem: FileSystem },
  ): { fileSystem: FileSystem; descriptor: Descriptor } {
    return this.#opened.get(own) ?? { fileSystem: present.fileSystem, descriptor: own };
  }
}

function overlaid<T extends object>(inner: T, over: Partial<T>): T {
  return new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(name in over ? over : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
