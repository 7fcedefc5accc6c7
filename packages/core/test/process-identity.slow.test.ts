import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import {
  ownIdentity,
  type ProcessIdentity,
  type ProcessLook,
  type ProcessSource,
  systemProcessTable,
} from '#src/owner/process-identity.js';
import { assert, suite } from '@forewrit/testkit';
import { ask, neglectedProcess, OwnerProcess, whyNoNamespaces } from './owner-process.js';

const notLinux = process.platform === 'linux' ? undefined : '/proc is a matter of Linux';
const onWindows = process.platform === 'win32' ? 'Windows has neither signals nor zombies' : undefined;
const notRoot = process.getuid?.() === 0 ? undefined : 'only root can become another user';

const test = suite('process identity');

test('a process is the same to itself at every look, and another process is another', async () => {
  const identity = ownIdentity();
  assert.is(identity.pid, process.pid);
  assert.equal(ownIdentity(), identity);
  assert.equal(systemProcessTable().identity(), identity);
  const other = ask('identity', {}).identity;
  assert.is.not(other.pid, identity.pid);
  assert.is(other.bootId, identity.bootId);
  assert.is(other.pidNamespace, identity.pidNamespace);
});

test('a worker thread is the process that it runs in', async () => {
  const module = JSON.stringify(import.meta.resolve('#src/owner/process-identity.js'));
  const worker = new Worker(
    `import(${module}).then((m) => require('node:worker_threads').parentPort.postMessage({
      identity: m.ownIdentity(), look: m.systemProcessTable().look(process.pid) }));`,
    { eval: true },
  );
  const [answer] = (await once(worker, 'message')) as [{ identity: ProcessIdentity; look: ProcessLook }];
  assert.equal(answer.identity, ownIdentity());
  assert.equal(answer.look, systemProcessTable().look(process.pid));
});

test.skipIf(notLinux, 'on Linux everything about a process is known', () => {
  const { startTime, bootId, pidNamespace } = ownIdentity();
  assert.match(startTime, /^\d+$/);
  assert.is(bootId, readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  assert.match(bootId, /^[\da-f-]{36}$/);
  assert.match(pidNamespace, /^pid:\[\d+\]$/);
  assert.equal(systemProcessTable().look(process.pid), { exists: true, zombie: false, startTime });
});

test.skipIf(notLinux, 'a process whose name holds brackets and spaces is read like any other', () => {
  const plain = ask('identity', {});
  for (const title of ['x) Z 1 (y', ') Z', '((((', 'a b c d', ')))) 1 2']) {
    const { identity, own } = ask('identity', { title });
    const look = own as ProcessLook;
    assert.match(identity.startTime, /^\d+$/);
    assert.equal(look, { exists: true, zombie: false, startTime: look.startTime });
    // Started a moment later, not at another field's number.
    const later = Number(identity.startTime) - Number(plain.identity.startTime);
    assert.ok(later >= 0 && later < 100 * 60, `${title}: ${later} ticks`);
  }
});

test.skipIf(
  onWindows,
  'a running and a stopped process exist, a process that was waited for does not',
  async () => {
    await using child = new OwnerProcess('own-blocked', { request: { directory: '/nowhere', id: '1' } });
    await child.answer();
    const table = systemProcessTable();
    const running = table.look(child.pid);
    assert.ok(running?.exists === true && !running.zombie);
    child.child.kill('SIGSTOP');
    await sleep(20);
    assert.equal(table.look(child.pid), running);
    await child.kill();
    assert.equal(table.look(child.pid), { exists: false, zombie: false });
  },
);

test.skipIf(notLinux, 'a process that ended and was not waited for is a zombie', async () => {
  await using child = await neglectedProcess();
  const table = systemProcessTable();
  process.kill(child.pid, 'SIGKILL');
  while (table.look(child.pid)?.zombie === false) await sleep(5);
  const look = table.look(child.pid);
  assert.ok(look?.exists === true && look.zombie);
  assert.match(look.startTime ?? '', /^\d+$/);
});

test('what is no number of a process cannot be told', () => {
  for (const pid of [0, -1, -process.pid, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.is(systemProcessTable().look(pid), undefined);
    assert.is(systemProcessTable(fakeSource()).look(pid), undefined);
  }
  assert.is.not(systemProcessTable().look(2 ** 31 - 1)?.exists, true);
});

const noHidepid = notLinux ?? notRoot ?? whyNoNamespaces('-m');
test.skipIf(noHidepid, 'a process of another user that /proc hides exists', () => {
  const hidden = ask('look', { pid: process.pid, uid: 65534 }, [
    'unshare',
    '-m',
    'sh',
    '-c',
    hideProcesses,
    'sh',
  ]);
  assert.equal(hidden['look'], { exists: true, zombie: false });
  const shown = ask('look', { pid: process.pid, uid: 65534 });
  assert.is((shown['look'] as ProcessLook).startTime, ownIdentity().startTime);
});
const hideProcesses = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"';

const noPidNamespace = notLinux ?? whyNoNamespaces('-pf');
test.skipIf(
  noPidNamespace,
  'a process that sees the /proc of another pid namespace still knows itself',
  () => {
    const { identity, own } = ask('identity', {}, ['unshare', '-pf']);
    assert.ok(identity.pid < 20, 'it has a low number of its own');
    assert.is.not(identity.pidNamespace, ownIdentity().pidNamespace);
    assert.ok(Number(identity.startTime) >= Number(ownIdentity().startTime));
    // Its number is somebody else's there.
    assert.equal(own, { exists: true, zombie: false });
  },
);

test.skipIf(noPidNamespace, 'a pid namespace with its own /proc is whole', () => {
  const { identity, own } = ask('identity', {}, ['unshare', '-pf', '--mount-proc']);
  assert.is.not(identity.pidNamespace, ownIdentity().pidNamespace);
  assert.equal(own, { exists: true, zombie: false, startTime: identity.startTime });
});

const noTimeNamespace = notLinux ?? whyNoNamespaces('-Tf', '--boottime', '1000');
test.skipIf(noTimeNamespace, 'in a time namespace of its own a process compares no start times', () => {
  const { identity, own } = ask('identity', {}, ['unshare', '-Tf', '--boottime', '1000']);
  assert.is(identity.startTime, '');
  assert.equal(own, { exists: true, zombie: false });
  const shifted = ask('look', { pid: process.pid }, ['unshare', '-Tf', '--boottime', '1000']);
  assert.equal(shifted['look'], { exists: true, zombie: false });
});

// From here on a made-up system. The lines are those of Linux 6.18.
const running = '42 (node) S 1 42 42 0 -1 4194304 9 0 0 0 5 1 0 0 20 0 11 0 149049 1 2 3';
const zombie =
  '42 (python3) Z 7481 7478 3140 0 -1 4227148 221 0 0 0 0 0 0 0 20 0 1 0 149049 0 0 18446744073709551615';
const zombieWithThread = zombie.replace(' 20 0 1 0 ', ' 20 0 2 0 ');

test('a zombie whose threads still run is not dead yet', () => {
  assert.equal(lookAt(running), { exists: true, zombie: false, startTime: '149049' });
  assert.equal(lookAt(zombie), { exists: true, zombie: true, startTime: '149049' });
  assert.equal(lookAt(zombieWithThread), { exists: true, zombie: false, startTime: '149049' });
  assert.equal(lookAt(zombie.replace(' Z ', ' X ')), { exists: true, zombie: true, startTime: '149049' });
  assert.equal(lookAt(running.replace('(node)', '(a) Z 1 (b)')), {
    exists: true,
    zombie: false,
    startTime: '149049',
  });
});

test('a line of /proc that cannot be read says no more than that the process exists', () => {
  for (const stat of ['', '42', '42 (node)', '42 (node) Z', '42 (node S 1', running.replace('149049', 'x')]) {
    assert.equal(lookAt(stat), {
      exists: true,
      zombie: false,
    });
  }
});

test('whether a process exists is what the system answers to a signal', () => {
  const answers: readonly (readonly [string, ProcessLook | undefined])[] = [
    ['ESRCH', { exists: false, zombie: false }],
    ['EPERM', { exists: true, zombie: false, startTime: '149049' }],
    ['EACCES', { exists: true, zombie: false, startTime: '149049' }],
    ['ENOSYS', undefined],
    ['EINVAL', undefined],
  ];
  for (const [code, expected] of answers) {
    const source = fakeSource({ '/proc/42/stat': running });
    const signal = (): never => {
      throw Object.assign(new Error(code), { code });
    };
    assert.equal(systemProcessTable({ ...source, signal }).look(42), expected, code);
  }
});

test('without /proc a process of Linux knows its number alone', () => {
  const source: ProcessSource = { ...fakeSource(), readText: () => undefined, readLink: () => undefined };
  assert.equal(ownIdentity(source), { pid: 42, startTime: '', bootId: '', pidNamespace: '' });
  assert.equal(systemProcessTable(source).look(42), { exists: true, zombie: false });
});

test('before Linux 5.6 there are no time namespaces, and start times are compared', () => {
  const source = fakeSource({ '/proc/self/stat': running, '/proc/42/stat': running });
  const readLink = (path: string): string | undefined =>
    path === '/proc/self/ns/time' ? undefined : source.readLink(path);
  assert.is(ownIdentity({ ...source, readLink }).startTime, '149049');
  assert.is(systemProcessTable({ ...source, readLink }).look(42)?.startTime, '149049');
});

test('macOS and Windows have one pid namespace, other systems perhaps more, and none reads /proc', () => {
  for (const [platform, pidNamespace] of [
    ['darwin', 'host'],
    ['win32', 'host'],
    ['freebsd', ''],
  ] as const) {
    const source: ProcessSource = { ...fakeSource(), platform, readText: reading, readLink: reading };
    assert.equal(ownIdentity(source), { pid: 42, startTime: '', bootId: '', pidNamespace });
    assert.equal(systemProcessTable(source).look(42), { exists: true, zombie: false });
  }
});

function lookAt(stat: string): ProcessLook | undefined {
  return systemProcessTable(fakeSource({ '/proc/42/stat': stat })).look(42);
}

function reading(): never {
  throw new Error('there is no /proc');
}

function fakeSource(texts: Readonly<Record<string, string>> = {}): ProcessSource {
  const linkTexts: Readonly<Record<string, string>> = {
    '/proc/self': '42',
    '/proc/self/ns/pid': 'pid:[4026531836]',
    '/proc/self/ns/time': 'time:[4026531834]',
  };
  return {
    platform: 'linux',
    pid: 42,
    readText: (path) => texts[path],
    readLink: (path) => linkTexts[path],
    signal: () => undefined,
  };
}

test.run();
