import { readdirSync, readFileSync, statSync } from 'node:fs';
import { inspect, openStore } from '@forewrit/recovery';
import type { Store } from '@forewrit/core';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { TestProcess } from '@forewrit/testkit/child-process';
import { DetachedSupervisor, openTasks, type TaskEngine, type TaskEngineOptions } from '#src/index.js';
import { launchOf, type Launch, type StoredTask } from '#src/task/stored-task.js';
import type { IdleMessage, IdleRequest } from './idle-child.js';
import { eventually, isDead, killIfThere, notLinux, processesWith } from '../task-world.js';

const test = suite('engines and real processes', { timeoutMs: 120_000 });

class RealWorld implements AsyncDisposable {
  readonly #directory = temporaryDirectory('tasks');
  readonly #nonces = new Set<string>();
  #store: Store | undefined;
  #engine: TaskEngine | undefined;

  get root(): string {
    return `${this.#directory.path}/store`;
  }

  /** Opens the store anew, with an engine on it. */
  async reopen(options: TaskEngineOptions = {}): Promise<TaskEngine> {
    await this.close();
    this.#store = await openStore(this.root);
    this.#engine = await openTasks(this.#store, options);
    return this.#engine;
  }

  async close(): Promise<void> {
    await this.#engine?.close();
    await this.#store?.close();
  }

  async launch(id: string): Promise<Launch> {
    const task = await this.#store!.collection<StoredTask>('tasks').get(id);
    const launch = launchOf(task!.phase)!;
    this.#nonces.add(launch.nonce);
    return launch;
  }

  async shimPid(id: string): Promise<number> {
    const { nonce, number } = await this.launch(id);
    const directory = `${this.root}/.forewrit/tasks/${id}/${number}`;
    const seen = await new DetachedSupervisor().observe(directory, nonce);
    if (seen.state !== 'running') throw new Error(`it is ${seen.state}`);
    return seen.shim.pid;
  }

  async runs(engine: TaskEngine, id: string, printed: string): Promise<void> {
    await eventually(async () => {
      const { data } = await engine.read(id, { encoding: 'utf8' });
      const { state } = await engine.get(id);
      return data.includes(printed) && state === 'running' ? true : undefined;
    });
    await this.launch(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    for (const nonce of this.#nonces) for (const pid of processesWith(nonce)) killIfThere(pid);
    this.#directory.remove();
  }
}

test.skipIf(notLinux, 'shim killed: orphaned, and can be stopped; both killed: lost', async () => {
  await using world = new RealWorld();
  let engine = await world.reopen();
  const ids: string[] = [];
  for (let n = 0; n < 3; n += 1) {
    const { id } = await engine.start({ command: 'echo begun; sleep 600 & wait' });
    await world.runs(engine, id, 'begun');
    ids.push(id);
  }
  const [watched, reopened, both] = ids as [string, string, string];
  // Under the eyes of an engine.
  killIfThere(await world.shimPid(watched));
  await eventually(async () => ((await engine.get(watched)).state === 'orphaned' ? true : undefined));
  const nonce = (await world.launch(watched)).nonce;
  assert.ok(processesWith(nonce).length >= 1);
  const stopped = await engine.stop(watched, { graceMs: 1000 });
  assert.equal([stopped.state, stopped.cause, stopped.exitCode], ['terminated', 'user', undefined]);
  assert.equal(processesWith(nonce), []);
  assert.is((await engine.read(watched, { encoding: 'utf8' })).data, 'begun\n');

  // While no engine is there.
  const shims = [await world.shimPid(reopened), await world.shimPid(both)];
  const { nonce: bothNonce } = await world.launch(both);
  await world.close();
  for (const pid of shims) killIfThere(pid);
  for (const pid of processesWith(bothNonce)) killIfThere(pid);
  await eventually(async () => (processesWith(bothNonce).length === 0 ? true : undefined));
  engine = await world.reopen();
  assert.equal(
    engine.recovery.orphaned.map(({ id }) => id),
    [reopened],
  );
  assert.equal(
    engine.recovery.lost.map(({ id, cause }) => [id, cause]),
    [[both, 'shim-died']],
  );
  assert.is((await engine.stop(reopened, { graceMs: 1000 })).state, 'terminated');
});

test.skipIf(notLinux, 'another boot: what ran is lost, though processes have those pids', async () => {
  await using world = new RealWorld();
  let engine = await world.reopen();
  const { id } = await engine.start({ command: 'echo begun; sleep 600' });
  await world.runs(engine, id, 'begun');
  const pid = await world.shimPid(id);
  engine = await world.reopen({ supervisor: new DetachedSupervisor({ bootId: 'another boot' }) });
  assert.equal(
    engine.recovery.lost.map((task) => [task.id, task.cause, task.outputBytes]),
    [[id, 'reboot', 6]],
  );
  assert.not.ok(isDead(pid));
});

test.skipIf(notLinux, 'stop ends the whole tree, with those that have left its group', async () => {
  await using world = new RealWorld();
  const engine = await world.reopen();
  const tree = 'sleep 600 & (sleep 601 & wait) & setsid sleep 602 & echo begun; wait';
  const { id } = await engine.start({ command: tree });
  await world.runs(engine, id, 'begun');
  const { nonce } = await world.launch(id);
  // The shim, two shells, three sleeps.
  await eventually(async () => (processesWith(nonce).length >= 6 ? true : undefined));
  const { state, cause, survivors } = await engine.stop(id, { graceMs: 500 });
  assert.equal([state, cause, survivors], ['terminated', 'user', []]);
  // The shim goes a moment after it has said how the command ended.
  await eventually(async () => (processesWith(nonce).length === 0 ? true : undefined));
});

test.skipIf(notLinux, 'a command that ignores SIGTERM ends when its time is up', async () => {
  await using world = new RealWorld();
  const engine = await world.reopen();
  const { id } = await engine.start({
    command: "trap '' TERM; echo begun; while :; do sleep 0.05; done",
    timeoutMs: 300,
    killGraceMs: 300,
  });
  const { state, cause, signal, outputBytes } = await engine.wait(id, { timeoutMs: 60_000 });
  assert.equal([state, cause, signal, outputBytes], ['timeout', 'timeout', 'SIGKILL', 6]);
});

test.skipIf(notLinux, 'secrets are nowhere on the disk, whatever becomes of the task', async () => {
  await using world = new RealWorld();
  let engine = await world.reopen({ parallel: 4 });
  const secret = 'correct horse battery staple';
  const other = 'another secret of it';
  const secretEnv = { TOKEN: secret };
  const prints = 'echo "it is $TOKEN, indeed"; printenv TOKEN; printf %s "$TOKEN" | cut -c 1-13';
  const done = await engine.start({ command: prints, secretEnv, env: { VISIBLE: 'yes' } });
  const failed = await engine.start({
    command: `${prints}; exit 3`,
    secretEnv,
    retry: { limit: 2, delayMs: 10 },
  });
  const runs = await engine.start({ command: `${prints}; sleep 600`, secretEnv });
  const killed = await engine.start({ command: `${prints}; echo begun; sleep 600`, secretEnv });
  const none = await engine.start({ command: '/no/such/file', secretEnv });
  const { id: blocked } = await engine.start({ command: prints, secretEnv, dependsOn: [{ id: runs.id }] });
  assert.is((await engine.wait(done.id)).exitCode, 0);
  assert.is((await engine.wait(failed.id)).attempt, 3);
  await engine.wait(none.id);
  await world.runs(engine, killed.id, 'begun');
  killIfThere(await world.shimPid(killed.id));
  await eventually(async () => ((await engine.get(killed.id)).state === 'orphaned' ? true : undefined));
  await engine.stop(runs.id);
  await engine.stop(killed.id, { graceMs: 500 });
  assert.is((await engine.get(blocked)).state, 'failed');
  await engine.restart(done.id, { secretEnv: { TOKEN: other } });
  assert.is((await engine.wait(done.id)).exitCode, 0);
  const { data } = await engine.read(done.id, { encoding: 'utf8' });
  // The first thirteen bytes alone are no secret, by the rule; they are in the output of the command on purpose.
  assert.match(data, /^it is .{20}, indeed\n.{20}\nanother secre\n$/s);
  engine = await world.reopen();
  await world.close();
  for (const file of filesBelow(world.root)) {
    const bytes = readFileSync(file, 'latin1');
    assert.not.ok(bytes.includes(secret), file);
    assert.not.ok(bytes.includes(other), file);
  }
});

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => `${directory}/${name}`)
    .filter((path) => statSync(path).isFile());
}

test.skipIf(notLinux, 'a task that is not to survive ends when its engine closes', async () => {
  await using world = new RealWorld();
  let engine = await world.reopen();
  const { id } = await engine.start({ command: 'echo begun; sleep 600', survive: 'never' });
  const { id: stays } = await engine.start({ command: 'echo begun; sleep 600' });
  await world.runs(engine, id, 'begun');
  await world.runs(engine, stays, 'begun');
  engine = await world.reopen();
  assert.is((await engine.get(id)).state, 'terminated');
  assert.is((await engine.get(stays)).state, 'running');
  await engine.close({ running: 'stop' });
  const { nonce } = await world.launch(stays);
  assert.equal(processesWith(nonce), []);
});

test.skipIf(notLinux, 'what two engines of one process start at once is started once', async () => {
  await using world = new RealWorld();
  const engine = await world.reopen();
  const store = await openStore(world.root);
  const other = await openTasks(store);
  try {
    const started = await Promise.all(
      Array.from({ length: 12 }, async (_, n) => {
        const { id } = await [engine, other][n % 2]!.start({
          command: `echo ${n} >> ${world.root}/mark-${n}`,
        });
        return id;
      }),
    );
    for (const id of started) assert.is((await other.wait(id)).state, 'completed');
    for (let n = 0; n < 12; n += 1) assert.is(readFileSync(`${world.root}/mark-${n}`, 'utf8'), `${n}\n`);
  } finally {
    await other.close();
    await store.close();
  }
});

test.skipIf(
  notLinux,
  'an idle engine lets its process end while its task runs; one that waits does not',
  async () => {
    for (const waits of [false, true]) {
      await using world = new RealWorld();
      const request: IdleRequest = {
        root: world.root,
        command: waits ? 'read x; sleep 1' : 'sleep 600',
        waits,
      };
      await using child = new TestProcess<IdleMessage>(new URL('./idle-child.js', import.meta.url), {
        request,
      });
      const { id } = await child.next('idle', 60_000);
      if (waits) assert.is((await child.next('waited', 60_000)).state, 'completed');
      assert.is((await child.end(60_000)).code, 0);
      const engine = await world.reopen();
      assert.is((await engine.get(id)).state, waits ? 'completed' : 'running');
      if (!waits) await engine.stop(id);
    }
  },
);

test.skipIf(notLinux, 'what a store does for its files leaves the directories of tasks alone', async () => {
  await using world = new RealWorld();
  const engine = await world.reopen();
  const { id } = await engine.start({ command: 'echo kept' });
  await engine.wait(id);
  await world.close();
  const store = await openStore(world.root);
  await store.writeFile('a', 'b');
  await store.checkpoint();
  assert.equal((await store.verify()).findings, []);
  await store.close();
  assert.ok((await inspect(world.root)).clean);
  const later = await world.reopen();
  assert.is((await later.read(id, { encoding: 'utf8' })).data, 'kept\n');
});

test.run();
