/** A directory that takes the place of a file, and who else may have been there when its process died. */

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
async function died(when: 'first' | 'between'): Promise<World> {
  const world = new World();
  const first = await world.open(small);
  first.commit(write('a', 'old a'), write('d/x', 'old x'));
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

for (const when of ['first', 'between'] as const) {
  for (const boot of ['same', 'other'] as const) {
    test(`what is as it was left is redone, on ${boot === 'same' ? 'the same' : 'another'} boot: ${when}`, async () => {
      const before = await died(when);
      const world = boot === 'same' ? before : before.powerCut();
      const { redone, kept, conflicts } = (await world.open(small)).recovery!;
      assert.equal([redone, kept, conflicts], [['2-1'], [], []]);
      assert.equal(tree(world.outside), moved);
      assert.equal(stagingNames(world.outside), []);
    });
  }
}

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
