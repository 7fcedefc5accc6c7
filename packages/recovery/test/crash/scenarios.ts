/** What is enumerated: each protocol step and each kind of target, as short as can be, for every call of it is a crash. */

import type { Operation } from '@forewrit/core';
import type { Fault, FileSystemCall, SimulatedDisk } from '@forewrit/testkit';
import type { Tree } from '../campaign-model.js';
import { backlogScenarios } from './backlog-scenarios.js';
import { deferredScenarios } from './deferred-scenarios.js';
import { directoryScenarios } from './directory-scenarios.js';
import { historyScenarios } from './history-scenarios.js';
import { undoScenarios } from './undo-scenarios.js';
import {
  mkdir,
  move,
  type ProcessOptions,
  remove,
  type SimulatedProcess,
  type World,
  write,
} from '../world.js';

export type Step = readonly Operation[] | Save | 'materialize' | 'checkpoint' | 'marks' | Act;

/** A save whose files follow later. */
export interface Save {
  readonly deferred: readonly Operation[];
}

/** Something else that a process does, or somebody beside it. It leaves the tree as it is, or as `makes` says. */
export interface Act {
  readonly does: (process: SimulatedProcess, world: World) => void | Promise<void>;
  readonly makes?: Tree;
}

export interface Scenario {
  readonly name: string;
  readonly disk?: (options: { readonly directoryTimes?: boolean }) => SimulatedDisk;
  readonly options?: Pick<
    ProcessOptions,
    'privileged' | 'probeWitness' | 'roots' | 'history' | 'flushesMax' | 'keepsBacklog'
  >;
  /** Durable and checkpointed before it begins. */
  readonly before: readonly (readonly Operation[])[];
  /** What else has happened by then; all of it is durable. */
  readonly prepare?: (world: World) => World | Promise<World>;
  /** What recovery makes of what `prepare` has left; otherwise the tree is there already. */
  readonly recoversTo?: Tree;
  readonly steps: readonly Step[];
  /** Steps of a second process, which take turns with those of the first. */
  readonly others?: readonly Step[];
  readonly faults?: readonly Fault[];
  /** Steps may be impossible, or refused: then they change nothing. Otherwise that is an error. */
  readonly mayRefuse?: boolean;
  /** Somebody else, before a call of the first process. */
  readonly meddles?: (call: FileSystemCall, world: World) => void;
  /** Contents that somebody else has put somewhere: wherever they are in the end, they are not lost. */
  readonly edits?: readonly string[];
  /** What a person does after each recovery, and what comes of it. Without it nothing may be blocked. */
  readonly afterRecovery?: {
    readonly does: (process: SimulatedProcess) => Promise<void>;
    readonly makes: Tree;
  };
}

/** Over the inline limit of the enumeration. */
export const large = 'LARGE '.repeat(8);
const small = (text: string): string => `${text}.`;

export const files = [[write('a', small('a0')), write('b', small('b0')), write('d/c', small('c0'))]];

export const ordinaryScenarios: readonly Scenario[] = [
  { name: 'create', before: [], steps: [[write('a', small('1')), write('b', small('1'))]] },
  { name: 'create below new parents', before: [], steps: [[write('x/y/a', small('1')), write('b', large)]] },
  { name: 'replace', before: files, steps: [[write('a', small('1')), write('b', small('1'))]] },
  { name: 'replace by large', before: files, steps: [[write('a', large), write('b', small('1'))]] },
  {
    name: 'replace twice',
    before: files,
    steps: [[write('a', small('1')), write('b', small('1'))], [write('a', small('2'))]],
  },
  {
    name: 'large, then small, and a checkpoint between',
    before: files,
    steps: [[write('a', large)], 'checkpoint', [write('a', small('2'))], 'marks'],
  },
  { name: 'delete', before: files, steps: [[remove('a'), write('b', small('1'))]] },
  { name: 'delete, then create', before: files, steps: [[remove('a')], [write('a', small('2'))]] },
  { name: 'delete a directory', before: files, steps: [[remove('d'), write('a', small('1'))]] },
  { name: 'move', before: files, steps: [[move('a', 'n'), write('b', small('1'))]] },
  { name: 'move over another', before: files, steps: [[move('a', 'b')]] },
  { name: 'move what was just written', before: [], steps: [[write('a', small('1'))], [move('a', 'b')]] },
  { name: 'move, then write the source', before: files, steps: [[move('a', 'n')], [write('a', small('2'))]] },
  { name: 'swap', before: files, steps: [[move('a', 't'), move('b', 'a'), move('t', 'b')]] },
  { name: 'move a directory', before: files, steps: [[move('d', 'e')]] },
  {
    name: 'move a directory and write into it',
    before: files,
    steps: [[move('d', 'e'), write('e/c', small('1'))]],
  },
  {
    name: 'write into a directory, then move it',
    before: files,
    steps: [[write('d/c', small('1'))], [move('d', 'e')]],
  },
  {
    name: 'swap directories',
    before: [
      [mkdir('d'), mkdir('e')],
      [write('d/c', small('1')), write('e/c', small('2'))],
    ],
    steps: [[move('d', 't')], [move('e', 'd')], [move('t', 'e')]],
  },
  { name: 'make a directory', before: files, steps: [[mkdir('n'), write('n/a', small('1'))]] },
  {
    name: 'checkpoint',
    before: files,
    steps: [[write('a', small('1')), write('n', large)], 'checkpoint', 'marks'],
  },
  {
    name: 'checkpoint of what was replaced meanwhile',
    before: files,
    steps: [[write('a', small('1'))], [write('a', small('2')), remove('b')], 'checkpoint'],
  },
  {
    name: 'many files',
    before: [],
    steps: [Array.from({ length: 6 }, (_, index) => write(`f${index}`, small(`${index}`)))],
  },
  {
    name: 'two writers',
    before: files,
    steps: [[write('a', small('1')), write('b', small('1'))], 'checkpoint'],
    others: [[write('d/c', small('2')), write('n', small('2'))], 'marks'],
  },
  {
    name: 'two writers of one file',
    before: files,
    steps: [[write('a', small('1'))], 'marks', 'marks', [write('a', small('3'))]],
    others: ['marks', [write('a', small('2'))], 'marks', 'checkpoint'],
  },
  {
    name: 'roll-back of an apply that fails',
    before: files,
    steps: [[write('a', small('1')), write('b', small('1')), remove('d/c')], [write('n', small('2'))]],
    faults: [{ error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === '/store/b' }],
  },
  {
    name: 'roll-back of an apply that fails, without hard links',
    before: files,
    steps: [[write('a', small('1')), write('b', large)]],
    faults: [
      { error: 'EPERM', at: ({ method }) => method === 'link', sticky: true },
      { error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === '/store/b' },
    ],
  },
];

export const scenarios: readonly Scenario[] = [
  ...ordinaryScenarios,
  ...directoryScenarios,
  ...deferredScenarios,
  ...undoScenarios,
  ...backlogScenarios,
  ...historyScenarios,
];
