/** Short programs that an oracle which is not exact takes for violations. */

import { suite } from '@forewrit/testkit';
import type { Action, Step, TransactionSpec } from './program.js';
import { runProgram } from './run.js';

const test = suite('oracle of the model');

function write(path: string): Action {
  return { do: 'write', path, large: false, how: 'blind' };
}

function transaction(...actions: readonly Action[]): TransactionSpec {
  return { actions, aborts: false };
}

function work(...transactions: readonly TransactionSpec[]): Step {
  return { step: 'work', owner: 0, transactions, rivals: [], events: [], readers: [] };
}

const checkpoint: Step = { step: 'checkpoint', owner: 0, events: [] };

function powerCut(seed: number): Step {
  return { step: 'power cut', seed };
}

function writeInto(path: string): Step {
  return { step: 'edit', edit: { path, how: 'in place', flushed: false } };
}

test('what is written into a file whose move a power cut has undone goes along with it once more, and may then be removed', async () => {
  await runProgram({
    inlineLimitBytes: 0,
    steps: [
      work(transaction(write('b'))),
      checkpoint,
      work(transaction({ do: 'move', from: 'b', path: 'e/a' })),
      powerCut(0),
      writeInto('b'),
      work(transaction({ do: 'remove', path: 'e/a' })),
    ],
    end: [],
  });
});

test('what is written into a file whose move and removal a power cut has undone is where the cut has left it, or the move takes it', async () => {
  for (let seed = 0; seed < 20; seed += 1) {
    await runProgram({
      inlineLimitBytes: 0,
      steps: [
        work(transaction(write('a'), write('c'))),
        checkpoint,
        work(transaction({ do: 'swap', from: 'c', path: 'a' })),
        work(transaction({ do: 'remove', path: 'c' })),
        powerCut(seed),
        writeInto('a'),
      ],
      end: [],
    });
  }
});

test.run();
