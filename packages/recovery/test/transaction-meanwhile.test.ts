/** What a transaction sees of its own writes where they stand on what a process has left half done. */

import type { Operation, Transaction } from '@forewrit/core';
import { assert, suite } from '@forewrit/testkit';
import { begin } from './history-world.js';
import { mkdir, move, remove, root, tree, World, write } from './world.js';

const test = suite('transactions over what is half done');

/** One process lives; another one dies between its commit and the call that puts this path in its place. */
async function halfDone(at: string, ...operations: readonly Operation[]) {
  const world = new World();
  const living = await world.open();
  living.commit(write('a', 'old a'), write('b', 'old b'), write('d/x', 'old x'));
  living.checkpoint();
  const dying = await world.open({
    beforeCall: ({ method, path, dest }) => {
      if (method === 'rename' && [path, dest].includes(`${root}/${at}`)) dying.kill();
    },
  });
  assert.instance(dying.attempt(...operations), Error);
  return { world, living };
}

interface Case {
  readonly at: string;
  readonly does: readonly Operation[];
  readonly writes: (tx: Transaction) => void;
  readonly makes: Record<string, string>;
}

const old = { a: 'old a', b: 'old b', 'd/': '', 'd/x': 'old x' };
const cases: Readonly<Record<string, Case>> = {
  'removes a file that is to come': {
    at: 'n',
    does: [write('n', 'n')],
    writes: (tx) => tx.rm('n'),
    makes: old,
  },
  'moves a file that is to come': {
    at: 'n',
    does: [write('n', 'n')],
    writes: (tx) => tx.rename('n', 'm'),
    makes: { ...old, m: 'n' },
  },
  'makes a directory where a file is to go': {
    at: 'a',
    does: [remove('a')],
    writes: (tx) => tx.mkdir('a'),
    makes: { 'a/': '', b: 'old b', 'd/': '', 'd/x': 'old x' },
  },
  'writes into a directory that is to come': {
    at: 'e',
    does: [mkdir('e')],
    writes: (tx) => void tx.writeFile('e/n', 'n', { parents: false }),
    makes: { ...old, 'e/': '', 'e/n': 'n' },
  },
  'moves a directory that is to come from elsewhere': {
    at: 'd',
    does: [move('d', 'e')],
    writes: (tx) => tx.rename('e', 'f'),
    makes: { a: 'old a', b: 'old b', 'f/': '', 'f/x': 'old x' },
  },
};

for (const [what, { at, does, writes, makes }] of Object.entries(cases)) {
  test(`one that ${what} reads other files, and commits`, async () => {
    const { world, living } = await halfDone(at, ...does);
    const { tx } = begin(living);
    writes(tx);
    assert.is(await tx.readFile('b', 'utf8'), 'old b');
    assert.ok(await tx.exists('b'));
    assert.is((await tx.stat('b')).size, 5);
    assert.ok((await tx.readdir('.')).includes('b'));
    await tx.commit();
    assert.equal(tree(world.outside), makes);
  });
}

test('what there is not, and will not be, is not found', async () => {
  const { living } = await halfDone('n', write('n', 'n'));
  const { tx } = begin(living);
  tx.rm('never');
  await assert.rejectsWithCode(tx.readFile('b'), 'ERR_NOT_FOUND');
});

test.run();
