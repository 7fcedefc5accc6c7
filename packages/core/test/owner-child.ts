/**
 * A process for tests of owners: `owner-child.js <command> <JSON>`. It answers with lines of JSON, and lives until
 * its standard input ends, unless told otherwise.
 */
import cluster from 'node:cluster';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { type Owner, probeOwner } from '#src/owner/owner.js';
import { systemProcessTable } from '#src/owner/process-identity.js';
import { openWitness } from '#src/owner/witness.js';

interface Request {
  readonly directory: string;
  readonly id: string;
  readonly owner: Owner;
  readonly pid: number;
  /** Become this user before looking. */
  readonly uid?: number;
  readonly title?: string;
}

const self = fileURLToPath(import.meta.url);
const table = systemProcessTable();

const commands: Readonly<Record<string, (request: Request) => unknown>> = {
  identity: ({ title }) => {
    if (title !== undefined) process.title = title;
    return { identity: systemProcessTable().identity(), own: table.look(process.pid) };
  },
  look: ({ pid, uid }) => {
    if (uid !== undefined) {
      // The group of root would still see what `hidepid` hides.
      process.setgroups?.([uid]);
      process.setgid?.(uid);
      process.setuid?.(uid);
    }
    return { look: systemProcessTable().look(pid) ?? null };
  },
  judge: async ({ owner, directory }) => ({
    liveness: await probeOwner(owner, { processTable: systemProcessTable(), witnessDirectory: directory }),
    identity: table.identity(),
  }),
  own,
  /** Ends as soon as there is nothing to wait for. */
  'own-idly': own,
  'own-and-exit': async (request) => {
    const answer = await own(request);
    say(answer);
    process.exit(0);
  },
  'own-blocked': async (request) => {
    const answer = await own(request);
    say(answer);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20_000);
    return answer;
  },
  'own-in-cluster': async (request) => {
    cluster.setupPrimary({ exec: self, args: ['own', JSON.stringify(request)], silent: true });
    const worker = cluster.fork();
    const [line] = (await once(worker.process.stdout!, 'data')) as [Buffer];
    return JSON.parse(line.toString()) as object;
  },
  'own-in-thread': async (request) => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: request,
      argv: ['own-thread', JSON.stringify(request)],
    });
    const [answer] = (await once(worker, 'message')) as [object];
    process.stdin.once('data', () => {
      void worker.terminate().then(() => say({ terminated: true }));
    });
    return answer;
  },
  'own-thread': async (request) => {
    // Keeps the thread alive.
    parentPort?.on('message', () => undefined);
    const answer = await own(request);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is no window
    parentPort?.postMessage(answer);
  },
  'reuse-pid': reusePid,
};

async function own({ directory, id }: Request): Promise<object> {
  const witness = await openWitness(directory, id);
  return { identity: table.identity(), witness: witness?.name ?? null };
}

/** In a pid namespace of our own: an owner dies, and its pid goes to another process. */
async function reusePid({ owner, directory }: Request): Promise<object> {
  const first = spawn('sleep', ['60']);
  const pid = first.pid!;
  const died = {
    ...owner,
    identity: { ...table.identity(), pid, startTime: table.look(pid)?.startTime ?? '' },
  };
  const judge = async (): Promise<object> =>
    probeOwner(died, { processTable: table, witnessDirectory: directory });
  const before = await judge();
  first.kill('SIGKILL');
  await once(first, 'exit');
  const dead = await judge();
  // More than a tick, so that the start times differ.
  await sleep(50);
  // Threads take numbers as well, and may be quicker.
  for (let attempt = 0; attempt < 50; attempt++) {
    writeFileSync('/proc/sys/kernel/ns_last_pid', `${pid - 1}`);
    const second = spawn('sleep', ['60']);
    if (second.pid === pid) {
      const reused = await judge();
      second.kill('SIGKILL');
      return { before, dead, reused };
    }
    second.kill('SIGKILL');
    await once(second, 'exit');
  }
  return { before, dead, reused: null };
}

function say(answer: unknown): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

const [name = '', json = '{}'] = process.argv.slice(2);
const command = commands[name];
if (command === undefined) throw new Error(`no command ${name}`);
const answer = await command(JSON.parse(json) as Request);
if (isMainThread) {
  if (answer !== undefined && name !== 'own-blocked') say(answer);
  if (name === 'own' || name === 'own-in-cluster' || name === 'own-in-thread') process.stdin.resume();
  if (name === 'reuse-pid') process.exit(0);
}
