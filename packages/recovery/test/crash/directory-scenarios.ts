/** Directories that leave others which go, and that take the place of files or of other directories. */

import { move, remove, write } from '../world.js';
import type { Scenario } from './scenarios.js';

const files = [[write('a', 'a0.'), write('b', 'b0.'), write('d/c', 'c0.')]];
const two = [[write('d/c', 'c0.'), write('d/s/k', 'k0.'), write('e/c', 'c1.'), write('e/n', 'n1.')]];

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
    name: 'move a directory to where another one was removed',
    before: two,
    steps: [[remove('d'), move('e', 'd'), write('d/s', '2.')], 'checkpoint'],
  },
  {
    name: 'move a directory to where another one was removed, of which a file and a directory have left',
    before: two,
    steps: [
      [move('d/c', 'c'), move('d/s', 's'), remove('d'), move('e', 'd'), write('d/c', '2.')],
      [move('d', 'e')],
    ],
  },
  {
    name: 'a directory that has just come takes the place of another, and gives way',
    before: two,
    steps: [
      [move('e', 'f')],
      [remove('d'), move('f', 'd')],
      [move('d/n', 'n'), remove('d'), write('d', '2.')],
    ],
    mayRefuse: true,
  },
  {
    name: 'directories change places',
    before: two,
    steps: [[move('d', 't'), move('e', 'd'), move('t', 'e')], 'checkpoint'],
  },
  {
    name: 'a directory takes the place of the one that it was in',
    before: two,
    steps: [[move('d/s', 't'), remove('d'), move('t', 'd'), write('e/n', '2.')]],
  },
  {
    name: 'roll-back of a directory that has taken the place of another',
    before: two,
    steps: [[move('d/c', 'c'), remove('d'), move('e', 'd'), write('n', '1.')], [write('d/c', '2.')]],
    faults: [{ error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === '/store/n' }],
  },
  {
    name: 'roll-back of a directory that could not take the place of another',
    before: two,
    steps: [[remove('d'), move('e', 'd')]],
    faults: [{ error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === '/store/d' }],
  },
  {
    name: 'roll-back of a directory that could not take the place of a file',
    before: files,
    steps: [[move('b', 'n'), move('d', 'b')]],
    faults: [{ error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === '/store/b' }],
  },
];
