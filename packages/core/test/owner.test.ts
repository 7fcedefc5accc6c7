import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  judgeOwner,
  type Liveness,
  type Owner,
  ownerId,
  type OwnerObservations,
  probeOwner,
  sameBoot,
} from '#src/owner/owner.js';
import {
  ownIdentity,
  type ProcessIdentity,
  type ProcessLook,
  systemProcessTable,
} from '#src/owner/process-identity.js';
import type { WitnessAnswer } from '#src/owner/witness.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { ask, neglectedProcess, ownerOf, OwnerProcess, whyNoNamespaces } from './owner-process.js';

const notLinux = process.platform === 'linux' ? undefined : '/proc is a matter of Linux';
const onWindows = process.platform === 'win32' ? 'Windows has no witness' : undefined;

const test = suite('owner');

const here: ProcessIdentity = { pid: 9, startTime: '900', bootId: 'boot', pidNamespace: 'pid:[1]' };

function ownerWith(identity: Partial<ProcessIdentity>): Owner {
  return ownerOf({ identity: { ...here, pid: 5, startTime: '500', ...identity }, witness: 'witness-1' });
}

/** Every input of `judgeOwner`, as far as it tells inputs apart. */
function* observationSpace(): Generator<{ owner: Owner; observed: OwnerObservations }> {
  const looks: readonly (ProcessLook | undefined)[] = [
    undefined,
    { exists: false, zombie: false },
    { exists: true, zombie: true },
    { exists: true, zombie: true, startTime: '500' },
    { exists: true, zombie: false },
    { exists: true, zombie: false, startTime: '' },
    { exists: true, zombie: false, startTime: '500' },
    { exists: true, zombie: false, startTime: '501' },
  ];
  for (const self of [true, false])
    for (const witness of ['refused', 'accepted', 'unknown'] as const)
      for (const process of looks)
        for (const startTime of ['500', ''])
          for (const bootId of ['boot', 'other', ''])
            for (const bootHere of ['boot', ''])
              for (const pidNamespace of ['pid:[1]', 'pid:[2]', ''])
                for (const namespaceHere of ['pid:[1]', ''])
                  yield {
                    owner: ownerWith({ startTime, bootId, pidNamespace }),
                    observed: {
                      self,
                      witness,
                      process,
                      identity: { ...here, bootId: bootHere, pidNamespace: namespaceHere },
                    },
                  };
}

test('an owner is dead for exactly the reasons that the protocol names', () => {
  let cases = 0;
  for (const { owner, observed } of observationSpace()) {
    const { bootId, pidNamespace, startTime } = owner.identity;
    const { process, witness, identity } = observed;
    const otherBoot = bootId === 'other' && identity.bootId === 'boot';
    const sameNamespace = pidNamespace === 'pid:[1]' && identity.pidNamespace === 'pid:[1]';
    const goneFromHere =
      sameNamespace &&
      process !== undefined &&
      (!process.exists || process.zombie || (process.startTime === '501' && startTime === '500'));
    const dead =
      !observed.self && witness !== 'accepted' && (otherBoot || witness === 'refused' || goneFromHere);

    const verdict = judgeOwner(owner, observed);
    assert.is(!verdict.alive, dead, JSON.stringify({ owner: owner.identity, observed, verdict }));
    assert.is(verdict.why, expectedWhy(verdict, { owner, observed }), JSON.stringify({ owner, observed }));
    cases += 1;
  }
  assert.is(cases, 2 * 3 * 8 * 2 * 3 * 2 * 3 * 2);
});

/** The reason must be one that was observed. */
function expectedWhy(
  { why }: Liveness,
  { owner, observed }: { owner: Owner; observed: OwnerObservations },
): Liveness['why'] | 'a reason that was not observed' {
  const theirs = owner.identity;
  const { process, identity } = observed;
  const same = theirs.pidNamespace === identity.pidNamespace && theirs.pidNamespace !== '';
  const seen: Record<Liveness['why'], boolean> = {
    self: observed.self,
    witness: observed.witness === 'accepted',
    boot: theirs.bootId !== identity.bootId && theirs.bootId !== '' && identity.bootId !== '',
    'witness-refused': observed.witness === 'refused',
    'no-process': same && process?.exists === false,
    zombie: same && process?.zombie === true,
    'start-time': same && process?.startTime === '501' && theirs.startTime === '500',
    process: same && process?.startTime === '500' && theirs.startTime === '500',
    'other-namespace': theirs.pidNamespace === 'pid:[2]' && identity.pidNamespace !== '',
    unprovable: process?.startTime !== '500' || !same || theirs.startTime === '',
  };
  return seen[why] ? why : 'a reason that was not observed';
}

test('what is unknown never proves a death', () => {
  const nothing: OwnerObservations = { self: false, identity: here, process: undefined, witness: 'unknown' };
  assert.equal(judgeOwner(ownerWith({}), nothing), { alive: true, why: 'unprovable' });
  assert.equal(judgeOwner(ownerWith({ bootId: '' }), nothing), { alive: true, why: 'unprovable' });
  assert.equal(judgeOwner(ownerWith({ pidNamespace: 'pid:[2]' }), nothing), {
    alive: true,
    why: 'other-namespace',
  });
  // No such pid here says nothing about a namespace that is not known to be ours.
  const absent = { exists: false, zombie: false };
  for (const pidNamespace of ['', 'pid:[2]']) {
    assert.ok(judgeOwner(ownerWith({ pidNamespace }), { ...nothing, process: absent }).alive);
  }
});

test('a boot is the same if its id is, and the file system was not mounted again', () => {
  const cases: readonly (readonly [
    boot: string,
    mount: string | undefined,
    now: string | undefined,
    same: boolean,
  ])[] = [
    ['boot', 'm1', 'm1', true],
    ['boot', 'm1', 'm2', false],
    ['boot', 'm1', undefined, false],
    ['boot', undefined, 'm1', false],
    ['boot', undefined, undefined, false],
    ['other', 'm1', 'm1', false],
    ['', 'm1', 'm1', false],
  ];
  for (const [bootId, mount, now, same] of cases) {
    assert.is(sameBoot({ ...ownerWith({ bootId }), mount }, here, now), same, `${bootId} ${mount} ${now}`);
  }
  assert.not.ok(sameBoot({ ...ownerWith({ bootId: '' }), mount: 'm' }, { ...here, bootId: '' }, 'm'));
});

test('the witness is asked by name, and only where there is one', async () => {
  const asked: string[] = [];
  const probe = {
    processTable: { identity: () => here, look: () => undefined },
    witnessDirectory: '/store/witnesses',
    probeWitness: async (path: string): Promise<WitnessAnswer> => {
      asked.push(path);
      return 'refused';
    },
  };
  assert.equal(await probeOwner(ownerWith({}), probe), { alive: false, why: 'witness-refused' });
  assert.equal(asked, ['/store/witnesses/witness-1']);
  const { witness: _, ...without } = ownerWith({});
  assert.equal(await probeOwner(without, probe), { alive: true, why: 'unprovable' });
  assert.equal(await probeOwner(ownerWith({}), { ...probe, selfNumbers: new Set([1]) }), {
    alive: true,
    why: 'self',
  });
  assert.equal(asked.length, 1);
});

test('the name of an owner is its number in base 36', () => {
  assert.is(ownerId(1), '1');
  assert.is(ownerId(36), '10');
});

const processTable = systemProcessTable();

test.skipIf(
  onWindows,
  'a process is found alive while it runs or is stopped, and dead when it was killed',
  async () => {
    using directory = temporaryDirectory('owner');
    const probe = { processTable, witnessDirectory: directory.path };
    await using child = new OwnerProcess('own', { request: { directory: directory.path, id: '1' } });
    const owner = ownerOf(await child.answer());
    const unwitnessed = ownerOf({ ...owner, witness: null });
    const runs: Liveness = { alive: true, why: notLinux === undefined ? 'process' : 'unprovable' };

    assert.equal(await probeOwner(owner, probe), { alive: true, why: 'witness' });
    assert.equal(await probeOwner(unwitnessed, probe), runs);
    child.child.kill('SIGSTOP');
    await sleep(20);
    assert.equal(await probeOwner(owner, probe), { alive: true, why: 'witness' });
    assert.equal(await probeOwner(unwitnessed, probe), runs);
    await child.kill();
    assert.equal(await probeOwner(owner, probe), { alive: false, why: 'witness-refused' });
    assert.equal(await probeOwner(unwitnessed, probe), { alive: false, why: 'no-process' });
  },
);

test.skipIf(notLinux, 'a killed process that nobody waits for is dead', async () => {
  using directory = temporaryDirectory('owner');
  const probe = { processTable, witnessDirectory: directory.path };
  await using child = await neglectedProcess();
  const { pid } = child;
  const startTime = processTable.look(pid)?.startTime ?? '';
  const owner = ownerOf({ identity: { ...ownIdentity(), pid, startTime }, witness: null });
  assert.equal(await probeOwner(owner, probe), { alive: true, why: 'process' });
  process.kill(pid, 'SIGKILL');
  while (processTable.look(pid)?.zombie === false) await sleep(5);
  assert.equal(await probeOwner(owner, probe), { alive: false, why: 'zombie' });
});

test.skipIf(onWindows, 'an owner whose thread ended is dead, though its process lives', async () => {
  using directory = temporaryDirectory('owner');
  const probe = { processTable, witnessDirectory: directory.path };
  await using child = new OwnerProcess('own-in-thread', { request: { directory: directory.path, id: '1' } });
  const owner = ownerOf(await child.answer());
  assert.equal(await probeOwner(owner, probe), { alive: true, why: 'witness' });
  child.child.stdin!.write('terminate\n');
  await child.answer();
  assert.equal(await probeOwner(owner, probe), { alive: false, why: 'witness-refused' });
});

const noPidNamespace = notLinux ?? whyNoNamespaces('-pf', '--mount-proc');
const notRoot = process.getuid?.() === 0 ? undefined : 'only root can choose the next pid';

test.skipIf(noPidNamespace ?? notRoot, 'an owner whose pid went to another process is dead', () => {
  using directory = temporaryDirectory('owner');
  const owner = ownerOf({ identity: here, witness: null });
  const answer = ask('reuse-pid', { owner, directory: directory.path }, ['unshare', '-pf', '--mount-proc']);
  assert.equal(answer['before'], { alive: true, why: 'process' });
  assert.equal(answer['dead'], { alive: false, why: 'no-process' });
  assert.equal(answer['reused'], { alive: false, why: 'start-time' });
});

test.skipIf(noPidNamespace, 'an owner in another pid namespace is judged by its witness alone', async () => {
  using directory = temporaryDirectory('owner');
  const probe = { processTable, witnessDirectory: directory.path };
  const under = ['unshare', '-pf', '--kill-child', '--mount-proc'];
  await using child = new OwnerProcess('own', { request: { directory: directory.path, id: '1' }, under });
  const owner = ownerOf(await child.answer());
  const unwitnessed = ownerOf({ ...owner, witness: null });
  assert.is.not(owner.identity.pidNamespace, ownIdentity().pidNamespace);
  assert.equal(await probeOwner(owner, probe), { alive: true, why: 'witness' });
  assert.equal(await probeOwner(unwitnessed, probe), { alive: true, why: 'other-namespace' });
  await child.kill();
  while ((await probeOwner(owner, probe)).alive) await sleep(5);
  assert.equal(await probeOwner(owner, probe), { alive: false, why: 'witness-refused' });
  assert.equal(await probeOwner(unwitnessed, probe), { alive: true, why: 'other-namespace' });
});

const noMountNamespace = notLinux ?? whyNoNamespaces('-m');

test.skipIf(noMountNamespace, 'after a reboot an owner is dead, whatever runs under its pid', async () => {
  using directory = temporaryDirectory('owner');
  await using child = new OwnerProcess('own', { request: { directory: directory.path, id: '1' } });
  const owner = ownerOf(await child.answer());
  const unwitnessed = ownerOf({ ...owner, witness: null });
  writeFileSync(`${directory.path}/boot-id`, '11111111-2222-3333-4444-555555555555\n');
  const bind = `mount --bind ${directory.path}/boot-id /proc/sys/kernel/random/boot_id && exec "$@"`;
  const judge = (of: Owner): unknown =>
    ask('judge', { owner: of, directory: directory.path }, ['unshare', '-m', 'sh', '-c', bind, 'sh'])[
      'liveness'
    ];

  // Containers have made-up boot ids: who answers is alive all the same.
  assert.equal(judge(owner), { alive: true, why: 'witness' });
  assert.equal(judge(unwitnessed), { alive: false, why: 'boot' });
  await child.kill();
  assert.equal(judge(owner), { alive: false, why: 'boot' });
});

test.run();
