/** What belongs to nobody is swept, at every open; what belongs to somebody is not. */

import { assert, SimulatedDisk, suite } from '@forewrit/testkit';
import { conflictContents, edit, mkdir, root, stagingNames, tree, World, write } from './world.js';

const test = suite('undo');

const area = `${root}/.forewrit`;
const large = { inlineLimitBytes: 0 };

test('a transaction that was staged and not committed leaves nothing', async () => {
  for (const failpoint of ['stage.after', 'log.inside'] as const) {
    for (const size of [{}, large]) {
      const world = new World();
      const first = await world.open();
      first.commit(write('a', 'old'));
      first.checkpoint();
      first.kill();
      const process = await world.open({ ...size, failpoint: { name: failpoint, action: 'throw' } });
      assert.instance(process.attempt(write('a', 'new'), write('d/b', 'new'), mkdir('e')), Error);
      process.kill();
      const left = stagingNames(world.outside).length;
      assert.ok(left > 0);
      const next = await world.open();
      assert.equal(next.recovery?.undone, ['2-1']);
      assert.equal(next.recovery?.redone, []);
      assert.is(next.recovery?.sweptFiles, left);
      assert.equal(tree(world.outside), { a: 'old' });
      assert.equal(stagingNames(world.outside), []);
    }
  }
});

test('what a live owner has staged is not swept', async () => {
  const world = new World();
  const live = await world.open({ failpoint: { name: 'stage.after', action: 'throw' } });
  assert.instance(live.attempt(write('a', 'staged')), Error);
  const other = await world.open();
  assert.equal(stagingNames(world.outside), ['staged/1-1-0.apply']);
  assert.is(other.recovery?.sweptFiles, 0);
  live.kill();
  assert.equal((await other.recover()).undone, ['1-1']);
  assert.equal(stagingNames(world.outside), []);
});

test('what a live owner has staged is not swept together with what a dead one has left', async () => {
  const world = new World();
  const live = await world.open({ failpoint: { name: 'stage.after', action: 'throw' } });
  const dead = await world.open({ failpoint: { name: 'stage.after', action: 'throw' } });
  for (const process of [live, dead]) assert.instance(process.attempt(write('a', 'staged')), Error);
  dead.kill();
  const other = await world.open();
  assert.equal(other.recovery?.undone, ['2-1']);
  assert.equal(stagingNames(world.outside), ['staged/1-1-0.apply']);
});

test('what a checkpoint had let go of, and not removed yet, is swept, and no news', async () => {
  const world = new World();
  const process = await world.open({ ...large, failpoint: { name: 'checkpoint.sweep', action: 'throw' } });
  process.commit(write('a', 'one'));
  process.commit(write('a', 'two'));
  assert.throws(() => process.checkpoint());
  process.kill();
  assert.equal(stagingNames(world.outside).sort(), ['before/1-2-0', 'staged/1-1-0', 'staged/1-2-0']);
  const next = await world.open();
  assert.equal(stagingNames(world.outside), []);
  assert.equal([...(next.recovery?.redone ?? []), ...(next.recovery?.undone ?? [])], []);
  assert.equal(tree(world.outside), { a: 'two' });
});

test('content that a caller staged, and that no transaction took over, is swept', async () => {
  const world = new World();
  (await world.open()).kill();
  edit(world.outside, '.forewrit/staged/1-7-s0', 'streamed', 'new');
  await world.open();
  assert.equal(stagingNames(world.outside), []);
});

test('names that are not ours stay', async () => {
  const world = new World();
  (await world.open()).kill();
  const names = ['notes.txt', '1-', '-1-2', 'A-1-0', 'zzzzzzzz-1-0'];
  for (const name of names) edit(world.outside, `.forewrit/staged/${name}`, 'somebody else', 'new');
  await world.open();
  assert.equal(stagingNames(world.outside).sort(), names.map((name) => `staged/${name}`).sort());
});

test('a directory that was never put in its place is kept if somebody has filled it', async () => {
  const world = new World();
  (await world.open()).kill();
  const { outside } = world;
  outside.makeDirectory(`${area}/staged/1-1-0.apply`, 0o755);
  outside.makeDirectory(`${area}/staged/1-1-1.apply`, 0o755);
  edit(outside, '.forewrit/staged/1-1-0.apply/a', 'content', 'new');
  const next = await world.open();
  assert.equal(stagingNames(outside), []);
  assert.equal(
    next.recovery?.conflicts.map(({ savedAs }) => savedAs),
    [`${area}/conflicts/1-1-0-0`],
  );
  assert.equal(tree(outside, `${area}/conflicts/1-1-0-0`), { '.forewrit/conflicts/1-1-0-0/a': 'content' });
});

test('the staging areas of other file systems are swept, too', async () => {
  const world = new World(new SimulatedDisk({ volumes: [{ mountPoint: '/data' }] }));
  const roots = { data: '/data' };
  const first = await world.open({ roots });
  first.commit(write('data:a', 'old'));
  first.checkpoint();
  first.kill();
  const process = await world.open({ roots, failpoint: { name: 'stage.after', action: 'throw' } });
  assert.instance(process.attempt(write('data:a', 'new')), Error);
  process.kill();
  assert.ok(stagingNames(world.outside, '/data/.forewrit-staged').length > 0);
  await world.open({ roots });
  assert.equal(stagingNames(world.outside, '/data/.forewrit-staged'), []);
});

test('a witness goes when nobody names it and it refuses; one that may yet register stays', async () => {
  const world = new World();
  const { outside } = world;
  for (const name of ['gone', 'mute']) outside.makeOther(`${area}/log/witness-${name}`, 0o600);
  const next = await world.open({
    probeWitness: async (path) => (path.endsWith('gone') ? 'refused' : 'unknown'),
  });
  assert.equal(outside.list(`${area}/log`), ['witness-mute']);
  assert.is(next.recovery?.sweptFiles, 1);
});

test('sweeping is repeated where it was interrupted', async () => {
  for (let call = 0; call < 12; call += 1) {
    const world = new World();
    const process = await world.open({ ...large, failpoint: { name: 'stage.after', action: 'throw' } });
    assert.instance(process.attempt(write('a', 'a'), write('b', 'b')), Error);
    process.kill();
    let unlinks = 0;
    const interrupted = await world.start({
      faults: [{ at: ({ method }) => method === 'unlink' && unlinks++ === call, crash: true }],
    });
    await interrupted.recover().catch(() => undefined);
    interrupted.kill();
    const next = await world.open();
    assert.equal(stagingNames(world.outside), []);
    assert.equal(conflictContents(world.outside), []);
    next.kill();
  }
});

test.run();
