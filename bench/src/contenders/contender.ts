/** Somebody who saves a set of files, and what can be relied on when it says that it has. */

export interface Guarantees {
  /** What was acknowledged survives a power cut. */
  readonly durable: boolean;
  /** Each file is old or new after a crash, never in between. */
  readonly fileAtomic: boolean;
  /** So is the whole set. */
  readonly setAtomic: boolean;
  /** Other programs can read the result as files. */
  readonly plainFiles: boolean;
  /** Several processes may save at once. */
  readonly multiProcess: boolean;
}

export const guaranteeNames: Readonly<Record<keyof Guarantees, string>> = {
  durable: 'durable',
  fileAtomic: 'file-atomic',
  setAtomic: 'set-atomic',
  plainFiles: 'plain files',
  multiProcess: 'multi-process',
};

export type FileSet = readonly (readonly [path: string, content: string])[];

export interface Saver {
  /** Resolves when the set is saved as far as is guaranteed. A program that times itself gives its milliseconds. */
  save(set: FileSet): Promise<number | void>;
  /** The contents of one set. */
  read?(paths: readonly string[]): Promise<unknown>;
  close(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  readonly guarantees: Guarantees;
  /** How it is used and set, and why so. */
  readonly setting: string;
  /** On a directory in which the directories of the set are there. Throws if it cannot be had here. */
  open(directory: string): Promise<Saver>;
}

/** It cannot take part, for a reason that is no failure. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}
