/**
 * What is taken back: operations that had staged something, and logged it, before a commit that never came; and blocked
 * transactions, which a person ends in either direction.
 */

import {
  encodeFrame,
  frameSeed,
  type LogBatch,
  type Operation,
  transactionId,
  transactionKey,
  type TransactionNumber,
} from '@forewrit/core';
import type { FileSystemCall } from '@forewrit/testkit';
import { repairTransaction, type RepairDirection } from '#src/repair.js';
import type { Tree } from '../campaign-model.js';
import { mkdir, move, remove, root, type SimulatedProcess, type World, write } from '../world.js';
import type { Act, Scenario } from './scenarios.js';

const staging = `${root}/.forewrit/staged`;
/** Over the inline limit of the enumeration. */
const large = 'LARGE '.repeat(8);

/** Of records before a commit, see docs/format.md. */
const kinds = { begin: 1, stage: 2 } as const;
/** Far above those of the user's transactions. */
const resumableCounter = 0x8000_0000;

function putRecord(
  batch: LogBatch,
  { owner, counter }: TransactionNumber,
  sequence: number,
  [kind, payload]: readonly [number, Parameters<typeof encodeFrame>[1]],
): void {
  const key = transactionKey(owner, counter, sequence);
  batch.put('log', key, encodeFrame(kind, payload, frameSeed('log', key)));
}

/**
 * As a resumable operation begins: each staged name is logged as soon as it is durable, and there is no commit. The last
 * name is not logged yet.
 */
function beginsAndStages(count: number): Act {
  return {
    does({ context, owner }) {
      const { fileSystem, log } = context;
      const number = { owner: owner.number, counter: resumableCounter };
      const id = transactionId(number);
      log.commit((batch) => putRecord(batch, number, 1, [kinds.begin, [`boot`, 'mount', 1]]));
      for (let index = 0; index < count; index += 1) {
        const name = `${id}-${index.toString(36)}`;
        const descriptor = fileSystem.create(`${staging}/${name}`, 0o600);
        fileSystem.write(descriptor, Buffer.from(large), 0);
        fileSystem.sync(descriptor);
        fileSystem.close(descriptor);
        fileSystem.link(`${staging}/${name}`, `${staging}/${name}.apply`);
        fileSystem.syncDirectory(staging);
        if (index === count - 1) return;
        const payload = [index, '', name, `${name}.apply`, null];
        log.commit((batch) => putRecord(batch, number, 2 + index, [kinds.stage, payload]));
      }
    },
  };
}

const files = [[write('a', 'a0.'), write('b', 'b0.'), write('d/c', 'c0.'), write('gone', 'g0.')]];

interface Blocked {
  readonly direction: RepairDirection;
  /** The power was cut, too: what had been applied proves nothing. */
  readonly boot: 'same' | 'other';
  readonly makes: Tree;
  readonly meanwhile?: (world: World) => void;
  readonly edits?: readonly string[];
  /** What the one that died kept; whoever repairs keeps none of its own. */
  readonly history?: object;
  /** By default before the file is put in place whose content is lost. */
  readonly diesAt?: (call: FileSystemCall) => boolean;
}

/** As a person does with all that a recovery has found blocked. */
export async function repairs(
  { context, owner, recovery }: SimulatedProcess,
  direction: RepairDirection,
): Promise<void> {
  const { blocked } = recovery!;
  for (const id of blocked) await repairTransaction(context, owner, { id, direction, blocked });
}

const isRottenPut = ({ method, dest }: FileSystemCall): boolean =>
  method === 'rename' && dest === `${root}/rotten`;

/** A death in the middle of an apply, and a staged content that has gone since. */
export function blockedScenario(
  name: string,
  operations: readonly Operation[],
  { direction, boot, makes, meanwhile, edits, history, diesAt = isRottenPut }: Blocked,
): Scenario {
  const does = (process: SimulatedProcess): Promise<void> => repairs(process, direction);
  return {
    name,
    before: files,
    async prepare(world: World) {
      const dying: SimulatedProcess = await world.open({
        inlineLimitBytes: 0,
        ...(history === undefined ? {} : { history }),
        beforeCall: (call) => {
          if (diesAt(call)) dying.kill();
        },
      });
      const outcome = dying.attempt(...operations, write('rotten', 'x'));
      if (!(outcome instanceof Error)) throw new Error('it did not die');
      dying.kill();
      const after = boot === 'same' ? world : world.powerCut();
      const { outside } = after;
      for (const each of outside.list(staging)) {
        const isRotten = outside.lstat(`${staging}/${each}`)?.size === 1;
        if (isRotten && !each.endsWith('.apply')) outside.unlink(`${staging}/${each}`);
      }
      meanwhile?.(after);
      return after;
    },
    ...(edits === undefined ? {} : { edits }),
    steps: [{ does, makes }],
    afterRecovery: { does, makes },
  };
}

const old: Tree = { a: 'a0.', b: 'b0.', 'd/': '', 'd/c': 'c0.', gone: 'g0.' };
const changes = [write('a', 'a1.'), write('b', large), remove('gone')];

export const undoScenarios: readonly Scenario[] = [
  {
    name: 'begun and staged, and never committed',
    before: files,
    steps: [beginsAndStages(2)],
  },
  {
    name: 'begun and staged, with commits before and after it',
    before: files,
    steps: [[write('a', 'a1.')], beginsAndStages(2), [write('b', large), remove('d/c')], 'checkpoint'],
  },
  blockedScenario('blocked, and repaired back', changes, { direction: 'back', boot: 'same', makes: old }),
  blockedScenario('blocked, and repaired back on another boot', [...changes, mkdir('n')], {
    direction: 'back',
    boot: 'other',
    makes: old,
  }),
  blockedScenario(
    'blocked with a directory that has moved, and repaired back',
    [move('d', 'e'), write('e/c', 'c1.')],
    {
      direction: 'back',
      boot: 'same',
      makes: old,
    },
  ),
  blockedScenario(
    'blocked with a directory that has made room for another, and repaired back',
    [move('d', 'e'), write('d/c', 'c1.'), write('d/n', 'n1.')],
    {
      direction: 'back',
      boot: 'same',
      makes: old,
    },
  ),
  blockedScenario(
    'blocked with a directory in the place of a file, and repaired back',
    [remove('a'), move('d', 'a'), move('b', 'd')],
    {
      direction: 'back',
      boot: 'same',
      makes: old,
    },
  ),
  blockedScenario(
    'blocked with a directory in the place of a file, and repaired back on another boot',
    [remove('a'), move('d', 'a'), move('b', 'd')],
    {
      direction: 'back',
      boot: 'other',
      makes: old,
    },
  ),
  blockedScenario(
    'blocked with a directory in the place of a file, and repaired forward on another boot',
    [move('a', 'n'), move('d', 'a')],
    {
      direction: 'forward',
      boot: 'other',
      makes: { b: 'b0.', 'a/': '', 'a/c': 'c0.', gone: 'g0.', n: 'a0.' },
      history: {},
    },
  ),
  blockedScenario('blocked, and repaired forward', changes, {
    direction: 'forward',
    boot: 'same',
    makes: { a: 'a1.', b: large, 'd/': '', 'd/c': 'c0.' },
  }),
  blockedScenario('blocked, and repaired forward on another boot', changes, {
    direction: 'forward',
    boot: 'other',
    makes: { a: 'a1.', b: large, 'd/': '', 'd/c': 'c0.' },
  }),
  blockedScenario('blocked with history, and repaired forward', changes, {
    direction: 'forward',
    boot: 'same',
    makes: { a: 'a1.', b: large, 'd/': '', 'd/c': 'c0.' },
    history: {},
  }),
  blockedScenario('blocked with history, and repaired forward on another boot', [...changes, remove('d')], {
    direction: 'forward',
    boot: 'other',
    makes: { a: 'a1.', b: large },
    history: {},
  }),
  blockedScenario('blocked, and left as it is', changes, {
    direction: 'quarantine',
    boot: 'same',
    makes: { a: 'a1.', b: large, 'd/': '', 'd/c': 'c0.', gone: 'g0.' },
  }),
];
