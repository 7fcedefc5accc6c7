/** The committer as the caller's thread sees it: a thread that answers, fails, dies, or closes badly. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { CommitterEvent } from '#src/committer/committer.js';
import { WorkerCommitter } from '#src/committer/worker-committer.js';
import { openStoreWith } from '#src/store/open-store.js';
import type { StoreOptions } from '#src/store/options.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { noRecovery } from './no-recovery.js';
import { openTestStore } from './store-world.js';

const test = suite('committer in a thread');

/** The module of a thread that plays the committer. */
function thread(body: string): URL {
  const source = `
    import { parentPort } from 'node:worker_threads';
    const say = (message) => parentPort.postMessage(message);
    const ready = () => say({ type: 'ready', state: { ownerNumber: 1, ownerId: '1', recovery: {} } });
    ${body}`;
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}

function start(entry: URL): {
  readonly events: CommitterEvent[];
  readonly committer: Promise<WorkerCommitter>;
} {
  const events: CommitterEvent[] = [];
  const committer = WorkerCommitter.start({
    entry,
    roots: { root: '/none', named: new Map() },
    options: {},
    umask: 0o022,
    onEvent: (event) => events.push(event),
  });
  return { events, committer };
}

test('a thread that cannot start says why', async () => {
  const refused = start(
    thread(
      `say({ type: 'failed', error: { name: 'StoreError', message: 'no', code: 'ERR_IO', details: { op: 'open' } } });`,
    ),
  );
  await assert.rejectsWithCode(refused.committer, 'ERR_IO');
  const broken = start(thread(`throw Object.assign(new Error('broken'), { code: 'ERR_BROKEN' });`));
  await assert.rejectsWithCode(broken.committer, 'ERR_BROKEN');
});

test('what is asked is answered, and what happens before it is ready is heard', async () => {
  const { events, committer } = start(
    thread(`
      say({ type: 'event', event: { type: 'log', level: 'info', details: {}, message: 'early' } });
      ready();
      // What nobody waits for is not minded.
      ready();
      say({ type: 'failed', error: { name: 'Error', message: 'late' } });
      say({ type: 'accepted', id: 99, revision: 1 });
      parentPort.on('message', ({ type, id }) => {
        if (type === 'recover') say({ type: 'done', id });
        else if (type === 'checkpoint') say({ type: 'error', id, error: { name: 'Error', message: 'no', code: 'EIO' } });
        else if (type === 'close') { say({ type: 'done', id }); parentPort.close(); }
      });`),
  );
  const worker = await committer;
  assert.is(worker.state.ownerId, '1');
  await worker.recoverDead();
  await assert.rejectsWithCode(worker.checkpoint(), 'EIO');
  assert.ok(events.some((event) => event.type === 'log' && event.message === 'early'));
  await worker.close();
  await worker.close();
  await assert.rejectsWithCode(worker.recoverDead(), 'ERR_STORE_CLOSED');
  assert.ok(events.every(({ type }) => type !== 'poisoned'));
});

test('a thread that dies leaves the outcome of what was asked unknown', async () => {
  const { events, committer } = start(thread(`ready(); parentPort.on('message', () => process.exit(0));`));
  const worker = await committer;
  await assert.rejectsWithCode(worker.checkpoint(), 'ERR_STORE_POISONED');
  assert.is(events.filter(({ type }) => type === 'poisoned').length, 1);
  await assert.rejectsWithCode(worker.checkpoint(), 'ERR_STORE_POISONED');
  await worker.close();
});

test('a thread that says that it is poisoned is heard', async () => {
  const { events, committer } = start(
    thread(`
      ready();
      parentPort.on('message', ({ type, id }) => {
        if (type === 'recover') say({ type: 'poisoned', error: { name: 'Error', message: 'why' } });
        say({ type: 'done', id });
        if (type === 'close') parentPort.close();
      });`),
  );
  const worker = await committer;
  await worker.recoverDead();
  const [event] = events;
  assert.is(event?.type === 'poisoned' && (event.cause as Error).message, 'why');
  await worker.close();
});

test('a close that fails is told, and the thread is ended all the same', async () => {
  const { events, committer } = start(
    thread(`
      ready();
      parentPort.on('message', ({ id }) => say({ type: 'error', id, error: { name: 'Error', message: 'no' } }));`),
  );
  const worker = await committer;
  await worker.close();
  assert.ok(events.some((event) => event.type === 'log' && event.level === 'warn'));
  await assert.rejectsWithCode(worker.checkpoint(), 'ERR_STORE_CLOSED');
});

function open(root: string, options: StoreOptions, committerEntry: URL): ReturnType<typeof openStoreWith> {
  const verify = (): { checked: number; findings: [] } => ({ checked: 0, findings: [] });
  return openStoreWith(root, options, { recoverer: noRecovery, committerEntry, verify });
}

test('a close waits for a thread that is at work, and not for one that is silent', async () => {
  using directory = temporaryDirectory('closing');
  const closing = (body: string): URL =>
    thread(`
      import { writeFileSync } from 'node:fs';
      ready();
      parentPort.on('message', ({ type, id }) => {
        if (type !== 'close') return;
        ${body}
      });`);
  const file = `${directory.path}/finished`;
  const busy = start(
    closing(`
      let steps = 0;
      const step = setInterval(() => {
        say({ type: 'closing' });
        if (++steps < 40) return;
        clearInterval(step);
        writeFileSync(${JSON.stringify(file)}, 'all of it');
        say({ type: 'done', id });
        parentPort.close();
      }, 100);`),
  );
  await (await busy.committer).close();
  assert.is(readFileSync(file, 'utf8'), 'all of it');
  const silent = start(closing(`say({ type: 'closing' }); setInterval(() => undefined, 1000);`));
  await (await silent.committer).close();
});

test('where the log cannot be opened beside the thread, the thread is ended', async () => {
  using directory = temporaryDirectory('worker');
  mkdirSync(`${directory.path}/store/.forewrit`, { recursive: true });
  writeFileSync(`${directory.path}/store/.forewrit/log`, 'a file');
  const entry = thread(`
    import { writeFileSync } from 'node:fs';
    ready();
    parentPort.on('message', ({ type, id }) => {
      writeFileSync(${JSON.stringify(`${directory.path}/said`)}, type);
      say({ type: 'done', id });
      parentPort.close();
    });`);
  await assert.rejectsWithCode(open(`${directory.path}/store`, {}, entry), 'ERR_NOT_DIRECTORY');
  assert.is(readFileSync(`${directory.path}/said`, 'utf8'), 'close');
});

test('a store whose thread is poisoned refuses to write, tells why, and closes', async () => {
  using directory = temporaryDirectory('worker');
  const logged: { level: string; details: object }[] = [];
  const log =
    (level: string) =>
    (details: object): void =>
      void logged.push({ level, details });
  const logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
  const store = await openTestStore(directory.path, {
    committer: 'worker',
    logger,
    failpoint: { name: 'log.after', action: 'throw' },
  });
  for (let n = 0; n < 2; n += 1) {
    await assert.rejectsWithCode(store.writeFile('a', '1'), 'ERR_STORE_POISONED');
  }
  assert.is(store.status, 'poisoned');
  assert.ok(logged.some(({ level, details }) => level === 'error' && 'cause' in details));
  await store.close();
});

test('a store whose thread fails to close is closed, and says so', async () => {
  using directory = temporaryDirectory('worker');
  const warnings: string[] = [];
  const ignore = (): void => undefined;
  const warn = (_details: object, message: string): void => void warnings.push(message);
  const store = await openTestStore(directory.path, {
    committer: 'worker',
    logger: { debug: ignore, info: ignore, warn, error: ignore },
    failpoint: { name: 'close.before', action: 'throw' },
  });
  await store.writeFile('a', '1');
  await store.close();
  assert.is(store.status, 'closed');
  assert.is(warnings.length, 1);
});

test.run();
