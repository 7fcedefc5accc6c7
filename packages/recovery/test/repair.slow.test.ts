/** A blocked transaction, ended each way: what is there afterwards, what is kept aside, and that the store goes on. */

import { isStoreError, type Operation } from '@forewrit/core';
import { repairTransaction, type RepairDirection, type RepairReport } from '#src/repair.js';
import { announceSeed, assert, Random, suite } from '@forewrit/testkit';
import { differentChoices, enumerate } from './crash/enumeration.js';
import { undoScenarios } from './crash/undo-scenarios.js';
import { recordOf, Stager } from './staging-world.js';
import { historyProblem, historyRows, namesBesideHistory, undo } from './history-world.js';
import {
  blind,
  conflictContents,
  contentOf,
  edit,
  mkdir,
  move,
  type ProcessOptions,
  remove,
  root,
  type SimulatedProcess,
  tree,
  World,
  write,
} from './world.js';

const test = suite('repair', { timeoutMs: 120_000 });

const large: ProcessOptions = { inlineLimitBytes: 0 };
const everything = { start: new Uint8Array(0) };

interface Blocked {
  readonly world: World;
  readonly process: SimulatedProcess;
}

/** The content of `rotten` is gone; what comes before it in the transaction was applied, the rest was not. */
async function blocked(...operations: readonly Operation[]): Promise<Blocked> {
  return await blockedWith({}, ...operations);
}

async function blockedWith(
  options: Pick<ProcessOptions, 'history'>,
  ...operations: readonly Operation[]
): Promise<Blocked> {
  return await blockedBy(async (dying) => {
    assert.instance(dying.attempt(...operations, write('rotten', 'x')), Error);
  }, options);
}

async function blockedBy(
  commit: (dying: SimulatedProcess) => Promise<void>,
  options: Pick<ProcessOptions, 'history'> = {},
  before: readonly Operation[] = [],
): Promise<Blocked> {
  const world = new World();
  const first = await world.open(large);
  first.commit(
    write('a', 'old a'),
    write('b', 'old b'),
    write('d/x', 'old x'),
    write('gone', 'old'),
    ...before,
  );
  first.checkpoint();
  first.kill();
  const dying = await world.open({
    ...large,
    ...options,
    beforeCall: ({ method, dest }) => {
      if (method === 'rename' && dest === `${root}/rotten`) dying.kill();
    },
  });
  await commit(dying);
  dying.kill();
  const after = world.powerCut();
  const staged = after.outside
    .list(`${root}/.forewrit/staged`)
    .filter((name) => /^2-1-[0-9a-z]+$/.test(name));
  for (const name of staged) {
    const path = `${root}/.forewrit/staged/${name}`;
    if (after.outside.lstat(path)?.size === 1) after.outside.unlink(path);
  }
  const process = await after.open(large);
  assert.equal(process.recovery?.blocked, ['2-1']);
  return { world: after, process };
}

async function settle({ world, process }: Blocked, direction: RepairDirection): Promise<RepairReport> {
  const report = await repairTransaction(process.context, process.owner, {
    id: '2-1',
    direction,
    blocked: process.recovery?.blocked ?? [],
  });
  const left = process.context.log.view((view) => [
    view.range('log', everything).length,
    view.range('locks', everything).length,
  ]);
  assert.equal(left, [0, 0]);
  // Everything is durable, and nothing is left to do but to deregister its owner.
  process.kill();
  const cut = world.powerCut(() => false);
  const next = await cut.open(large);
  assert.equal(tree(cut.outside), tree(world.outside));
  assert.equal([...next.recovery!.redone, ...next.recovery!.kept, ...next.recovery!.blocked], []);
  assert.equal(namesBesideHistory(cut), []);
  assert.is(historyProblem(cut), undefined);
  // Rows are as the files are: a save on top of them is none on top of an edit.
  next.commit(write('a', 'later'), write('b', 'later'), write('rotten', 'later'));
  return report;
}

const changes = [write('a', 'new a'), write('b', 'new b')];
const oldTree = { a: 'old a', b: 'old b', 'd/': '', 'd/x': 'old x', gone: 'old' };

test('forward carries out what can be carried out', async () => {
  const at = await blocked(...changes, remove('gone'));
  const report = await settle(at, 'forward');
  assert.equal(tree(at.world.outside), { a: 'new a', b: 'new b', 'd/': '', 'd/x': 'old x' });
  assert.equal(Object.fromEntries(report.paths.map(({ path, did }) => [path, did])), {
    a: 'kept',
    b: 'kept',
    gone: 'redone',
    rotten: 'kept',
  });
});

test('forward gives way to somebody else, and keeps ours aside', async () => {
  const at = await blocked(...changes);
  edit(at.world.outside, 'b', 'somebody else');
  await settle(at, 'forward');
  assert.equal(tree(at.world.outside), { ...oldTree, a: 'new a', b: 'somebody else' });
  assert.ok(conflictContents(at.world.outside).includes('new b'));
});

test('back puts back what was there, and keeps aside what it replaces', async () => {
  const at = await blocked(...changes, mkdir('made'), remove('gone'));
  const report = await settle(at, 'back');
  assert.equal(tree(at.world.outside), oldTree);
  assert.equal(conflictContents(at.world.outside).sort(), ['new a', 'new b']);
  assert.is(report.conflicts.length, 2);
  assert.equal(report.paths.find(({ path }) => path === 'made')?.did, 'removed');
});

test('back puts back a directory that had moved, with what is in it', async () => {
  const at = await blocked(move('d', 'e'), write('e/x', 'new x'), write('e/y', 'new y'));
  assert.equal(tree(at.world.outside), {
    a: 'old a',
    b: 'old b',
    'e/': '',
    'e/x': 'new x',
    'e/y': 'new y',
    gone: 'old',
  });
  await settle(at, 'back');
  assert.equal(tree(at.world.outside), oldTree);
});

test('back takes a parent away that was made where a directory was', async () => {
  const at = await blocked(move('d', 'e'), write('d/y', 'new y'));
  await settle(at, 'back');
  assert.equal(tree(at.world.outside), oldTree);
  assert.equal(conflictContents(at.world.outside), ['new y']);
});

test('back puts back a directory whose place another one has taken', async () => {
  const at = await blockedBy(
    async (dying) => {
      const operations = [move('g/y', 'n'), remove('g'), move('d', 'g'), write('g/x', 'new x')];
      assert.instance(dying.attempt(...operations, write('rotten', 'x')), Error);
    },
    {},
    [write('g/y', 'old y'), write('g/s/z', 'old z')],
  );
  const report = await settle(at, 'back');
  assert.equal(tree(at.world.outside), {
    ...oldTree,
    'g/': '',
    'g/s/': '',
    'g/s/z': 'old z',
    'g/y': 'old y',
  });
  assert.is(report.paths.find(({ path }) => path === 'g')?.did, 'restored');
});

test('back puts back a file whose place a directory has taken', async () => {
  for (const elsewhere of [[remove('a')], [move('a', 'n')]]) {
    const at = await blocked(...elsewhere, move('d', 'a'));
    const report = await settle(at, 'back');
    assert.equal(tree(at.world.outside), oldTree);
    assert.is(report.paths.find(({ path }) => path === 'a')?.did, 'restored');
  }
});

test('back keeps aside content that was staged over time, whether or not it was applied', async () => {
  const text = 'What arrived over days.';
  for (const path of ['a', 'z']) {
    const at = await blockedBy(async (dying) => {
      const stager = new Stager(dying);
      const staged = await stager.stage('x');
      await staged.append(text);
      await staged.sync();
      try {
        await stager.write(path, staged, write('b', 'new b'), write('rotten', 'x'));
      } catch {
        // Killed at its last target but, perhaps, this one.
      }
    });
    const wasApplied = tree(at.world.outside)[path] === text;
    assert.is(wasApplied, path === 'a');
    const { conflicts } = await settle(at, 'back');
    assert.equal(tree(at.world.outside), oldTree);
    assert.ok(conflicts.some((each) => each.path === path));
    assert.ok(conflictContents(at.world.outside).includes(text), `${path}: kept`);
    assert.is(recordOf(at.world, 'x'), undefined);
  }
});

test('back with a damaged before-image touches nothing', async () => {
  const at = await blocked(...changes);
  const { outside } = at.world;
  const names = outside.list(`${root}/.forewrit/before`);
  assert.ok(names.includes('2-1-0'));
  outside.unlink(`${root}/.forewrit/before/2-1-0`);
  edit(outside, '.forewrit/before/2-1-0', 'rotten', 'new');
  const before = tree(outside);
  const error: unknown = await settle(at, 'back').catch((thrown: unknown) => thrown);
  assert.ok(isStoreError(error, 'ERR_INTEGRITY'), String(error));
  assert.equal(tree(outside), before);
});

test('quarantine leaves the tree as it is, and keeps everything aside', async () => {
  const at = await blocked(...changes);
  edit(at.world.outside, 'b', 'somebody else');
  const before = tree(at.world.outside);
  const report = await settle(at, 'quarantine');
  assert.equal(tree(at.world.outside), before);
  assert.equal(conflictContents(at.world.outside).sort(), ['new b', 'old a', 'old b']);
  assert.ok(report.paths.every(({ did }) => did === 'kept'));
});

/** Of 2-1, by a process that does not get further than so many calls. */
async function repairThatDies(
  world: World,
  direction: 'forward' | 'back' | 'quarantine',
  calls: number,
): Promise<void> {
  let left = Number.POSITIVE_INFINITY;
  const dying = await world.open({
    ...large,
    beforeCall: () => {
      if (left-- === 0) dying.kill();
    },
  });
  left = calls;
  const request = { id: '2-1', direction, blocked: ['2-1'] };
  await repairTransaction(dying.context, dying.owner, request).catch(() => undefined);
  dying.kill();
}

test('a repair that dies can be repeated, in any direction', async () => {
  for (const direction of ['forward', 'back', 'quarantine'] as const) {
    for (let call = 0; call < 60; call += 3) {
      const { world, process: first } = await blocked(...changes, remove('gone'));
      first.kill();
      await repairThatDies(world, direction, call);
      const process = await world.open(large);
      if (process.recovery?.blocked.length === 0) continue;
      await settle({ world, process }, 'back');
      assert.equal(tree(world.outside), oldTree, `${direction}, call ${call}`);
    }
  }
});

test('back may be repeated where a directory is back in its place already', async () => {
  const changing = [
    [remove('a'), move('d', 'a'), move('b', 'd')],
    [move('d', 'e'), write('d/x', 'new x')],
  ];
  for (const operations of changing) {
    for (let call = 0, isDone = false; !isDone; call += 1) {
      const { world, process: first } = await blocked(...operations);
      first.kill();
      await repairThatDies(world, 'back', call);
      const process = await world.open(large);
      isDone = process.recovery?.blocked.length === 0;
      if (!isDone) await settle({ world, process }, 'back');
      assert.equal(tree(world.outside), oldTree, `call ${call}`);
    }
  }
});

test('a transaction that is not blocked, or not there, is refused', async () => {
  const { process } = await blocked(...changes);
  const refused = (id: string, known: readonly string[]): Promise<unknown> =>
    repairTransaction(process.context, process.owner, { id, direction: 'back', blocked: known });
  await assert.rejectsWithCode(refused('9-9', ['9-9']), 'ERR_NOT_FOUND');
  await assert.rejectsWithCode(refused('nonsense!', []), 'ERR_NOT_FOUND');
  await assert.rejectsWithCode(refused('2-1', []), 'ERR_STORE_LOCKED');
});

test('back leaves parents that were made, and a directory that is not where it was moved', async () => {
  const at = await blocked(write('p/q', 'new'), move('d', 'e'));
  const { outside } = at.world;
  outside.rename(`${root}/e`, `${root}/elsewhere`);
  const report = await repairTransaction(at.process.context, at.process.owner, {
    id: '2-1',
    direction: 'back',
    blocked: ['2-1'],
  });
  const did = Object.fromEntries(report.paths.map((path) => [path.path, path.did]));
  assert.equal([did['p'], did['p/q'], did['e']], ['kept', 'removed', 'kept']);
  assert.is(outside.lstat(`${root}/p`)?.type, 'directory');
  assert.is(outside.lstat(`${root}/elsewhere`)?.type, 'directory');
  assert.is(outside.lstat(`${root}/d`), undefined);
});

test('a repair forward looks again where somebody edits meanwhile, but not for ever', async () => {
  for (const always of [false, true]) {
    const { world, process: first } = await blocked(...changes, remove('gone'));
    first.kill();
    let armed = false;
    let edits = 0;
    const process = await world.open({
      ...large,
      beforeCall: ({ method, path }) => {
        if (!armed || method !== 'lstat' || path !== `${root}/gone`) return;
        if (!always && edits > 0) return;
        edits += 1;
        edit(world.outside, 'gone', `edited ${edits}`);
      },
    });
    assert.equal(process.recovery?.blocked, ['2-1']);
    armed = true;
    const repaired = repairTransaction(process.context, process.owner, {
      id: '2-1',
      direction: 'forward',
      blocked: ['2-1'],
    });
    const error: unknown = await repaired.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    armed = false;
    if (error !== undefined) assert.ok(isStoreError(error, 'ERR_CONFLICT'), String(error));
    assert.ok(edits > 0);
    assert.match(tree(world.outside)['gone']!, 'edited');
  }
});

test('entries that a blocked transaction had locked are let go of with it', async () => {
  for (const direction of ['forward', 'quarantine', 'back'] as const) {
    const put = { type: 'put', collection: 'notes', key: 'k', value: Uint8Array.of(1) } as const;
    const at = await blocked(...changes, put);
    await settle(at, direction);
    const left = at.process.context.log.view((view) => view.range('entries', everything).length);
    assert.is(left, direction === 'back' ? 0 : 1, direction);
  }
});

test('what was carried out forward is in history, as its owner kept it, and undone', async () => {
  const put = { type: 'put', collection: 'notes', key: 'k', value: Uint8Array.of(1) } as const;
  const at = await blockedWith(
    { history: {} },
    ...changes,
    remove('gone'),
    remove('d'),
    write('n', 'new n'),
    put,
  );
  await settle(at, 'forward');
  const { outside } = at.world;
  assert.equal(tree(outside), { a: 'new a', b: 'new b', n: 'new n' });
  const [row, ...others] = historyRows(at.world);
  assert.equal(others, []);
  assert.equal(
    row?.targets.map(({ path, kept, lost }) => [path, kept !== undefined, lost]).sort(),
    [
      ['a', true, undefined],
      ['b', true, undefined],
      ['d', true, undefined],
      ['gone', true, undefined],
      ['n', false, undefined],
    ],
    'and nothing of what it was not carried out for',
  );
  const next = await at.world.open(large);
  await undo(next, '2-1');
  assert.equal(tree(outside), oldTree);
  assert.equal(
    next.context.log.view((view) => view.range('entries', everything)),
    [],
  );
});

test('what somebody holds now after a repair forward is not undone', async () => {
  const at = await blockedWith({ history: {} }, ...changes);
  edit(at.world.outside, 'b', 'somebody else');
  await settle(at, 'forward');
  const next = await at.world.open(large);
  const refused = await undo(next, '2-1').then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(isStoreError(refused, 'ERR_CONFLICT'));
  assert.equal(tree(at.world.outside), { ...oldTree, a: 'new a', b: 'somebody else' });
});

test('what was taken back or left as it was is not in history', async () => {
  for (const direction of ['back', 'quarantine'] as const) {
    const at = await blockedWith({ history: {} }, ...changes, remove('gone'));
    await settle(at, direction);
    assert.equal(historyRows(at.world), []);
  }
});

test('what somebody has written into a before-image is put aside by a repair forward', async () => {
  for (const options of [{}, { history: {} }]) {
    const at = await blockedWith(options, ...changes);
    const { outside } = at.world;
    const before = outside.list(`${root}/.forewrit/before`).filter((name) => name.startsWith('2-1-'));
    const file = before
      .map((name) => `${root}/.forewrit/before/${name}`)
      .find(
        (each) =>
          outside.lstat(each)?.ino !== outside.lstat(`${root}/a`)?.ino && textAt(at, each) === 'old a',
      );
    const descriptor = outside.openUpdate(file!);
    at.world.disk.clock.advance(100);
    outside.write(descriptor, Buffer.from('typed into it'), 0);
    outside.sync(descriptor);
    outside.close(descriptor);
    await settle(at, 'forward');
    assert.ok(conflictContents(outside).includes('typed into it'), Object.keys(options).join());
  }
});

function textAt({ world }: Blocked, path: string): string | undefined {
  return contentOf(world.outside, path);
}

for (const scenario of undoScenarios) {
  if (scenario.afterRecovery === undefined) continue;
  test(`a repair that a power cut has interrupted is repeated: ${scenario.name}`, async () => {
    const random = new Random(announceSeed('repair'));
    const tally = { states: 0, nested: 0, recovered: 0, points: 0 };
    await enumerate(
      scenario,
      {
        model: 'weakest',
        random,
        choices: (effects) => differentChoices(effects, { exhaustiveMax: 64, samples: 10, random }),
        nestedShare: 0,
        depth: 0,
      },
      tally,
    );
    assert.ok(tally.recovered > 25, `${tally.recovered} disks`);
  });
}

test('an edit right before a repair writes is met', async () => {
  let edits = 0;
  for (let at = 0; at < 12; at += 1) {
    const { world, process: first } = await blocked(...changes, remove('gone'));
    first.kill();
    let left = Number.POSITIVE_INFINITY;
    const process = await world.open({
      ...large,
      beforeCall: ({ method, path }) => {
        if (method !== 'lstat' || path !== `${root}/gone` || left-- !== 0) return;
        edit(world.outside, 'gone', 'edited');
        edits += 1;
      },
    });
    left = at;
    const direction = 'forward';
    await repairTransaction(process.context, process.owner, { id: '2-1', direction, blocked: ['2-1'] });
    left = Number.POSITIVE_INFINITY;
    assert.ok(['edited', undefined].includes(tree(world.outside)['gone']), `at look ${at}`);
  }
  assert.ok(edits > 1);
});

for (const direction of ['forward', 'back', 'quarantine'] as const) {
  test(`what somebody puts at a path while it is repaired is not lost: ${direction}`, async () => {
    const lost: string[] = [];
    let met = 0;
    for (const path of ['a', 'gone', 'rotten', 'n', 'd']) {
      for (let at = 0, isDone = false; !isDone; at += 1) {
        const { world, process: first } = await blocked(
          ...changes,
          write('n', 'new n'),
          remove('gone'),
          move('d', 'e'),
        );
        first.kill();
        let left = Number.POSITIVE_INFINITY;
        let what = '';
        const process = await world.open({
          ...large,
          beforeCall({ method }) {
            if (blind.has(method) || left-- !== 0) return;
            what = `${path} before ${method}`;
            if (world.outside.lstat(`${root}/${path}`)?.type === 'directory')
              world.outside.rename(`${root}/${path}`, `${root}/aside`);
            edit(world.outside, path, 'edited');
          },
        });
        left = at;
        const request = { id: '2-1', direction, blocked: ['2-1'] };
        await repairTransaction(process.context, process.owner, request).catch(() => undefined);
        isDone = left >= 0;
        left = Number.POSITIVE_INFINITY;
        if (isDone) continue;
        met += 1;
        const everywhere = { ...tree(world.outside), ...tree(world.outside, `${root}/.forewrit/conflicts`) };
        if (!Object.values(everywhere).includes('edited')) lost.push(`call ${at}: ${what}`);
      }
    }
    assert.equal(lost, []);
    assert.ok(met > 100, `${met} moments`);
  });
}

test.run();
