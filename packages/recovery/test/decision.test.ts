/** The decision table over everything that can be observed: about fifty thousand combinations. */

import { blockedRow, decide, type Decision, decisionTable, type Observation } from '#src/decision.js';
import { assert, suite } from '@forewrit/testkit';

const both = [false, true] as const;

const space: { readonly [K in keyof Observation]: readonly Observation[K][] } = {
  records: ['refused', 'uncommitted', 'aborted', 'committed'],
  resumable: both,
  superseded: both,
  boot: ['same', 'other'],
  applied: both,
  showsAfter: both,
  provenApplied: both,
  showsBefore: both,
  parentGone: both,
  sharesStagedInode: both,
  showsOlder: both,
  foreign: both,
  source: ['sound', 'missing', 'damaged'],
  escapes: both,
};

const keys = Object.keys(space) as (keyof Observation)[];

function* everything(): Generator<Observation> {
  const sizes = keys.map((key) => space[key].length);
  const total = sizes.reduce((product, size) => product * size, 1);
  for (let number = 0; number < total; number += 1) {
    let rest = number;
    const observed: Partial<Record<keyof Observation, unknown>> = {};
    for (const [index, key] of keys.entries()) {
      const size = sizes[index]!;
      observed[key] = space[key][rest % size];
      rest = Math.floor(rest / size);
    }
    yield observed as unknown as Observation;
  }
}

/** Fails with the first combination that does not have the property. */
function forAll(property: (observed: Observation, decision: Decision) => boolean): void {
  for (const observed of everything()) {
    const decision = decide(observed);
    if (!property(observed, decision)) {
      throw new Error(`${JSON.stringify(observed)} gives ${JSON.stringify(decision)}`);
    }
  }
}

/** The table of the protocol once more, as one reads it aloud. */
function rowByTheBook(o: Observation): number {
  const same = o.boot === 'same';
  if (o.records === 'refused') return 1;
  if (o.records === 'uncommitted') return 2;
  if (o.records === 'aborted') return 3;
  if (o.superseded) return 4;
  if (same && o.applied) return 5;
  if (o.showsAfter) return 6;
  if (same && o.provenApplied) return 7;
  const redo = (row: number): number => (o.source !== 'sound' || o.escapes ? 14 : row);
  if (o.showsBefore && !(same && o.parentGone)) return redo(8);
  if (o.sharesStagedInode) return 9;
  if (!same && o.showsOlder) return redo(10);
  if (o.foreign) return 11;
  return same ? 12 : redo(13);
}

const verdictOfRow: Readonly<Record<number, readonly Decision['verdict'][]>> = {
  1: ['refuse'],
  2: ['wait', 'sweep'],
  3: ['sweep'],
  4: ['skip'],
  5: ['leave'],
  6: ['keep'],
  7: ['keep'],
  8: ['redo'],
  9: ['keep'],
  10: ['redo'],
  11: ['keep'],
  12: ['keep'],
  13: ['redo'],
  14: ['block'],
};

const writes = ({ verdict }: Decision): boolean => verdict === 'redo';

const test = suite('the decision table');

test('decides every observation by the first row that matches', () => {
  forAll((observed, decision) => {
    const first = decisionTable.find(({ when }) => when(observed));
    if (first === undefined) return false;
    const expected =
      first.verdict === 'redo' && (observed.escapes || observed.source !== 'sound') ? blockedRow : first;
    return (
      decision.row === expected.row &&
      decision.verdict === expected.verdict &&
      decision.reason === expected.reason
    );
  });
});

test('has the rows of the protocol, in their order', () => {
  forAll((observed, decision) => decision.row === rowByTheBook(observed));
  forAll((_, { row, verdict }) => verdictOfRow[row]?.includes(verdict) ?? false);
  const numbers = decisionTable.map(({ row }) => row);
  assert.equal(
    numbers,
    numbers.toSorted((a, b) => a - b),
  );
});

test('has no row that is never reached', () => {
  const reached = new Set<number>();
  forAll((_, { row }) => {
    reached.add(row);
    return true;
  });
  assert.equal(
    [...reached].sort((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
  );
});

test('gives the same answer every time', () => {
  forAll((observed, decision) => JSON.stringify(decide({ ...observed })) === JSON.stringify(decision));
});

test('never writes over an edit on the same boot', () => {
  // Within one boot what shows neither image is an edit, and what was proven to be applied is somebody's since.
  forAll((o, decision) => o.boot !== 'same' || !writes(decision) || o.showsBefore);
  forAll((o, decision) => o.boot !== 'same' || !writes(decision) || !(o.provenApplied || o.applied));
});

test('never makes again what somebody has removed on the same boot, parents included', () => {
  forAll((o, decision) => o.boot !== 'same' || !writes(decision) || !o.parentGone);
});

test('redoes a winner wherever it shows its before-image and was not applied', () => {
  forAll((o, decision) => {
    const due =
      o.records === 'committed' &&
      !o.superseded &&
      o.showsBefore &&
      !o.showsAfter &&
      (o.boot === 'other' || !o.parentGone);
    if (!due || (o.boot === 'same' && (o.applied || o.provenApplied))) return true;
    return decision.verdict === (o.source === 'sound' && !o.escapes ? 'redo' : 'block');
  });
});

test('destroys nothing without a copy, but what the log knows to be its own', () => {
  forAll((o, decision) => !writes(decision) || decision.save === 'theirs' || o.showsBefore || o.showsOlder);
});

test('keeps a copy of ours where it gives way to somebody else', () => {
  forAll((_, { row, save }) => (row === 11 || row === 12) === (save === 'ours'));
});

test('touches nothing of a loser, of a rolled-back or of a superseded transaction', () => {
  forAll((o, decision) => {
    const isWinner = o.records === 'committed' && !o.superseded;
    return isWinner || !(writes(decision) || decision.verdict === 'keep' || decision.verdict === 'block');
  });
});

test('does not count as applied what another boot has applied', () => {
  forAll(
    (o, decision) =>
      o.boot === 'same' || JSON.stringify(decide({ ...o, applied: !o.applied })) === JSON.stringify(decision),
  );
});

test('takes no torn inline file for an edit because of the inode that it shares with its staged name', () => {
  // Inline content is never durable under a staged name: then this is not observed, and the file is torn.
  forAll((o, decision) => o.boot === 'same' || o.sharesStagedInode || decision.row !== 9);
});

test('keeps what it has redone', () => {
  for (const observed of everything()) {
    if (decide(observed).verdict !== 'redo') continue;
    for (const showsBefore of both) {
      const again = decide({ ...observed, showsAfter: true, provenApplied: true, showsBefore });
      if (again.verdict !== 'keep' || again.row !== 6) throw new Error(JSON.stringify({ observed, again }));
    }
  }
});

test('blocks instead of writing where there is nothing sound to write, or no way to the path', () => {
  forAll((o, decision) => !writes(decision) || (o.source === 'sound' && !o.escapes));
  forAll((o, decision) => decision.verdict !== 'block' || o.source !== 'sound' || o.escapes);
});

test('reports whatever a person would want to know', () => {
  forAll((_, { row, report }) => report === [7, 9, 11, 12, 13, 14].includes(row));
});

test('restores a mode only of what it keeps as its own', () => {
  forAll(
    (o, { row, restoreMode }) => !restoreMode || (row === 6 && (o.boot === 'other' || !o.provenApplied)),
  );
});

test.run();
