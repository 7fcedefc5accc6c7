/** Makes one call of a process fail, or two; and notes the calls that it makes. */

import type { Fault, FileSystemCall } from '@forewrit/testkit';
import type { LogFault, LogMethod } from '../faulty-log.js';
import type { ProcessOptions } from '../world.js';
import { type Place, stackHere } from './call-sites.js';
import { fileSystemFault, isLogKind, type Kind } from './fault-kinds.js';

export type Seam = 'file system' | 'log';

export interface SeenCall {
  readonly seam: Seam;
  /** Of all calls of this seam by the process, from 0. */
  readonly index: number;
  readonly method: string;
  /** From the seam outwards. */
  readonly stack: readonly Place[];
}

export interface Injection {
  readonly call: SeenCall;
  readonly kind: Kind;
  /** Also at every later call of the same method. */
  readonly sticky: boolean;
}

/** `after`: the calls that follow the last fault, which only a failure leads to. */
export type Notes = 'nothing' | 'everything' | 'after';

export class Injector {
  readonly seen: SeenCall[] = [];
  readonly #pending: Injection[];
  readonly #happened: Injection[] = [];
  readonly #notes: Notes;
  /** The flush of a file has failed, and no batch of the log has been flushed since that could say so. */
  failedFlushUnnoted = false;
  #logIndex = 0;

  constructor(plan: readonly Injection[], notes: Notes) {
    this.#pending = [...plan];
    this.#notes = notes;
  }

  /** All of the faults have happened. */
  get done(): boolean {
    return this.#pending.length === 0;
  }

  get happened(): readonly Injection[] {
    return this.#happened;
  }

  options(given: ProcessOptions): ProcessOptions {
    const kinds = [...this.#pending].flatMap(({ kind }) => (isLogKind(kind) ? [] : [kind]));
    const faults = kinds.map(
      (kind): Fault => fileSystemFault(kind, (call) => this.#isHit('file system', call)?.kind === kind),
    );
    return {
      ...given,
      faults: [...faults, ...(given.faults ?? [])],
      beforeCall: (call) => {
        given.beforeCall?.(call);
        this.#meetFileSystem(call);
      },
      onLog: (method) => this.#meetLog(method),
    };
  }

  #meetFileSystem({ index, method }: FileSystemCall): void {
    this.#meet({ seam: 'file system', index, method });
  }

  #meetLog(method: LogMethod): LogFault | undefined {
    const index = this.#logIndex++;
    this.#meet({ seam: 'log', index, method });
    const kind = this.#isHit('log', { index, method })?.kind;
    return kind !== undefined && isLogKind(kind) ? kind.fault() : undefined;
  }

  #meet(call: Omit<SeenCall, 'stack'>): void {
    const notes = this.#notes === 'everything' || (this.#notes === 'after' && this.done);
    if (notes) {
      const stack = stackHere();
      // Others use the same file system.
      if (stack.length > 0) this.seen.push({ ...call, stack });
    }
    const [next] = this.#pending;
    if (next === undefined || next.call.seam !== call.seam || next.call.index !== call.index) return;
    if (next.call.method !== call.method) return;
    this.#pending.shift();
    this.#happened.push(next);
  }

  #isHit(
    seam: Seam,
    { index, method }: { readonly index: number; readonly method: string },
  ): Injection | undefined {
    const hit = this.#happened.find(
      ({ call, sticky }) =>
        call.seam === seam &&
        call.method === method &&
        (call.index === index || (sticky && index > call.index)),
    );
    if (hit !== undefined && method === 'sync') this.failedFlushUnnoted = true;
    return hit;
  }
}

export function describeInjection({ call, kind, sticky }: Injection): string {
  const how = sticky ? `${kind.name}, from then on` : kind.name;
  return `${how} at ${call.method} (call ${call.index} of the ${call.seam}, ${call.stack.slice(0, 4).join(' < ')})`;
}
