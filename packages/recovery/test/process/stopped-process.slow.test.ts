/**
 * A process that is stopped is alive: nobody may take its work over. Others get their answer, or `ERR_STORE_LOCKED`,
 * in time, wherever it was stopped, and it finishes what it had begun when it goes on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '@forewrit/recovery';
import { assert, monotonicMs, suite, temporaryDirectory, TestProcess, untilStopped } from '@forewrit/testkit';
import type { WriterMessage, WriterRequest } from './writer-child.js';

const test = suite('a stopped process');

const script = new URL('./writer-child.js', import.meta.url);
const notLinux =
  process.platform === 'linux' ? undefined : '/proc, which shows that a process is stopped, is of Linux';

const lockTimeoutMs = 1000;
/** What an answer may take on top of its limit, on a busy machine. */
const graceMs = 2000;
const closeLimitMs = 2000 + graceMs / 4;

/** One in the log, one too large for it. */
const sets: WriterRequest['sets'] = [
  { 'shared/1': 5000, 'shared/2': 5000, 'shared/3': 5000, 'shared/4': 5000 },
  { 'large/1': 40_000, 'large/2': 40_000, 'large/3': 40_000, 'large/4': 5000 },
  { 'apart/1': 5000 },
];

/** Time for a save to get to where it has to wait. */
const untilWaitingMs = 100;
const longestMs = { refused: 0, closed: 0, left: 0 };

interface Place {
  /** Where it is stopped in its second save; in between two saves if there is no name. */
  readonly failpoint?: string;
  readonly skip?: number;
  /** Whether a save of the same files, of other ones, and an opening, have to wait for it. */
  readonly blocks: { readonly same: boolean; readonly others: boolean };
}

const places: Readonly<Record<string, Place>> = {
  'between two saves': { blocks: { same: false, others: false } },
  'with its locks, before it applies': {
    failpoint: 'log.after',
    skip: 1,
    blocks: { same: true, others: false },
  },
  'in the middle of an apply': { failpoint: 'apply.target', skip: 6, blocks: { same: true, others: false } },
  'inside its log transaction': { failpoint: 'log.inside', skip: 1, blocks: { same: true, others: true } },
};

for (const [where, place] of Object.entries(places)) {
  test.skipIf(notLinux, `${where} is not taken for dead, and finishes when it goes on`, async () => {
    await Promise.all([stopAndGoOn(place, 0), stopAndGoOn(place, 1)]);
  });
}

test.after(() => {
  console.log(`longest: ${JSON.stringify(longestMs)}`);
});

async function stopAndGoOn(place: Place, set: number): Promise<void> {
  using directory = temporaryDirectory('stopped');
  const root = directory.path;
  const start = (name: string, options: WriterRequest['options'] = {}): TestProcess<WriterMessage> =>
    new TestProcess<WriterMessage>(script, { request: { root, name, options, sets } });

  const { failpoint: name, skip = 0, blocks } = place;
  const owner = start('owner', name === undefined ? {} : { failpoint: { name, action: 'stop', skip } });
  await owner.next('open');
  owner.tell({ type: 'save', set });
  await owner.next('saved');
  const others = [start('other', { lockTimeoutMs }), start('closing'), start('leaving')];
  const [other, closing, leaving] = others as [typeof owner, typeof owner, typeof owner];
  try {
    for (const each of others) await each.next('open');

    if (name === undefined) await owner.stop();
    else {
      owner.tell({ type: 'save', set });
      await untilStopped(owner.pid);
    }
    const late = start('late', { lockTimeoutMs });
    others.push(late);
    await Promise.all([
      assertAnswers(other, set, blocks),
      assertOpens(late, blocks.others),
      assertCloses(closing, set),
      assertExits(leaving, set),
    ]);

    owner.signal('SIGCONT');
    if (name !== undefined) assert.is((await owner.next('saved')).label, 'owner 2');
    owner.tell({ type: 'save', set });
    await owner.next('saved');
    owner.tell({ type: 'close' });
    await owner.next('closed');
  } finally {
    for (const each of [owner, ...others]) await each.kill();
  }

  const store = await openStore(root, { committer: 'inline' });
  const { recovery } = store;
  const [path = ''] = Object.keys(sets[set]!);
  const last = (await store.readFile(path, 'utf8')).slice(0, 8);
  await store.close();
  assert.is(last, `owner ${name === undefined ? 2 : 3}\t`);
  assert.equal(recovery.blocked, []);
  assert.equal(recovery.kept, []);
  assert.equal(recovery.conflicts, []);
}

async function assertAnswers(
  other: TestProcess<WriterMessage>,
  set: number,
  blocks: Place['blocks'],
): Promise<void> {
  other.tell({ type: 'read', set });
  const { labels, durationMs } = await other.next('read');
  assert.is(new Set(labels).size, 1, `${labels.join(', ')} is one set`);
  assert.ok(durationMs < lockTimeoutMs, `reading took ${durationMs} ms`);
  await assertSaves(other, 2, blocks.others);
  await assertSaves(other, set, blocks.same);
}

async function assertSaves(
  other: TestProcess<WriterMessage>,
  set: number,
  isBlocked: boolean,
): Promise<void> {
  other.tell({ type: 'save', set });
  if (isBlocked) assertLocked(await other.next('refused'));
  else await other.next('saved');
}

async function assertOpens(late: TestProcess<WriterMessage>, isBlocked: boolean): Promise<void> {
  if (isBlocked) assertLocked(await late.next('refused'));
  else await late.next('open');
}

function assertLocked({ code, durationMs }: { readonly code: string; readonly durationMs: number }): void {
  assert.is(code, 'ERR_STORE_LOCKED');
  longestMs.refused = Math.max(longestMs.refused, durationMs);
  assert.ok(durationMs < lockTimeoutMs + graceMs, `the answer took ${durationMs} ms`);
}

/** With a save that still waits. */
async function assertCloses(closing: TestProcess<WriterMessage>, set: number): Promise<void> {
  closing.tell({ type: 'save', set });
  await sleep(untilWaitingMs);
  closing.tell({ type: 'close' });
  const { durationMs } = await closing.next('closed');
  longestMs.closed = Math.max(longestMs.closed, durationMs);
  assert.ok(durationMs < closeLimitMs, `closing took ${durationMs} ms`);
}

async function assertExits(leaving: TestProcess<WriterMessage>, set: number): Promise<void> {
  leaving.tell({ type: 'save', set });
  await sleep(untilWaitingMs);
  leaving.tell({ type: 'exit' });
  const toldMs = monotonicMs();
  const { code, atMs } = await leaving.end();
  assert.is(code, 0);
  longestMs.left = Math.max(longestMs.left, atMs - toldMs);
  assert.ok(atMs - toldMs < closeLimitMs, `leaving took ${atMs - toldMs} ms`);
}

test.run();
