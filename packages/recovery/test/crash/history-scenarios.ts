/** Before-images that are kept: by checkpoints, by recovery, let go of by retention, and put back by undos. */

import { isStoreError, type Operation } from '@forewrit/core';
import type { Tree } from '../campaign-model.js';
import { aloneCollection, historyRows, put, undo } from '../history-world.js';
import { mkdir, move, remove, root, type World, write } from '../world.js';
import { Impossible } from './impossible.js';
import type { Act, Scenario, Step } from './scenarios.js';

/** Over the inline limit of the enumeration. */
const large = 'LARGE '.repeat(8);
const files = [[write('a', 'a0.'), write('b', large), write('d/c', 'c0.')]];
const whole: Tree = { a: 'a0.', b: large, 'd/': '', 'd/c': 'c0.' };
const options = { history: {} };
/** One row, and not two. */
const little = { history: { maxBytes: 250 } };

const missing: ReadonlySet<string> = new Set(['ERR_NOT_FOUND', 'ERR_INTEGRITY', 'ERR_CONFLICT']);

const save = (...deferred: readonly Operation[]): Step => ({ deferred });

/**
 * Of this process, by its number, which comes back as the tree shows, or leaves it as it is. `over`: another one that must
 * have come into history, or the tree would be another.
 */
export function undoes(counter: number, makes?: Tree, over?: number): Act {
  return {
    ...(makes === undefined ? {} : { makes }),
    async does(process, world) {
      if (over !== undefined && !historyRows(world).some(({ number }) => number.counter === over))
        throw new Impossible(`${over} has failed`);
      try {
        await undo(process, `${process.owner.id}-${counter.toString(36)}`);
      } catch (error) {
        if (!isStoreError(error) || !missing.has(error.code)) throw error;
        throw new Impossible('what is to be undone has failed, or is not kept', { cause: error });
      }
    },
  };
}

/** Leaves the tree as it is. */
const puts = (collection: string, value: number): Act => ({
  does: (process) => void process.commit(put(collection, 'k', value)),
});

/** `l` and `d/k` are symbolic links. */
const linked: Tree = { ...whole, l: '<symlink>', 'd/k': '<symlink>' };

function withLinks(world: World): World {
  const { outside } = world;
  outside.symlink('a', `${root}/l`);
  outside.symlink('../nowhere', `${root}/d/k`);
  return world;
}

/** Its apply fails, and is rolled back; then it succeeds. */
function undoesAtLast(counter: number, makes: Tree): Act {
  const again = undoes(counter, makes);
  return {
    makes,
    async does(process, world) {
      const failure = await undo(process, `${process.owner.id}-${counter.toString(36)}`).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (!isStoreError(failure)) throw new Error('it was to be rolled back', { cause: failure });
      if (missing.has(failure.code))
        throw new Impossible('what is to be undone has failed', { cause: failure });
      if (failure.code !== 'ERR_APPLY_ROLLED_BACK') throw failure;
      await again.does(process, world);
    },
  };
}

export const historyScenarios: readonly Scenario[] = [
  {
    name: 'history: a checkpoint',
    options,
    before: files,
    steps: [[write('a', '1.'), write('b', '1.'), write('n', '1.')], 'checkpoint', 'marks'],
  },
  {
    name: 'history: what was removed and moved',
    options,
    before: files,
    steps: [[remove('d'), move('a', 'b')], 'checkpoint'],
  },
  {
    name: 'history: superseded before the checkpoint',
    options,
    before: files,
    steps: [[write('a', '1.')], [write('a', '2.')], [remove('a')], 'checkpoint'],
  },
  {
    name: 'history: nobody comes to a checkpoint',
    options,
    before: files,
    steps: [[write('a', '1.'), remove('b')], 'marks', [write('a', '2.'), remove('d')]],
  },
  {
    name: 'history: two owners',
    options,
    before: files,
    steps: [[write('a', '1.')], 'checkpoint', 'marks', 'marks', [write('a', '3.')]],
    others: ['marks', 'marks', [write('a', '2.')], 'marks', 'checkpoint'],
  },
  {
    name: 'history: deferred',
    options,
    before: files,
    steps: [save(write('a', '1.')), save(write('a', '2.'), write('d/c', '2.')), 'materialize', 'checkpoint'],
  },
  {
    name: 'history: undo of deferred saves of one file',
    options,
    before: files,
    steps: [
      save(write('a', '1.')),
      save(write('a', '2.')),
      'materialize',
      'checkpoint',
      undoes(2, { ...whole, a: '1.' }, 1),
      undoes(1, whole),
    ],
  },
  {
    name: 'history: undo of symbolic links that were removed',
    options,
    before: files,
    prepare: withLinks,
    steps: [
      [remove('l'), remove('d')],
      'checkpoint',
      undoes(1, linked),
      'checkpoint',
      undoes(2, { a: 'a0.', b: large }),
    ],
  },
  {
    name: 'history: undo of a move over a symbolic link',
    options,
    before: files,
    prepare: withLinks,
    steps: [[move('a', 'l')], 'checkpoint', undoes(1, linked), 'marks', [write('a', '1.'), remove('l')]],
  },
  {
    name: 'history: roll-back of an undo of symbolic links',
    options,
    before: [...files, [write('z', 'z0.')]],
    prepare: withLinks,
    steps: [
      [remove('l'), remove('d/k'), remove('z')],
      'checkpoint',
      undoesAtLast(1, { ...linked, z: 'z0.' }),
    ],
    faults: [{ error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === `${root}/z` }],
  },
  {
    name: 'history: more than is kept',
    options: little,
    before: files,
    steps: [[write('a', '1.')], 'checkpoint', [write('a', '2.')], 'checkpoint', 'marks'],
  },
  {
    name: 'history: a directory that is let go',
    options: little,
    before: files,
    steps: [[remove('d')], 'checkpoint', [write('a', '2.')], 'checkpoint'],
  },
  {
    name: 'history: undo of a save',
    options,
    before: files,
    steps: [[write('a', '1.'), write('n/m', '1.')], 'checkpoint', undoes(1, whole), 'checkpoint'],
  },
  {
    name: 'history: undo of removals, and of large content',
    options,
    before: files,
    steps: [[remove('d'), write('b', '1.')], 'checkpoint', undoes(1, whole), 'checkpoint'],
  },
  {
    name: 'history: undo of moves',
    options,
    before: files,
    steps: [[move('a', 'b'), move('d', 'e')], 'checkpoint', undoes(1, whole)],
  },
  {
    name: 'history: a directory moved out of one that is removed',
    options,
    before: [...files, [write('d/s/t', 't0.')]],
    steps: [
      [move('d/s', 'e'), remove('d')],
      'checkpoint',
      undoes(1, { ...whole, 'd/s/': '', 'd/s/t': 't0.' }),
      'checkpoint',
    ],
  },
  {
    name: 'history: undo of a directory that made room for another',
    options,
    before: [...files, [write('d/s/t', 't0.')]],
    steps: [
      [move('d', 'e'), write('d/c', '1.'), write('d/n', '1.')],
      'checkpoint',
      undoes(1, { ...whole, 'd/s/': '', 'd/s/t': 't0.' }),
      'checkpoint',
    ],
  },
  {
    name: 'history: undo of the undo of a directory that made room for another',
    options,
    before: [...files, [write('d/s/t', 't0.')]],
    steps: [
      [move('d', 'e'), mkdir('d'), write('d/s/n', '1.')],
      'checkpoint',
      undoes(1, { ...whole, 'd/s/': '', 'd/s/t': 't0.' }),
      'checkpoint',
      undoes(2, {
        a: 'a0.',
        b: large,
        'd/': '',
        'd/s/': '',
        'd/s/n': '1.',
        'e/': '',
        'e/c': 'c0.',
        'e/s/': '',
        'e/s/t': 't0.',
      }),
      'checkpoint',
    ],
  },
  {
    name: 'history: undo of a file in the place of a directory',
    options,
    before: files,
    steps: [
      [move('d', 'e'), write('d', '1.')],
      'checkpoint',
      undoes(1, whole),
      'checkpoint',
      undoes(2, { a: 'a0.', b: large, d: '1.', 'e/': '', 'e/c': 'c0.' }),
      'checkpoint',
    ],
  },
  {
    name: 'history: undo of a directory in the place of one that moved',
    options,
    before: files,
    steps: [
      [move('d', 'e'), mkdir('d'), mkdir('d/c'), write('d/n', '1.')],
      'checkpoint',
      undoes(1, whole),
      'checkpoint',
      undoes(2, { a: 'a0.', b: large, 'd/': '', 'd/c/': '', 'd/n': '1.', 'e/': '', 'e/c': 'c0.' }),
      'checkpoint',
    ],
  },
  {
    name: 'history: undo of a directory in the place of one that was removed',
    options,
    before: [[...files[0]!, write('e/c', 'c1.'), write('e/s/k', large)]],
    steps: [
      [move('e/c', 'n'), remove('e'), move('d', 'e')],
      'checkpoint',
      undoes(1, { ...whole, 'e/': '', 'e/c': 'c1.', 'e/s/': '', 'e/s/k': large }),
      'checkpoint',
      undoes(2, { a: 'a0.', b: large, 'e/': '', 'e/c': 'c0.', n: 'c1.' }),
    ],
  },
  {
    name: 'history: undo of a file and a directory that have changed places',
    options,
    before: files,
    steps: [
      [move('d', 'e'), move('a', 'd')],
      'checkpoint',
      undoes(1, whole),
      'checkpoint',
      undoes(2, { b: large, d: 'a0.', 'e/': '', 'e/c': 'c0.' }),
    ],
  },
  {
    name: 'history: a directory in the place of a link, and its undo',
    options,
    before: files,
    prepare: withLinks,
    steps: [[remove('l'), move('d', 'l')], 'checkpoint', undoes(1, linked)],
  },
  {
    name: 'history: entries alone',
    options,
    before: files,
    steps: [
      puts(aloneCollection, 1),
      puts(aloneCollection, 2),
      [write('a', '1.')],
      'checkpoint',
      undoes(2),
      undoes(4),
      undoes(3, whole),
    ],
  },
  {
    name: 'history: entries, and more than is kept',
    options: little,
    before: files,
    steps: [
      puts('passing', 1),
      puts('passing', 2),
      [write('a', '1.')],
      puts('passing', 3),
      'checkpoint',
      'marks',
    ],
  },
  {
    name: 'history: undo of an undo',
    options,
    before: files,
    steps: [
      [write('a', '1.')],
      'checkpoint',
      undoes(1, whole),
      'checkpoint',
      undoes(2, { ...whole, a: '1.' }),
    ],
  },
];
