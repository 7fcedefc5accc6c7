/**
 * Tracing channels of `node:diagnostics_channel`: `forewrit:commit`, `forewrit:apply`, `forewrit:checkpoint`,
 * `forewrit:recover` and `forewrit:materialize`. `commit` lasts from the call to the answer (relaxed: to the acceptance), `apply` until the changes
 * are in place; checkpoints, recoveries and files that follow deferred saves
 * happen in another thread, and are told of when they have ended.
 */

import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel';

export type TraceName = 'commit' | 'apply' | 'checkpoint' | 'recover' | 'materialize';

const channels = new Map<TraceName, TracingChannel>();

function channelOf(name: TraceName): TracingChannel {
  const known = channels.get(name) ?? tracingChannel(`forewrit:${name}`);
  channels.set(name, known);
  return known;
}

function isHeard({ start, end, asyncStart, asyncEnd, error }: TracingChannel): boolean {
  return [start, end, asyncStart, asyncEnd, error].some(({ hasSubscribers }) => hasSubscribers);
}

/** The context is what subscribers get; `result` or `error` is added to it. */
export function tracePromise<T>(name: TraceName, context: object, run: () => Promise<T>): Promise<T> {
  const channel = channelOf(name);
  return isHeard(channel) ? channel.tracePromise(run, { ...context }) : run();
}

export function traceEnded(name: TraceName, context: object): void {
  const channel = channelOf(name);
  if (isHeard(channel)) channel.traceSync(() => undefined, { ...context });
}
