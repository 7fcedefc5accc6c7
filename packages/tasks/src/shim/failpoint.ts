/** Named steps of the shim. A test names one, and the process is killed or stopped there. */

export const shimFailpoints = [
  'order.after',
  'claim.before',
  'claim.after',
  'spawn.before',
  'spawn.after',
  'running.after',
  'exit.before',
  'exit.inside',
  'exit.after',
] as const;

export type ShimFailpointName = (typeof shimFailpoints)[number];

export interface ShimFailpoint {
  readonly name: ShimFailpointName;
  readonly action: 'kill' | 'stop';
}

/** The signal may take its time: meanwhile nothing may go on. */
const signalTakenMs = 200;

export type HitFailpoint = (name: ShimFailpointName) => void;

export function failpointHitter(failpoint: ShimFailpoint | undefined): HitFailpoint {
  return (name) => {
    if (failpoint?.name !== name) return;
    process.kill(process.pid, failpoint.action === 'kill' ? 'SIGKILL' : 'SIGSTOP');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, signalTakenMs);
  };
}
