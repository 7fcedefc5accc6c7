/**
 * In a pid namespace of its own: a writer dies at a failpoint, another process takes its pid, and the store is opened
 * again. Says what recovery did.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '@forewrit/recovery';
import { monotonicMs, requestOf, say, TestProcess } from '@forewrit/testkit/child-process';
import type { WriterMessage } from './writer-child.js';

export interface TakenPidRequest {
  readonly root: string;
  readonly failpoint: string;
}

export interface TakenPidAnswer {
  readonly signal: NodeJS.Signals | null;
  /** Whether the pid went to another process. */
  readonly taken: boolean;
  readonly redone: number;
  readonly blocked: number;
  readonly durationMs: number;
  readonly content: string;
}

const { root, failpoint } = requestOf<TakenPidRequest>();
const set = { 'set/1': 100, 'set/2': 100 };
const writer = new TestProcess<WriterMessage>(new URL('./writer-child.js', import.meta.url), {
  request: {
    root,
    name: 'dead',
    sets: [set],
    options: { failpoint: { name: failpoint, action: 'kill', skip: 3 } },
  },
});
const { pid } = writer;
writer.tell({ type: 'run' });
const { signal } = await writer.end();
// A witness would prove the death by itself.
for (const name of readdirSync(`${root}/.forewrit/log`)) {
  if (name.startsWith('witness-')) rmSync(`${root}/.forewrit/log/${name}`);
}
const taken = await takePid(pid);
const startedMs = monotonicMs();
const store = await openStore(root);
const durationMs = monotonicMs() - startedMs;
const files = await store.readFiles(Object.keys(set), 'utf8');
const answer: TakenPidAnswer = {
  signal,
  taken,
  redone: store.recovery.redone.length,
  blocked: store.recovery.blocked.length,
  durationMs,
  content: [...files.values()].map((text) => text.slice(0, text.indexOf('\t'))).join(', '),
};
await store.close();
say(answer);
// The namespace goes with its first process, and with it what runs under that pid.
process.exit(0);

async function takePid(pid: number): Promise<boolean> {
  // More than a tick, so that the start times differ.
  await sleep(50);
  // Threads take numbers as well, and may be quicker.
  for (let attempt = 0; attempt < 50; attempt += 1) {
    writeFileSync('/proc/sys/kernel/ns_last_pid', `${pid - 1}`);
    const other = spawn('sleep', ['60']);
    if (other.pid === pid) return true;
    other.kill('SIGKILL');
    await once(other, 'exit');
  }
  return false;
}
