/** Directories that leave others which go, and that take the place of files. */

import { move, remove, write } from '../world.js';
import type { Scenario } from './scenarios.js';

const files = [[write('a', 'a0.'), write('b', 'b0.'), write('d/c', 'c0.')]];

export const directoryScenarios: readonly Scenario[] = [
  {
    name: 'move a directory out of one that goes elsewhere',
    before: [[write('d/s/c', 'c0.'), write('d/k', 'k0.')]],
    steps: [[move('d/s', 'b'), move('d', 'e')]],
  },
  {
    name: 'move a directory out of one that is removed',
    before: [[write('d/s/c', 'c0.'), write('d/k', 'k0.')]],
    steps: [[move('d/s', 'e'), remove('d')]],
  },
  {
    name: 'move a directory to where a file was removed',
    before: files,
    steps: [[remove('b'), move('d', 'b'), write('a', '1.')]],
  },
  {
    name: 'move a directory to where a file was, which moves elsewhere',
    before: files,
    steps: [[move('b', 'n'), move('d', 'b')], 'checkpoint'],
  },
  {
    name: 'a directory and a file change places',
    before: files,
    steps: [[move('d', 't'), move('b', 'd'), move('t', 'b')], [move('d', 'c')]],
  },
  {
    name: 'roll-back of a directory that has taken the place of a file',
    before: files,
    steps: [[remove('b'), move('d', 'b'), write('n', '1.')], [write('b', '2.')]],
    faults: [{ error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === '/store/n' }],
  },
  {
    name: 'roll-back of a directory that could not take the place of a file',
    before: files,
    steps: [[move('b', 'n'), move('d', 'b')]],
    faults: [{ error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === '/store/b' }],
  },
];
