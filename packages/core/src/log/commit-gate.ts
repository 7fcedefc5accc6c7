/**
 * Keeps a thread from being ended while it is inside an LMDB write transaction: lmdb-js would then wait for ever for a
 * mutex that this thread itself holds, and with it the process that wants to exit.
 *
 * Two numbers in shared memory:
 *
 *     0   not 0: nobody may begin a write any more, and whoever waits for his turn gives up
 *     1   how many are in the middle of a write, or wait for their turn
 *
 * The thread that writes raises its number first and looks at the other one then; the one that ends it does the
 * reverse. So either the write is not begun, or its end is waited for.
 */
import { logClosed } from './log-limits.js';

export const commitGateBytes = 8;

export function newCommitGate(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(commitGateBytes));
}

/** Runs `write`, unless writing has ended. */
export function throughGate<T>(gate: Int32Array, op: string, write: () => T): T {
  // A gate of one number ends waits, and protects nobody.
  if (gate.length < 2) return write();
  Atomics.add(gate, 1, 1);
  try {
    if (isEnded(gate)) throw logClosed(op);
    return write();
  } finally {
    Atomics.sub(gate, 1, 1);
    Atomics.notify(gate, 1);
  }
}

/**
 * Ends all writing, from any thread. Call it before a thread that has a log is terminated, and in a listener of the
 * process's `exit`. Blocks while a write is being finished; `false` if that takes longer than the time given.
 */
export function endCommits(gate: Int32Array, timeoutMs: number): boolean {
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  const end = performance.now() + timeoutMs;
  for (;;) {
    const writing = Atomics.load(gate, 1);
    if (writing === 0) return true;
    const leftMs = end - performance.now();
    if (leftMs <= 0) return false;
    Atomics.wait(gate, 1, writing, leftMs);
  }
}

export function isEnded(gate: Int32Array): boolean {
  return Atomics.load(gate, 0) !== 0;
}
