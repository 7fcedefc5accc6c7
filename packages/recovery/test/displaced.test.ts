/** A directory that takes the place of a file or of another directory, and who else may have been there when its process died. */

import { assert, suite } from '@forewrit/testkit';
import {
  conflictContents,
  edit,
  move,
  type ProcessOptions,
  remove,
  root,
  stagingNames,
  tree,
  World,
  write,
} from './world.js';

const test = suite('displaced files');
const small: ProcessOptions = { inlineLimitBytes: 1024 };
const moved = { 'a/': '', 'a/x': 'old x', n: 'new n' };

/** `d` is to take the place of `a`. Dies before that (`first`), or when there is room. */
async function died(when: 'first' | 'between', place = 'a'): Promise<World> {
  const world = new World();
  const first = await world.open(small);
  first.commit(write(place, 'old a'), write('d/x', 'old x'));
  first.checkpoint();
  first.kill();
  const process = await world.open({
    ...small,
    beforeCall: ({ method, path }) => {
      if (method === 'rename' && path === `${root}/${when === 'first' ? 'a' : 'd'}`) process.kill();
    },
  });
  assert.instance(process.attempt(remove('a'), move('d', 'a'), write('n', 'new n')), Error);
  return world;
}

const moments = (['first', 'between'] as const).flatMap((when) =>
  (['same', 'other'] as const).map((boot) => ({ when, boot })),
);

for (const { when, boot } of moments) {
  for (const place of ['a', 'a/s/f']) {
    const what = place === 'a' ? 'file' : 'directory';
    test(`a ${what} that is as it was left gives way, on ${boot === 'same' ? 'the same' : 'another'} boot: ${when}`, async () => {
      const before = await died(when, place);
      const world = boot === 'same' ? before : before.powerCut();
      const { redone, kept, conflicts } = (await world.open(small)).recovery!;
      assert.equal([redone, kept, conflicts], [['2-1'], [], []]);
      assert.equal(tree(world.outside), moved);
      assert.equal(stagingNames(world.outside), []);
    });
  }
}

test('what somebody has written into a directory that gives way goes to conflicts', async () => {
  for (const when of ['first', 'between'] as const) {
    const world = await died(when, 'a/f');
    world.disk.clock.advance(100);
    const name = world.outside.list(`${root}/.forewrit/before`)[0];
    edit(world.outside, when === 'first' ? 'a/f' : `.forewrit/before/${name}/f`, 'theirs');
    const { redone } = (await world.open(small)).recovery!;
    assert.equal(redone, ['2-1']);
    assert.equal(tree(world.outside), moved);
    assert.equal(conflictContents(world.outside), ['theirs']);
  }
});

test('a directory that somebody has put there instead stays, and so does the one that was to come', async () => {
  const world = await died('first', 'a/f');
  const { outside } = world;
  outside.rename(`${root}/a`, `${root}/old`);
  outside.makeDirectory(`${root}/a`, 0o755);
  const { kept } = (await world.open(small)).recovery!;
  assert.equal(kept, ['2-1']);
  assert.equal(tree(outside), {
    'a/': '',
    'd/': '',
    'd/x': 'old x',
    n: 'new n',
    'old/': '',
    'old/f': 'old a',
  });
});

test('a file that is edited stays, and so does the directory', async () => {
  const world = await died('first');
  edit(world.outside, 'a', 'theirs');
  const { kept } = (await world.open(small)).recovery!;
  assert.equal(kept, ['2-1']);
  assert.equal(tree(world.outside), { a: 'theirs', 'd/': '', 'd/x': 'old x', n: 'new n' });
});

test('a file that comes where room was made stays, and so does the directory', async () => {
  const world = await died('between');
  edit(world.outside, 'a', 'theirs', 'new');
  const { kept } = (await world.open(small)).recovery!;
  assert.equal(kept, ['2-1']);
  assert.equal(tree(world.outside), { a: 'theirs', 'd/': '', 'd/x': 'old x', n: 'new n' });
  assert.equal(conflictContents(world.outside), []);
});

test('a file that somebody has removed is not what has made room', async () => {
  const world = await died('first');
  world.outside.unlink(`${root}/a`);
  const { kept } = (await world.open(small)).recovery!;
  assert.equal(kept, ['2-1']);
  assert.equal(tree(world.outside), { 'd/': '', 'd/x': 'old x', n: 'new n' });
});

test('after a power cut it need not stand anywhere any more', async () => {
  const world = (await died('between')).powerCut();
  for (const name of world.outside.list(`${root}/.forewrit/before`))
    world.outside.unlink(`${root}/.forewrit/before/${name}`);
  const { redone, kept } = (await world.open(small)).recovery!;
  assert.equal([redone, kept], [['2-1'], []]);
  assert.equal(tree(world.outside), moved);
});

test('what another program has open of it goes to conflicts when it is written to', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'old a'), write('d/x', 'old x'));
  process.checkpoint();
  const { outside } = world;
  const descriptor = outside.openUpdate(`${root}/a`);
  process.commit(remove('a'), move('d', 'a'));
  world.disk.clock.advance(100);
  outside.write(descriptor, Buffer.from('their'), 0);
  process.checkpoint();
  assert.equal(conflictContents(world.outside), ['their']);
});

test.run();
