/** Deferred saves: committed in the log alone, taken in by newer ones, and put into the files by and by. */

import type { Operation } from '@forewrit/core';
import { move, remove, write } from '../world.js';
import type { Scenario, Step } from './scenarios.js';

const files = [[write('a', 'a0.'), write('b', 'b0.'), write('d/c', 'c0.')]];
const save = (...deferred: readonly Operation[]): Step => ({ deferred });
/** Two of these are more than the inline limit of the enumeration. */
const half = (text: string): string => `${text} is ten bytes`.slice(0, 10);

export const deferredScenarios: readonly Scenario[] = [
  { name: 'deferred', before: files, steps: [save(write('a', '1.'), write('b', '1.'))] },
  {
    name: 'deferred, of new files',
    before: files,
    steps: [save(write('n', '1.'), write('d/m', '1.')), 'materialize', 'marks'],
  },
  {
    name: 'deferred, and a checkpoint',
    before: files,
    steps: [save(write('a', '1.'), write('b', '1.')), 'materialize', 'checkpoint'],
  },
  {
    name: 'deferred, superseded',
    before: files,
    steps: [
      save(write('a', '1.'), write('b', '1.')),
      save(write('a', '2.'), write('b', '2.')),
      'materialize',
    ],
  },
  {
    name: 'deferred, taken in with what the newer one does not write',
    before: files,
    steps: [
      save(write('a', '1.'), write('b', '1.')),
      save(write('b', '2.'), write('d/c', '2.')),
      'materialize',
      'checkpoint',
    ],
  },
  {
    name: 'two deferred, taken in by one',
    before: files,
    steps: [
      save(write('a', '1.')),
      save(write('b', '1.')),
      save(write('a', '2.'), write('b', '2.'), write('n', '2.')),
      'materialize',
    ],
  },
  {
    name: 'deferred, more than one transaction takes',
    before: files,
    steps: [
      save(write('a', half('1')), write('b', half('1'))),
      save(write('b', half('2')), write('n', half('2'))),
      'materialize',
    ],
  },
  {
    name: 'deferred again and again',
    before: files,
    steps: [save(write('a', '1.')), 'materialize', save(write('a', '2.')), 'materialize', 'checkpoint'],
  },
  {
    name: 'deferred over what is not checkpointed, and an ordinary save over that',
    before: files,
    steps: [[write('a', '1.'), write('b', '1.')], save(write('a', '2.')), [write('a', '3.')], 'checkpoint'],
  },
  {
    name: 'deferred, and a checkpoint of what it replaces',
    before: files,
    steps: [[write('a', '1.')], save(write('a', '2.')), 'checkpoint', 'materialize'],
  },
  {
    name: 'deferred, then removed, then deferred again',
    before: files,
    steps: [
      save(write('a', '1.'), write('b', '1.')),
      [remove('a')],
      save(write('a', '2.')),
      'materialize',
      'checkpoint',
    ],
  },
  {
    name: 'deferred, then its directory moves',
    before: files,
    steps: [save(write('d/c', '1.'), write('d/n', '1.')), [move('d', 'e')], save(write('e/c', '2.'))],
  },
  {
    name: 'deferred, then its directory goes',
    before: files,
    steps: [save(write('d/c', '1.')), [remove('d')]],
  },
  {
    name: 'two owners that defer',
    before: files,
    steps: [save(write('a', '1.'), write('n', '1.')), 'materialize', 'checkpoint'],
    others: [save(write('b', '2.'), write('d/c', '2.')), 'marks', 'materialize'],
  },
  {
    name: 'two owners that defer the same file in turn',
    before: files,
    steps: [save(write('a', '1.')), 'materialize', 'marks', 'marks', 'marks', [write('a', '3.')]],
    others: ['marks', 'marks', save(write('a', '2.')), 'materialize', 'marks'],
  },
  {
    name: 'deferred, and its files cannot be written at first',
    before: files,
    steps: [
      save(write('a', '1.'), write('b', '1.')),
      'materialize',
      save(write('b', '2.'), write('d/c', '2.')),
      'materialize',
      'marks',
    ],
    faults: [{ error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === '/store/b' }],
  },
  {
    name: 'deferred, and its files cannot be written at first, without hard links',
    before: files,
    steps: [save(write('a', '1.'), write('b', '1.')), 'materialize', 'materialize', 'checkpoint'],
    faults: [
      { error: 'EPERM', at: ({ method }) => method === 'link', sticky: true },
      { error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === '/store/b' },
    ],
  },
  {
    name: 'deferred, and its files cannot be staged at first',
    before: files,
    steps: [save(write('a', '1.'), write('b', '1.')), 'materialize', 'materialize'],
    faults: [{ error: 'ENOSPC', at: ({ method, path }) => method === 'create' && path.endsWith('-1.apply') }],
  },
];
