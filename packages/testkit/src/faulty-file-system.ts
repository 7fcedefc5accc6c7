/**
 * A file system in front of another one, real or simulated, that fails where it is told to. It counts and records the
 * calls: a test runs once to learn how many there are, and then again for each of them.
 *
 * A fault is where (`at`), how often (`sticky`), and one of: an error instead of the call or after it, a write that
 * ends early, or the death of the process.
 */
import type { Descriptor, FileStat, FileSystem, FileSystemSpace } from '@forewrit/core';
import { CrashSignal } from './crash-signal.js';
import { systemError } from './system-error.js';

export type FileSystemMethod = keyof FileSystem;

export interface FileSystemCall {
  /** Counted from 0. */
  readonly index: number;
  readonly method: FileSystemMethod;
  /** Of a call with a descriptor, the path that it was opened with; of one with two paths, the second is `dest`. */
  readonly path: string;
  readonly dest?: string;
  /** How many calls of this method came before it. */
  readonly nth: number;
}

export type FaultCode =
  | 'EACCES'
  | 'EBUSY'
  | 'EDQUOT'
  | 'EEXIST'
  | 'EINVAL'
  | 'EIO'
  | 'EMFILE'
  | 'EMLINK'
  | 'ENOENT'
  | 'ENOSPC'
  | 'ENOTSUP'
  | 'EPERM'
  | 'EROFS'
  | 'EXDEV';

interface FaultPlace {
  /** The index of a call, or which calls it may be. */
  readonly at: number | ((call: FileSystemCall) => boolean);
  /**
   * Also at every later call of the same method, or at every one that the function names. Otherwise at the first
   * alone.
   */
  readonly sticky?: boolean;
}

export interface ErrorFault extends FaultPlace {
  readonly error: FaultCode;
  /** The call is carried out, and the error is told nevertheless. */
  readonly after?: boolean;
}

/** Of a `write`, so many bytes are written, and the caller is told so. Other calls it does not touch. */
export interface ShortWriteFault extends FaultPlace {
  readonly shortWrite: number;
}

/** The process dies: before the call, or after it. */
export interface CrashFault extends FaultPlace {
  readonly crash: true;
  readonly after?: boolean;
}

export type Fault = ErrorFault | ShortWriteFault | CrashFault;

export interface FaultyFileSystemOptions {
  readonly faults?: readonly Fault[];
  /** Whether `calls` is kept; by default it is. */
  readonly records?: boolean;
  /** Called before each call, faulty or not; what it throws is thrown. The place to cut the power. */
  readonly beforeCall?: (call: FileSystemCall) => void;
}

/** Where a simulated file system takes part. */
interface Simulated extends FileSystem {
  /** A flush fails: its pages are marked clean. */
  failSync(descriptor: Descriptor): void;
  kill(): void;
}

interface FaultState {
  readonly fault: Fault;
  readonly hits: (call: FileSystemCall) => boolean;
  spent: boolean;
}

export class FaultyFileSystem implements FileSystem {
  readonly #inner: FileSystem & Partial<Simulated>;
  readonly #faults: readonly FaultState[];
  readonly #records: boolean;
  readonly #beforeCall: ((call: FileSystemCall) => void) | undefined;
  readonly #calls: FileSystemCall[] = [];
  readonly #counts = new Map<FileSystemMethod, number>();
  readonly #paths = new Map<Descriptor, string>();
  #count = 0;
  #dead = false;

  constructor(inner: FileSystem, { faults = [], records = true, beforeCall }: FaultyFileSystemOptions = {}) {
    this.#inner = inner;
    this.#faults = faults.map((fault) => ({ fault, hits: hitTest(fault), spent: false }));
    this.#records = records;
    this.#beforeCall = beforeCall;
  }

  get calls(): readonly FileSystemCall[] {
    return this.#calls;
  }

  /** How many calls there were, recorded or not. */
  get callCount(): number {
    return this.#count;
  }

  /** The faults that have not happened: a test that expects one to wants this to be empty. */
  get unused(): readonly Fault[] {
    return this.#faults.filter(({ spent }) => !spent).map(({ fault }) => fault);
  }

  openRead(path: string): Descriptor {
    return this.#track(path, () => this.#run('openRead', { path }, () => this.#inner.openRead(path)));
  }

  openUpdate(path: string): Descriptor {
    return this.#track(path, () => this.#run('openUpdate', { path }, () => this.#inner.openUpdate(path)));
  }

  create(path: string, mode: number): Descriptor {
    return this.#track(path, () => this.#run('create', { path }, () => this.#inner.create(path, mode)));
  }

  read(descriptor: Descriptor, into: Uint8Array, position: number): number {
    return this.#run('read', this.#of(descriptor), () => this.#inner.read(descriptor, into, position));
  }

  write(descriptor: Descriptor, bytes: Uint8Array, position: number): number {
    return this.#run(
      'write',
      this.#of(descriptor),
      () => this.#inner.write(descriptor, bytes, position),
      (lengthMax) =>
        lengthMax === 0 ? 0 : this.#inner.write(descriptor, bytes.subarray(0, lengthMax), position),
    );
  }

  truncate(descriptor: Descriptor, size: number): void {
    this.#run('truncate', this.#of(descriptor), () => this.#inner.truncate(descriptor, size));
  }

  chmod(descriptor: Descriptor, mode: number): void {
    this.#run('chmod', this.#of(descriptor), () => this.#inner.chmod(descriptor, mode));
  }

  chown(descriptor: Descriptor, owner: { readonly uid: number; readonly gid: number }): void {
    this.#run('chown', this.#of(descriptor), () => this.#inner.chown(descriptor, owner));
  }

  stat(descriptor: Descriptor): FileStat {
    return this.#run('stat', this.#of(descriptor), () => this.#inner.stat(descriptor));
  }

  sync(descriptor: Descriptor): void {
    this.#run('sync', { ...this.#of(descriptor), descriptor }, () => this.#inner.sync(descriptor));
  }

  close(descriptor: Descriptor): void {
    this.#run('close', this.#of(descriptor), () => {
      this.#inner.close(descriptor);
      this.#paths.delete(descriptor);
    });
  }

  syncDirectory(path: string): void {
    this.#run('syncDirectory', { path }, () => this.#inner.syncDirectory(path));
  }

  lstat(path: string): FileStat | undefined {
    return this.#run('lstat', { path }, () => this.#inner.lstat(path));
  }

  readlink(path: string): string {
    return this.#run('readlink', { path }, () => this.#inner.readlink(path));
  }

  list(path: string): string[] {
    return this.#run('list', { path }, () => this.#inner.list(path));
  }

  link(from: string, to: string): void {
    this.#run('link', { path: from, dest: to }, () => this.#inner.link(from, to));
  }

  rename(from: string, to: string): void {
    this.#run('rename', { path: from, dest: to }, () => this.#inner.rename(from, to));
  }

  unlink(path: string): void {
    this.#run('unlink', { path }, () => this.#inner.unlink(path));
  }

  makeDirectory(path: string, mode: number): void {
    this.#run('makeDirectory', { path }, () => this.#inner.makeDirectory(path, mode));
  }

  removeDirectory(path: string): void {
    this.#run('removeDirectory', { path }, () => this.#inner.removeDirectory(path));
  }

  chmodPath(path: string, mode: number): void {
    this.#run('chmodPath', { path }, () => this.#inner.chmodPath(path, mode));
  }

  symlink(target: string, path: string): void {
    this.#run('symlink', { path }, () => this.#inner.symlink(target, path));
  }

  space(path: string): FileSystemSpace {
    return this.#run('space', { path }, () => this.#inner.space(path));
  }

  mountId(path: string): string | undefined {
    return this.#run('mountId', { path }, () => this.#inner.mountId(path));
  }

  #of(descriptor: Descriptor): { readonly path: string } {
    return { path: this.#paths.get(descriptor) ?? `descriptor ${descriptor}` };
  }

  #track(path: string, open: () => Descriptor): Descriptor {
    const descriptor = open();
    this.#paths.set(descriptor, path);
    return descriptor;
  }

  #run<T>(
    method: FileSystemMethod,
    subject: { readonly path: string; readonly dest?: string; readonly descriptor?: Descriptor },
    carryOut: () => T,
    writeUpTo?: (lengthMax: number) => T,
  ): T {
    if (this.#dead) throw new CrashSignal('the simulated process is dead');
    const { descriptor, path, dest } = subject;
    const nth = this.#counts.get(method) ?? 0;
    // Written out, as it is made very often.
    const call: FileSystemCall =
      dest === undefined
        ? { index: this.#count, method, path, nth }
        : { index: this.#count, method, path, dest, nth };
    this.#count += 1;
    this.#counts.set(method, nth + 1);
    if (this.#records) this.#calls.push(call);
    this.#look(call);

    const fault = this.#faultAt(call);
    if (fault === undefined) return carryOut();
    if ('shortWrite' in fault && writeUpTo !== undefined) return writeUpTo(fault.shortWrite);
    // Linux closes a descriptor whatever it answers.
    const carriesOut = method === 'close' || ('after' in fault && fault.after);
    if (carriesOut) this.#carryOutUnseen(method, carryOut);
    if ('error' in fault) {
      if (method === 'sync' && !carriesOut && descriptor !== undefined) this.#inner.failSync?.(descriptor);
      throw systemError(fault.error, { syscall: method, path, dest });
    }
    this.#die();
    throw new CrashSignal(`the simulated process died at call ${describeCall(call)}`);
  }

  #look(call: FileSystemCall): void {
    try {
      this.#beforeCall?.(call);
    } catch (error) {
      if (error instanceof CrashSignal) this.#die();
      throw error;
    }
  }

  /** The call happens, but the caller is not going to learn its result: what it opened must not stay open. */
  #carryOutUnseen(method: FileSystemMethod, carryOut: () => unknown): void {
    const result = carryOut();
    if (method === 'create' || method === 'openRead' || method === 'openUpdate')
      this.#inner.close(result as Descriptor);
  }

  #faultAt(call: FileSystemCall): Fault | undefined {
    for (const state of this.#faults) {
      if ((state.spent && state.fault.sticky !== true) || !state.hits(call)) continue;
      state.spent = true;
      return state.fault;
    }
    return undefined;
  }

  #die(): void {
    this.#dead = true;
    if (this.#inner.kill !== undefined) {
      this.#inner.kill();
      return;
    }
    for (const descriptor of this.#paths.keys()) this.#inner.close(descriptor);
    this.#paths.clear();
  }
}

/** `7 rename /a -> /b`, for traces. */
export function describeCall({ index, method, path, dest }: FileSystemCall): string {
  return `${index} ${method} ${path}${dest === undefined ? '' : ` -> ${dest}`}`;
}

function hitTest(fault: Fault): (call: FileSystemCall) => boolean {
  const hits = placeTest(fault);
  return 'shortWrite' in fault ? (call) => call.method === 'write' && hits(call) : hits;
}

function placeTest({ at, sticky }: FaultPlace): (call: FileSystemCall) => boolean {
  if (typeof at === 'function') return at;
  if (sticky !== true) return ({ index }) => index === at;
  // The method is known only when the first call is met.
  let method: FileSystemMethod | undefined;
  return (call) => {
    if (call.index === at) method = call.method;
    return call.method === method;
  };
}
