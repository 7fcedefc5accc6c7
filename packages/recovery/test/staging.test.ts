/** Content that is staged over time: who may continue it, how long it is kept, and what becomes of it in a commit. */

import { openOn } from './faults/store-use.js';
import { recordOf, Stager } from './staging-world.js';
import { type Content, deregisterOwner, type Operation } from '@forewrit/core';
import { assert, SimulatedDisk, suite } from '@forewrit/testkit';
import { contentOf, edit, root, stagingNames, tree, World, write } from './world.js';

const test = suite('staging');
const day = 24 * 60 * 60 * 1000;
const text = 'What arrives slowly. ';

async function stagedBy(world: World, { ttlMs }: { readonly ttlMs?: number } = {}): Promise<Stager> {
  const stager = new Stager(await world.open());
  const staged = await stager.stage('x', ttlMs === undefined ? {} : { ttlMs });
  await staged.append(text);
  await staged.sync();
  return stager;
}

test('content of a dead owner is kept, and continued by the next one', async () => {
  const world = new World();
  const first = await stagedBy(world);
  first.process.kill();
  const next = new Stager(await world.open());
  assert.equal(next.process.recovery?.undone, []);
  assert.is(next.process.recovery?.sweptFiles, 0);
  assert.equal(stagingNames(world.outside), ['staged/1-rs-s0']);
  const staged = await next.stage('x');
  assert.is(staged.offset, text.length);
  await staged.append('And ends.');
  await next.write('x', staged);
  assert.equal(tree(world.outside), { x: `${text}And ends.` });
  next.process.checkpoint();
  assert.equal(stagingNames(world.outside), []);
  assert.is(recordOf(world, 'x'), undefined);
});

test('it survives a power cut, as far as it was synced', async () => {
  const world = new World();
  const first = await stagedBy(world);
  const staged = await first.stage('y');
  await staged.append('never synced');
  const after = world.powerCut(() => false);
  const next = new Stager(await after.open());
  assert.is((await next.stage('x')).offset, text.length);
  assert.is((await next.stage('y')).offset, 0);
});

test('a power cut between the flush of staged bytes and their record loses nothing that was recorded', async () => {
  const world = new World();
  const first = await stagedBy(world);
  let cut: World | undefined;
  const process = await world.open({
    onStep: (what) => {
      if (cut === undefined && what.startsWith('before sync ') && what.endsWith('-s0'))
        cut = world.powerCut(() => false);
    },
  });
  first.process.kill();
  const stager = new Stager(process);
  const staged = await stager.stage('x');
  await staged.append('More. ');
  await staged.sync();
  assert.ok(cut !== undefined);
  const next = new Stager(await cut.open());
  assert.is((await next.stage('x')).offset, text.length);
});

test('who comes too late to take content up leaves the bytes of the one that has it', async () => {
  const world = new World();
  const first = await stagedBy(world);
  first.process.kill();
  const one = new Stager(await world.open());
  let races = 0;
  const late = new Stager(await world.open(), {
    // It has seen that all is well, and is about to take it.
    afterRead: async () => {
      if (races++ > 0) return;
      const staged = await one.stage('x');
      await staged.append('On and on.');
      await staged.sync();
    },
  });
  await assert.rejectsWithCode(late.stage('x'), 'ERR_CONFLICT');
  assert.is(races, 1);
  const { resumable } = recordOf(world, 'x')!;
  assert.is(resumable.offset, text.length + 10);
  assert.is(contentOf(world.outside, `${root}/.forewrit/staged/${resumable.staged}`), `${text}On and on.`);
});

test('a discard that dies half-way leaves what can be continued, or nothing', async () => {
  for (const failpoint of ['staging.before', 'staging.after'] as const) {
    for (const skip of [0, 1, 2]) {
      const world = new World();
      const process = await world.open({ failpoint: { name: failpoint, action: 'throw', skip } });
      const stager = new Stager(process);
      const done: string[] = [];
      try {
        const staged = await stager.stage('x');
        done.push('begun');
        await staged.append(text);
        await staged.sync();
        done.push('synced');
        await staged.discard();
      } catch {
        // The simulated death.
      }
      process.kill();
      const next = new Stager(await world.open());
      const again = await next.stage('x');
      const isRecorded = skip === 1 ? failpoint === 'staging.after' : failpoint === 'staging.before';
      assert.is(again.offset, skip > 0 && isRecorded ? text.length : 0, `${failpoint}, ${skip}`);
      assert.equal(done, ['begun', 'synced'].slice(0, skip));
      await again.append('!');
      await next.write('x', again);
      next.process.checkpoint();
      assert.equal(stagingNames(world.outside), []);
    }
  }
});

test('a dead owner that has left nothing else is deregistered, and its content is no work for recovery', async () => {
  const world = new World();
  const first = await stagedBy(world);
  first.process.kill();
  const next = await world.open();
  assert.equal(
    world.log.rows('owners').range({ start: new Uint8Array(0) }).length,
    1,
    'the dead owner has gone',
  );
  next.kill();
  let commits = 0;
  const third = await world.open();
  third.kill();
  const last = await world.start({
    onStep: (what) => {
      if (what === 'before a commit of the log') commits += 1;
    },
  });
  commits = 0;
  const report = await last.recover();
  assert.equal(report.undone, []);
  // It takes the recovery lock for the owner that has died, and no more.
  assert.ok(commits <= 2, `${commits} commits`);
  const before = commits;
  await last.recover();
  assert.is(commits, before, 'a second recovery writes nothing');
  assert.is(recordOf(world, 'x')?.resumable.offset, text.length);
});

test('content that a living owner stages is not to be had, and is once that is dead', async () => {
  const world = new World();
  const first = await stagedBy(world);
  const other = new Stager(await world.open());
  await assert.rejectsWithCode(other.stage('x'), 'ERR_CONFLICT');
  await assert.rejectsWithCode(other.discard('x'), 'ERR_CONFLICT');
  first.process.kill();
  // Nobody has told it of that death.
  const staged = await other.stage('x');
  assert.is(staged.offset, text.length);
  await other.write('x', staged);
  assert.equal(tree(world.outside), { x: text });
});

test('its record is moved to the one that takes it up, and its file keeps its name', async () => {
  const world = new World();
  const first = await stagedBy(world);
  const { number, resumable } = recordOf(world, 'x')!;
  first.process.kill();
  const next = new Stager(await world.open());
  await next.stage('x');
  const moved = recordOf(world, 'x')!;
  assert.is(moved.number.owner, next.process.owner.number);
  assert.is.not(moved.number.owner, number.owner);
  assert.equal(moved.resumable, resumable);
  // A third one must not sweep the file: the owner in its name is gone, and the record is of one that lives.
  const third = await world.open();
  assert.is(third.recovery?.sweptFiles, 0);
  assert.equal(stagingNames(world.outside), [`staged/${resumable.staged}`]);
});

test('two that take up the same: one has it, and the other leaves its bytes alone', async () => {
  const world = new World();
  const first = await stagedBy(world);
  first.process.kill();
  const one = new Stager(await world.open());
  const other = new Stager(await world.open());
  const [mine, theirs] = await Promise.allSettled([one.stage('x'), other.stage('x')]);
  const [taken] = [mine, theirs].flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const refusals = [mine, theirs].filter(({ status }) => status === 'rejected');
  assert.is(refusals.length, 1);
  assert.ok(taken !== undefined);
  await taken.append('On and on.');
  await taken.sync();
  await assert.rejectsWithCode((mine.status === 'fulfilled' ? other : one).stage('x'), 'ERR_CONFLICT');
  assert.is(recordOf(world, 'x')?.resumable.offset, text.length + 10);
});

test('content is kept until its age limit, counted from its last advance, and swept after it', async () => {
  const world = new World();
  const first = await stagedBy(world, { ttlMs: day });
  world.disk.clock.advance(day / 2);
  const staged = await first.stage('y', { ttlMs: day });
  await staged.append('later');
  await staged.sync();
  first.process.kill();
  world.disk.clock.advance(day / 2 - 1000);
  const early = await world.open();
  assert.equal(early.recovery?.undone, []);
  early.kill();
  world.disk.clock.advance(2000);
  const late = await world.open();
  assert.equal(late.recovery?.undone, ['1-rs']);
  assert.is(recordOf(world, 'x'), undefined);
  assert.ok(recordOf(world, 'y') !== undefined);
  assert.equal(stagingNames(world.outside), ['staged/1-rt-s0']);
  assert.is(await new Stager(late).discard('y'), true);
  assert.equal(stagingNames(world.outside), []);
});

test('what its owner has open is not overdue as long as that lives', async () => {
  const world = new World();
  const first = await stagedBy(world, { ttlMs: 0 });
  world.disk.clock.advance(day);
  const other = await world.open();
  assert.equal(other.recovery?.undone, []);
  const staged = recordOf(world, 'x');
  assert.is(staged?.number.owner, first.process.owner.number);
});

test('a clock that was put back keeps content longer', async () => {
  const world = new World();
  const first = await stagedBy(world, { ttlMs: 0 });
  first.process.kill();
  world.disk.clock.setWall(1000);
  const next = await world.open();
  assert.equal(next.recovery?.undone, []);
});

test('sweeping overdue content is repeated where it was interrupted', async () => {
  for (let call = 0; call < 3; call += 1) {
    const world = new World();
    const first = await stagedBy(world, { ttlMs: 0 });
    first.process.kill();
    world.disk.clock.advance(day);
    const interrupted = await world.start({
      failpoint: {
        name: (['recover.before', 'recover.complete', 'recover.sweep'] as const)[call]!,
        action: 'throw',
      },
    });
    assert.instance(await interrupted.recover().catch((error: unknown) => error), Error);
    interrupted.kill();
    await world.open();
    assert.is(recordOf(world, 'x'), undefined);
    assert.equal(stagingNames(world.outside), []);
  }
});

test('a commit that was rolled back gives the content back, to be continued', async () => {
  const world = new World();
  const process = await world.open({
    faults: [{ error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === `${root}/b` }],
  });
  const stager = new Stager(process);
  const staged = await stager.stage('x');
  await staged.append(text);
  await staged.sync();
  await assert.rejectsWithCode(stager.write('b', staged), 'ERR_APPLY_ROLLED_BACK');
  assert.equal(tree(world.outside), {});
  assert.is(recordOf(world, 'x')?.resumable.offset, text.length);
  process.kill();
  const next = new Stager(await world.open());
  const again = await next.stage('x');
  await again.append('And ends.');
  await next.write('b', again);
  assert.equal(tree(world.outside), { b: `${text}And ends.` });
});

/** Writes `b` from what is staged and `c`, whose apply fails after somebody has done something to `b`. */
async function rolledBackAfter(edit: (world: World) => void): Promise<World> {
  const world = new World();
  const process = await world.open({
    beforeCall: ({ method, dest }) => {
      if (method === 'rename' && dest === `${root}/c`) edit(world);
    },
    faults: [{ error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === `${root}/c` }],
  });
  const stager = new Stager(process);
  const staged = await stager.stage('x');
  await staged.append(text);
  await staged.sync();
  await assert.rejectsWithCode(stager.write('b', staged, write('c', 'content')), 'ERR_APPLY_ROLLED_BACK');
  process.kill();
  return world;
}

test('what somebody has put in the place of content before that was rolled back stays, and so does the content', async () => {
  const world = await rolledBackAfter(({ outside }) => edit(outside, 'b', 'somebody else’s'));
  const stager = new Stager(await world.open());
  assert.equal(tree(world.outside), { b: 'somebody else’s' });
  const staged = await stager.stage('x');
  assert.is(staged.offset, text.length);
  await stager.write('b', staged);
  assert.equal(tree(world.outside), { b: text });
});

test('what somebody has written into the file of a commit that is rolled back stays theirs', async () => {
  const world = await rolledBackAfter(({ outside }) => {
    const descriptor = outside.openUpdate(`${root}/b`);
    outside.write(descriptor, Buffer.from('And a note.'), text.length);
    outside.close(descriptor);
  });
  const stager = new Stager(await world.open());
  assert.is(recordOf(world, 'x'), undefined);
  const staged = await stager.stage('x');
  assert.is(staged.resumed, false);
  await staged.discard();
  assert.equal(tree(world.outside), { b: `${text}And a note.` });
  assert.equal(stagingNames(world.outside), []);
});

test('a roll-back that died before its abort was flushed has not happened: the content is the file’s', async () => {
  const world = new World();
  const process = await world.open({
    faults: [{ error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === `${root}/b` }],
    failpoint: { name: 'roll-back.before-abort', action: 'throw' },
  });
  const stager = new Stager(process);
  const staged = await stager.stage('x');
  await staged.append(text);
  assert.instance(await stager.write('b', staged).catch((error: unknown) => error), Error);
  process.kill();
  await world.open();
  assert.equal(tree(world.outside), { b: text });
  assert.is(recordOf(world, 'x'), undefined);
  assert.equal(stagingNames(world.outside), []);
});

for (const name of [
  'stage.after',
  'log.inside',
  'log.after',
  'apply.after',
  'checkpoint.sync-directory',
  'checkpoint.trim',
  'checkpoint.sweep',
] as const) {
  test(`killed at ${name} while it is adopted, content is in its file or can be continued`, async () => {
    const world = new World();
    const first = await stagedBy(world);
    first.process.kill();
    const process = await world.open({ failpoint: { name, action: 'throw' } });
    const stager = new Stager(process);
    const staged = await stager.stage('x');
    let isThrown = false;
    try {
      await stager.write('x', staged);
      process.checkpoint();
    } catch {
      isThrown = true;
    }
    assert.ok(isThrown, 'the failpoint was reached');
    process.kill();
    const next = new Stager(await world.open());
    const isCommitted = name !== 'stage.after' && name !== 'log.inside';
    assert.equal(tree(world.outside), isCommitted ? { x: text } : {});
    assert.is(recordOf(world, 'x') === undefined, isCommitted);
    const again = await next.stage('x');
    assert.is(again.offset, isCommitted ? 0 : text.length);
    await again.append('The end.');
    await next.write('x', again);
    assert.equal(tree(world.outside), { x: isCommitted ? 'The end.' : `${text}The end.` });
    next.process.checkpoint();
    assert.equal(stagingNames(world.outside), []);
  });
}

test('content that was not recorded as it is adopted is refused, and nothing is changed', async () => {
  const world = new World();
  const stager = await stagedBy(world);
  const other = new Stager(await world.open());
  const { number, resumable } = recordOf(world, 'x')!;
  const { staged: name, offset: size, checksum } = resumable;
  const content = { kind: 'staged', volume: '', name, size, checksum } as const;
  const adopting = (more: Partial<Extract<Content, { kind: 'staged' }>>): Operation => ({
    type: 'write',
    path: 'x',
    content: { ...content, resumable: { id: 'x', number }, ...more },
    options: {},
  });
  for (const operation of [
    adopting({ size: size - 1 }),
    adopting({ checksum: checksum + 1n }),
    adopting({ resumable: { id: 'x', number: { ...number, counter: 1 } } }),
  ]) {
    assert.instance(stager.process.attempt(operation), Error);
    assert.equal(tree(world.outside), {});
    assert.is(recordOf(world, 'x')?.resumable.offset, text.length);
  }
  const stolen = other.process.attempt(adopting({}));
  assert.instance(stolen, Error);
  assert.is((stolen as { code?: string }).code, 'ERR_CONFLICT');
  assert.equal(stagingNames(world.outside), [`staged/${name}`]);
  stager.process.commit(adopting({}));
  assert.equal(tree(world.outside), { x: text });
});

test('a failed flush is not believed: what was durable before is what there is', async () => {
  const world = new World();
  let syncs = 0;
  const process = await world.open({
    faults: [
      {
        error: 'EIO',
        at: ({ method, path }) => method === 'sync' && path.includes('-s0') && syncs++ === 1,
      },
    ],
  });
  const stager = new Stager(process);
  const staged = await stager.stage('x');
  await staged.append(text);
  await staged.sync();
  await staged.append('lost');
  await assert.rejectsWithCode(staged.sync(), 'ERR_IO');
  await assert.rejectsWithCode(staged.sync(), 'ERR_IO');
  await assert.rejectsWithCode(staged.append('more'), 'ERR_IO');
  await staged.close();
  const again = await stager.stage('x');
  assert.is(again.offset, text.length);
  await again.append('again');
  await again.sync();
  const after = world.powerCut(() => false);
  const next = new Stager(await after.open());
  await next.write('x', await next.stage('x'));
  assert.is(contentOf(after.outside, 'x'), `${text}again`);
});

const data = { roots: { data: '/data' }, inlineLimitBytes: 0 };
const area = '/data/.forewrit-staged';

async function stagedElsewhere(world: World): Promise<Stager> {
  const stager = new Stager(await world.open(data));
  const staged = await stager.stage('x', { path: 'data:d/x' });
  await staged.append(text);
  await staged.sync();
  return stager;
}

function twoFileSystems(): World {
  return new World(new SimulatedDisk({ volumes: [{ mountPoint: '/data' }] }));
}

test('content for a file on another file system is staged there, and is put in its place without a copy', async () => {
  const world = twoFileSystems();
  const first = await stagedElsewhere(world);
  assert.equal(stagingNames(world.outside), []);
  assert.equal(stagingNames(world.outside, area), ['staged/1-rs-s0']);
  const { ino } = world.outside.lstat(`${area}/staged/1-rs-s0`)!;
  first.process.kill();
  const after = world.powerCut(() => false);
  const next = new Stager(await after.open(data));
  const staged = await next.stage('x', { path: 'elsewhere' });
  assert.is(staged.offset, text.length);
  await next.write('data:d/x', staged);
  assert.is(after.outside.lstat('/data/d/x')?.ino, ino);
  assert.is(contentOf(after.outside, '/data/d/x'), text);
  next.process.checkpoint();
  assert.equal(stagingNames(after.outside, area), []);
});

test('content that was staged for a file on another file system than it is written to is copied, and its names go', async () => {
  const world = twoFileSystems();
  const stager = await stagedElsewhere(world);
  const { ino } = world.outside.lstat(`${area}/staged/1-rs-s0`)!;
  stager.process.kill();
  const next = new Stager(await world.open(data));
  await next.write('here', await next.stage('x'));
  assert.is(contentOf(world.outside, 'here'), text);
  assert.is.not(world.outside.lstat(`${root}/here`)?.ino, ino);
  next.process.checkpoint();
  assert.equal([...stagingNames(world.outside), ...stagingNames(world.outside, area)], []);
});

test('content on a file system that is not there is out of reach, not lost', async () => {
  const world = twoFileSystems();
  const first = await stagedElsewhere(world);
  first.process.kill();
  // Recovered, and looked at, without it.
  const without = new Stager(await world.open());
  await assert.rejectsWithCode(without.stage('x'), 'ERR_INVALID_PATH');
  await assert.rejectsWithCode(without.discard('x'), 'ERR_INVALID_PATH');
  without.process.kill();
  world.outside.rename(area, '/data/hidden');
  const unmounted = new Stager(await world.open(data));
  await assert.rejectsWithCode(unmounted.stage('x'), 'ERR_NOT_FOUND');
  unmounted.process.kill();
  world.outside.rename('/data/hidden', area);
  const next = new Stager(await world.open(data));
  assert.is((await next.stage('x')).offset, text.length);
});

test('what is staged is verified where it is; where that is not there it is said to be out of reach', async () => {
  const world = twoFileSystems();
  const { store, kill } = await openOn(world, { options: { roots: data.roots } });
  const staged = await store.stage('x', { path: 'data:x' });
  await staged.append(text);
  await staged.close();
  const problems = async (): Promise<unknown> =>
    (await store.verify()).findings.map(({ path, problem }) => [path, problem]);
  assert.equal(await problems(), []);
  const [name] = stagingNames(world.outside, area);
  const path = `data:/.forewrit-staged/${name}`;
  world.outside.rename(area, '/data/hidden');
  assert.equal(await problems(), [[path, 'unreadable']]);
  world.outside.rename('/data/hidden', area);
  world.outside.unlink(`${area}/${name}`);
  assert.equal(await problems(), [[path, 'missing']]);
  world.outside.makeDirectory(`${area}/${name}`, 0o755);
  assert.equal(await problems(), [[path, 'damaged']]);
  await store.close();
  kill();
});

test('content for a file whose path leads nowhere is staged in the store, and refused by the commit', async () => {
  const world = twoFileSystems();
  world.outside.symlink('/elsewhere', `${root}/out`);
  const stager = new Stager(await world.open(data));
  const staged = await stager.stage('x', { path: 'out/x' });
  await staged.append(text);
  await staged.sync();
  assert.is(recordOf(world, 'x')?.resumable.volume, '');
  await assert.rejectsWithCode(stager.write('out/x', staged), 'ERR_PATH_ESCAPE');
});

test('an owner that was declared dead records nothing more', async () => {
  const world = new World();
  const stager = await stagedBy(world);
  const staged = await stager.stage('y');
  await staged.append('new');
  const other = await world.open();
  deregisterOwner(other.context, stager.process.owner.number);
  await assert.rejectsWithCode(staged.sync(), 'ERR_STORE_POISONED');
  await assert.rejectsWithCode(staged.append('more'), 'ERR_STORE_POISONED');
  assert.is(recordOf(world, 'y')?.resumable.offset, 0);
});

test('content that is staged does not stand in the way of transactions and their recovery', async () => {
  const world = new World();
  const first = await stagedBy(world);
  first.process.commit(write('a', 'one'));
  first.process.kill();
  const next = await world.open();
  assert.equal(tree(world.outside), { a: 'one' });
  assert.is(recordOf(world, 'x')?.resumable.offset, text.length);
  next.commit(write('a', 'two'));
  next.checkpoint();
  assert.equal(stagingNames(world.outside), ['staged/1-rs-s0']);
});

test.run();
