/** Named places of the protocol. A test names one, and the process is killed or stopped there, in whatever thread. */

import type { Failpoint } from './store/options.js';

export const failpointNames = [
  'staging.before',
  'staging.after',
  'stage.before',
  'stage.after',
  'log.inside',
  'log.after',
  'apply.target',
  'apply.after',
  'roll-back.target',
  'roll-back.before-abort',
  'materialize.before',
  'materialize.staged',
  'materialize.after',
  'applied.after',
  'checkpoint.sync',
  'checkpoint.sync-directory',
  'checkpoint.keep',
  'checkpoint.trim',
  'checkpoint.sweep',
  'recover.before',
  'recover.target',
  'recover.complete',
  'recover.sweep',
  'close.before',
] as const;

export type FailpointName = (typeof failpointNames)[number];

export class FailpointHit extends Error {
  override readonly name = 'FailpointHit';
}

/** Another thread may be the one that takes the signal, and take its time: meanwhile this one must not go on. */
const signalTakenMs = 500;

export class Failpoints {
  readonly #failpoint: Failpoint | undefined;
  #passed = 0;

  constructor(failpoint: Failpoint | undefined) {
    this.#failpoint = failpoint;
  }

  hit(name: FailpointName): void {
    const failpoint = this.#failpoint;
    if (failpoint === undefined || failpoint.name !== name) return;
    const skip = failpoint.skip ?? 0;
    const passed = this.#passed++;
    if (passed < skip) return;
    switch (failpoint.action) {
      case 'kill':
        process.kill(process.pid, 'SIGKILL');
        /* c8 ignore next 1 -- the process is killed before a second pass */
        for (;;) pause(signalTakenMs);
      case 'stop':
        // Once it goes on it is not stopped again.
        if (passed > skip) break;
        process.kill(process.pid, 'SIGSTOP');
        pause(signalTakenMs);
        break;
      case 'throw':
        throw new FailpointHit(`failpoint ${name}`);
    }
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
