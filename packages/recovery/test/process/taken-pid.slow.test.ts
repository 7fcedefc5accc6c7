/** A killed process whose pid went to another one is dead; one of which only the pid is known is not. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  loadChecksum,
  NodeFileSystem,
  openLmdbLog,
  type Owner,
  ownerRow,
  systemProcessTable,
  u32Key,
} from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { assert, suite, temporaryDirectory, TestProcess, whyNotUnder } from '@forewrit/testkit';
import type { TakenPidAnswer, TakenPidRequest } from './taken-pid-child.js';
import type { WriterMessage } from './writer-child.js';

const test = suite('a killed process whose pid was taken');

const notLinux = process.platform === 'linux' ? undefined : 'start times and pid namespaces are of Linux';
const inPidNamespace = ['unshare', '-pf', '--kill-child', '--mount-proc'];
const noNamespace =
  process.getuid?.() === 0 ? whyNotUnder(inPidNamespace) : 'only root can choose the next pid';

for (const failpoint of ['apply.target', 'log.inside']) {
  test.skipIf(noNamespace, `at ${failpoint} is dead, though all that is left of it is its pid`, () => {
    using directory = temporaryDirectory('pid');
    const { durationMs, ...outcome } = askUnder({ root: directory.path, failpoint });
    const redone = failpoint === 'apply.target' ? 1 : 0;
    // Killed in its second save at the one, in its fourth at the other.
    const last = redone === 1 ? 'dead 2' : 'dead 3';
    assert.equal(outcome, {
      signal: 'SIGKILL',
      taken: true,
      redone,
      blocked: 0,
      content: `${last}, ${last}`,
    });
    assert.ok(durationMs < 5000, `opening took ${durationMs} ms`);
  });
}

function askUnder(request: TakenPidRequest): TakenPidAnswer {
  const script = fileURLToPath(new URL('./taken-pid-child.js', import.meta.url));
  const [command = '', ...args] = [...inPidNamespace, process.execPath, script, JSON.stringify(request)];
  const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8', timeout: 20_000 });
  if (status !== 0) throw new Error(`it ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as TakenPidAnswer;
}

test.skipIf(
  notLinux,
  'is dead if the other one started at another time, and not before that is known',
  async () => {
    using directory = temporaryDirectory('pid');
    const root = directory.path;
    const { identity, look } = systemProcessTable();
    const startTime = look(process.pid)!.startTime!;
    const number = await dieApplying(root);
    await loadChecksum();

    // Its pid is ours now, and so is its start time: it may well be alive.
    rewriteOwner(root, number, { pid: process.pid, startTime });
    await using other = await openStore(root, { committer: 'inline', lockTimeoutMs: 300 });
    assert.equal(other.recovery.redone, []);
    await assert.rejectsWithCode(other.writeFile('set/1', 'other'), 'ERR_STORE_LOCKED');
    // Nor does a pid of another namespace prove anything, and there is no living with it.
    rewriteOwner(root, number, { pid: process.pid, startTime: '1', pidNamespace: 'pid:[1]' });
    await assert.rejectsWithCode(
      openStore(root, { committer: 'inline', lockTimeoutMs: 300 }),
      'ERR_STORE_LOCKED',
    );

    rewriteOwner(root, number, { pid: process.pid, startTime: '1', pidNamespace: identity().pidNamespace });
    await other.writeFile('set/1', 'other');
    assert.is((await other.readFile('set/2', 'utf8')).slice(0, 6), 'dead 2');
  },
);

/** Leaves a transaction half applied. Returns the number of its owner. */
async function dieApplying(root: string): Promise<number> {
  const options = { failpoint: { name: 'apply.target', action: 'kill', skip: 3 } } as const;
  const request = { root, name: 'dead', sets: [{ 'set/1': 100, 'set/2': 100 }], options };
  await using writer = new TestProcess<WriterMessage>(new URL('./writer-child.js', import.meta.url), {
    request,
  });
  writer.tell({ type: 'run' });
  assert.is((await writer.end()).signal, 'SIGKILL');
  return 1;
}

function rewriteOwner(root: string, number: number, identity: Partial<Owner['identity']>): void {
  const log = openLmdbLog({
    directory: `${root}/.forewrit/log`,
    fileSystem: new NodeFileSystem(),
    queueToken: 'test',
    isTokenAlive: () => true,
  });
  log.commit((batch) => {
    const key = u32Key(number);
    const { witness: _, ...owner } = ownerRow.decode(key, batch.get('owners', key)!);
    const changed = { ...owner, identity: { ...owner.identity, ...identity } };
    batch.put('owners', key, ownerRow.encode(key, changed));
  });
  log.close();
}

test.run();
