import { assert, suite } from '@forewrit/testkit';
import { conflictContents, stagingNames, tree, World, write } from './world.js';

const test = suite('redo');

test('a killed process whose commit is flushed and not applied is redone', async () => {
  const world = new World();
  const first = await world.open();
  first.commit(write('a', 'one'), write('b', 'one'));
  first.checkpoint();
  first.kill();
  const second = await world.open({ failpoint: { name: 'log.after', action: 'throw' } });
  assert.instance(second.attempt(write('a', 'two'), write('b', 'two')), Error);
  second.kill();
  const third = await world.open();
  assert.equal(third.recovery?.redone, ['2-1']);
  assert.equal(tree(third.fileSystem), { a: 'two', b: 'two' });
  assert.equal(stagingNames(third.fileSystem), []);
  assert.equal(conflictContents(third.fileSystem), []);
});

test.run();
