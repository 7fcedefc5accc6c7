import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { systemProcessTable } from '#src/owner/process-identity.js';
import { openWitness, probeWitness, type Witness, witnessTimeoutMs } from '#src/owner/witness.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { OwnerProcess } from './owner-process.js';

const onWindows = process.platform === 'win32' ? 'Windows has no sockets with a path' : undefined;
const notRoot = process.getuid?.() === 0 ? undefined : 'only root can become another user';
const noZombies = process.platform === 'linux' ? undefined : 'zombies are seen in /proc';
const notLinux = process.platform === 'linux' ? undefined : 'a long path needs /proc';

const test = suite('witness');

async function open(directory: string, owner = '1'): Promise<Witness> {
  const witness = await openWitness(directory, owner);
  assert.ok(witness !== undefined, 'there is a witness');
  return witness;
}

test.skipIf(onWindows, 'a witness accepts, refuses once closed, and is gone once removed', async () => {
  using directory = temporaryDirectory('witness');
  const witness = await open(directory.path, 'a1');
  const path = `${directory.path}/witness-a1`;
  assert.is(witness.name, 'witness-a1');
  assert.equal(readdirSync(directory.path), ['witness-a1']);
  assert.is(await probeWitness(path), 'accepted');
  assert.is(await probeWitness(path), 'accepted');
  await witness.close();
  assert.is(await probeWitness(path), 'refused');
  assert.equal(readdirSync(directory.path), ['witness-a1']);
  await witness.close();
  await witness.remove();
  await witness.remove();
  assert.equal(readdirSync(directory.path), []);
  assert.is(await probeWitness(path), 'unknown');
});

test.skipIf(onWindows, 'removing a witness that listens ends it', async () => {
  using directory = temporaryDirectory('witness');
  const witness = await open(directory.path);
  await witness.remove();
  assert.equal(readdirSync(directory.path), []);
});

test.skipIf(onWindows, 'what an open that died has left behind is replaced', async () => {
  using directory = temporaryDirectory('witness');
  writeFileSync(`${directory.path}/witness-1.new`, '');
  writeFileSync(`${directory.path}/witness-1`, '');
  const witness = await open(directory.path);
  assert.is(await probeWitness(`${directory.path}/witness-1`), 'accepted');
  await witness.remove();
});

test.skipIf(onWindows, 'only what no kernel can mistake is a proof', async () => {
  using directory = temporaryDirectory('witness');
  const at = (name: string): string => `${directory.path}/${name}`;
  writeFileSync(at('file'), '');
  mkdirSync(at('directory'));
  execFileSync('mkfifo', [at('fifo')]);
  for (const name of ['nothing', 'file', 'directory', 'file/x', 'nothing/x']) {
    assert.is(await probeWitness(at(name)), 'unknown', name);
  }
  const witness = await open(directory.path);
  await witness.close();
  symlinkSync('witness-1', at('link'));
  assert.is(await probeWitness(at('link')), 'unknown');
});

test.skipIf(onWindows, 'a witness whose directory is moved still answers', async () => {
  using directory = temporaryDirectory('witness');
  mkdirSync(`${directory.path}/old`);
  const witness = await open(`${directory.path}/old`);
  renameSync(`${directory.path}/old`, `${directory.path}/new`);
  assert.is(await probeWitness(`${directory.path}/new/witness-1`), 'accepted');
  await witness.close();
  assert.is(await probeWitness(`${directory.path}/new/witness-1`), 'refused');
});

test.skipIf(onWindows, 'the witness of a killed process refuses', async () => {
  using directory = temporaryDirectory('witness');
  const path = `${directory.path}/witness-1`;
  await using owner = new OwnerProcess('own', { request: { directory: directory.path, id: '1' } });
  await owner.answer();
  assert.is(await probeWitness(path), 'accepted');
  await owner.kill();
  assert.is(await probeWitness(path), 'refused');
});

test.skipIf(onWindows, 'the witness of a process that ended without closing it refuses', async () => {
  using directory = temporaryDirectory('witness');
  await using owner = new OwnerProcess('own-and-exit', { request: { directory: directory.path, id: '1' } });
  await Promise.all([owner.answer(), once(owner.child, 'exit')]);
  assert.is(owner.child.exitCode, 0);
  assert.is(await probeWitness(`${directory.path}/witness-1`), 'refused');
});

test.skipIf(onWindows, 'a witness keeps no process alive', async () => {
  using directory = temporaryDirectory('witness');
  await using owner = new OwnerProcess('own-idly', { request: { directory: directory.path, id: '1' } });
  await Promise.all([owner.answer(), once(owner.child, 'exit')]);
  assert.is(owner.child.exitCode, 0);
});

test.skipIf(
  onWindows,
  'the witness of a stopped process accepts, and never refuses however often it is asked',
  async () => {
    using directory = temporaryDirectory('witness');
    const path = `${directory.path}/witness-1`;
    await using owner = new OwnerProcess('own', { request: { directory: directory.path, id: '1' } });
    await owner.answer();
    owner.child.kill('SIGSTOP');
    assert.is(await probeWitness(path), 'accepted');
    // The kernel's queue fills up and says EAGAIN.
    const answers: string[] = [];
    for (let round = 0; round < 40; round++) {
      answers.push(...(await Promise.all(Array.from({ length: 20 }, () => probeWitness(path)))));
    }
    assert.equal([...new Set(answers)], ['accepted', 'unknown']);
    owner.child.kill('SIGCONT');
    while ((await probeWitness(path)) !== 'accepted') await sleep(10);
    owner.child.kill('SIGSTOP');
    await owner.kill();
    assert.is(await probeWitness(path), 'refused');
  },
);

test.skipIf(onWindows, 'the witness of a thread that is busy accepts', async () => {
  using directory = temporaryDirectory('witness');
  await using owner = new OwnerProcess('own-blocked', { request: { directory: directory.path, id: '1' } });
  await owner.answer();
  assert.is(await probeWitness(`${directory.path}/witness-1`), 'accepted');
});

test.skipIf(onWindows, 'the witness of a terminated thread refuses while its process lives', async () => {
  using directory = temporaryDirectory('witness');
  const path = `${directory.path}/witness-1`;
  await using owner = new OwnerProcess('own-in-thread', { request: { directory: directory.path, id: '1' } });
  assert.is((await owner.answer()).identity.pid, owner.pid);
  assert.is(await probeWitness(path), 'accepted');
  owner.child.stdin!.write('terminate\n');
  await owner.answer();
  assert.is(await probeWitness(path), 'refused');
  assert.is(owner.child.exitCode, null);
});

test.skipIf(onWindows, 'the witness of a thread that throws refuses', async () => {
  using directory = temporaryDirectory('witness');
  const module = JSON.stringify(import.meta.resolve('#src/owner/witness.js'));
  const code = `import(${module}).then(async ({ openWitness }) => {
    await openWitness(${JSON.stringify(directory.path)}, '1');
    require('node:worker_threads').parentPort.postMessage('open');
    setTimeout(() => { throw new Error('on purpose'); }, 200);
  });`;
  const worker = new Worker(code, { eval: true });
  const thrown = new Promise((resolve) => worker.once('error', resolve));
  const exit = new Promise((resolve) => worker.once('exit', resolve));
  await once(worker, 'message');
  assert.is(await probeWitness(`${directory.path}/witness-1`), 'accepted');
  assert.match(String(await thrown), 'on purpose');
  await exit;
  assert.is(await probeWitness(`${directory.path}/witness-1`), 'refused');
});

test.skipIf(noZombies, 'the witness of a dead cluster worker refuses while its primary lives', async () => {
  using directory = temporaryDirectory('witness');
  await using primary = new OwnerProcess('own-in-cluster', {
    request: { directory: directory.path, id: '1' },
  });
  const { pid } = (await primary.answer()).identity;
  assert.is.not(pid, primary.pid);
  assert.is(await probeWitness(`${directory.path}/witness-1`), 'accepted');
  // Otherwise it would see the death, and close what it may have opened in place of its worker.
  primary.child.kill('SIGSTOP');
  process.kill(pid, 'SIGKILL');
  const table = systemProcessTable();
  while (table.look(pid)?.zombie === false) await sleep(5);
  assert.is(await probeWitness(`${directory.path}/witness-1`), 'refused');
});

test.skipIf(notLinux, 'a witness whose path is too long for a socket works all the same', async () => {
  using directory = temporaryDirectory('witness');
  for (const length of [104, 107, 108, 109, 255, 1000, 3000]) {
    const deep = deepDirectory(directory.path, length - '/witness-1.new'.length);
    const path = `${deep}/witness-1`;
    const witness = await open(deep);
    assert.is(await probeWitness(path), 'accepted', `${length}`);
    await witness.close();
    assert.is(await probeWitness(path), 'refused', `${length}`);
    await witness.remove();
    assert.equal(readdirSync(deep), [], `${length}`);
  }
  const before = readdirSync('/proc/self/fd').length;
  const deep = deepDirectory(directory.path, 500);
  for (let round = 0; round < 10; round++) {
    await (await open(deep)).close();
    await probeWitness(`${deep}/witness-1`);
  }
  assert.is(readdirSync('/proc/self/fd').length, before);
});

test.skipIf(
  onWindows,
  'without /proc a path that is too long has no witness, and an answer of unknown',
  async () => {
    using directory = temporaryDirectory('witness');
    const deep = deepDirectory(directory.path, 200);
    assert.is(await openWitness(deep, '1', { platform: 'darwin' }), undefined);
    if (notLinux !== undefined) return;
    const witness = await open(deep);
    assert.is(await probeWitness(`${deep}/witness-1`, { platform: 'darwin' }), 'unknown');
    await witness.remove();
  },
);

test('there is no witness where there cannot be one', async () => {
  using directory = temporaryDirectory('witness');
  assert.is(await openWitness(directory.path, '1', { platform: 'win32' }), undefined);
  assert.is(await probeWitness(`${directory.path}/witness-1`, { platform: 'win32' }), 'unknown');
  assert.is(await openWitness(`${directory.path}/nothing`, '1'), undefined);
  assert.equal(readdirSync(directory.path), []);
});

test.skipIf(
  onWindows,
  'a witness that cannot be given its name is none, and leaves nothing behind',
  async () => {
    using directory = temporaryDirectory('witness');
    class NoRename extends NodeFileSystem {
      override rename(): never {
        throw Object.assign(new Error('no'), { code: 'EPERM' });
      }
    }
    assert.is(await openWitness(directory.path, '1', { fileSystem: new NoRename() }), undefined);
    assert.equal(readdirSync(directory.path), []);
  },
);

test.skipIf(onWindows ?? notRoot, 'a witness of another user proves nothing', async () => {
  using directory = temporaryDirectory('witness');
  const witness = await open(directory.path);
  const path = `${directory.path}/witness-1`;
  await witness.close();
  const code = `
    process.setuid(65534);
    import(${JSON.stringify(import.meta.resolve('#src/owner/witness.js'))}).then(async ({ probeWitness }) =>
      console.log(await probeWitness(${JSON.stringify(path)})));`;
  const askAsNobody = (): string => execFileSync(process.execPath, ['-e', code], { encoding: 'utf8' }).trim();
  // The directory can be entered, the socket may not be written to.
  chmodSync(directory.path, 0o755);
  assert.is(statSync(path).mode & 0o022, 0);
  assert.is(askAsNobody(), 'unknown');
  chmodSync(directory.path, 0o700);
  assert.is(askAsNobody(), 'unknown');
  assert.is(await probeWitness(path), 'refused');
});

test.skipIf(
  onWindows,
  'a socket that somebody else has bound is no witness of ours once it is closed',
  async () => {
    using directory = temporaryDirectory('witness');
    const path = `${directory.path}/witness-1`;
    const server = createServer();
    server.listen(path);
    await once(server, 'listening');
    assert.is(await probeWitness(path), 'accepted');
    server.close();
    await once(server, 'close');
    // libuv has removed it: this is what the renaming is for.
    assert.is(await probeWitness(path), 'unknown');
  },
);

test.skipIf(onWindows, 'an answer takes no longer than its limit', async () => {
  using directory = temporaryDirectory('witness');
  const witness = await open(directory.path);
  const started = performance.now();
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => probeWitness(`${directory.path}/witness-1`)),
  );
  assert.ok(performance.now() - started < 10 * witnessTimeoutMs);
  assert.equal([...new Set(answers)], ['accepted']);
  await witness.remove();
});

/** A directory whose path has exactly this length. */
function deepDirectory(base: string, length: number): string {
  let path = base;
  while (path.length < length) {
    const room = length - path.length - 1;
    path += `/${'d'.repeat(room > 202 ? 200 : room)}`;
  }
  mkdirSync(path, { recursive: true });
  return path;
}

test.run();
