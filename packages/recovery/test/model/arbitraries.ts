/** Random programs for fast-check, which finds a short one among those that fail. */

import * as fc from 'fast-check';
import {
  type Action,
  type Dangers,
  directoryNames,
  type Edit,
  errorCodes,
  type Event,
  fileNames,
  keyNames,
  type Program,
  type ReaderSpec,
  type Step,
  type TransactionSpec,
} from './program.js';
import { inWords } from './words.js';

const owner = fc.nat(2);
const file = fc.constantFrom(...fileNames);
const directory = fc.constantFrom(...directoryNames);
const key = fc.constantFrom(...keyNames);
const seed = fc.nat(2 ** 31);
const callsMany = 60;
const at = fc.oneof(fc.nat(12), fc.nat(callsMany));

const simpleAction: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      path: file,
      large: fc.boolean(),
      how: fc.oneof(
        { weight: 6, arbitrary: fc.constant('blind' as const) },
        { weight: 2, arbitrary: fc.constant('guarded' as const) },
        { weight: 1, arbitrary: fc.constantFrom('if absent' as const, 'forced' as const) },
      ),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('append', 'remove', 'read'), path: file }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('copy', 'move', 'swap'), from: file, path: file }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('mkdir', 'remove', 'list'), path: directory }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('move', 'replace'), from: directory, path: directory }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('trade places' as const),
      path: fc.constantFrom('f', 'd/g'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('put', 'delete', 'get'), key }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('range', 'count in a file', 'count in an entry') }),
  },
);

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 14, arbitrary: simpleAction },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('take back' as const),
      actions: fc.array(simpleAction, { minLength: 1, maxLength: 2 }),
    }),
  },
);

const aborts = fc.oneof(
  { weight: 15, arbitrary: fc.constant(false) },
  { weight: 1, arbitrary: fc.constant(true) },
);

/** Of which most can be deferred, where what they need is there. */
const save: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      path: file,
      large: fc.constant(false),
      how: fc.constantFrom('blind' as const, 'blind' as const, 'guarded' as const, 'forced' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('read' as const), path: file }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('list' as const), path: directory }) },
);

const transaction: fc.Arbitrary<TransactionSpec> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      actions: fc.array(action, { minLength: 1, maxLength: 5 }),
      aborts,
      defers: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      actions: fc.array(save, { minLength: 1, maxLength: 3 }),
      aborts,
      defers: fc.constant(true),
    }),
  },
);

const edit: fc.Arbitrary<Edit> = fc.record({
  path: file,
  how: fc.constantFrom('replace', 'in place', 'delete'),
  flushed: fc.boolean(),
});

function eventOf({ edits, faults }: Dangers): fc.Arbitrary<Event> {
  return fc.oneof(
    { weight: 3, arbitrary: fc.record({ what: fc.constant('kill' as const), at }) },
    { weight: 2, arbitrary: fc.record({ what: fc.constant('power cut' as const), at, seed }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('checkpoint' as const), at, owner }) },
    ...(edits ? [{ weight: 4, arbitrary: fc.record({ what: fc.constant('edit' as const), at, edit }) }] : []),
    ...(faults
      ? [
          {
            weight: 3,
            arbitrary: fc.record({
              what: fc.constant('error' as const),
              at,
              error: fc.constantFrom(...errorCodes),
              after: fc.boolean(),
              sticky: fc.boolean(),
            }),
          },
          {
            weight: 1,
            arbitrary: fc.record({ what: fc.constant('short write' as const), at, bytes: fc.nat(20) }),
          },
          { weight: 1, arbitrary: fc.record({ what: fc.constant('log fails' as const), at }) },
        ]
      : []),
  );
}

function stepOf(dangers: Dangers): fc.Arbitrary<Step> {
  const events = fc.array(eventOf(dangers), { maxLength: 2 });
  const group = fc.array(transaction, { minLength: 1, maxLength: 2 });
  const reader: fc.Arbitrary<ReaderSpec> = fc.record({
    owner,
    how: fc.constantFrom('readFiles', 'snapshot', 'transaction'),
    paths: fc.uniqueArray(file, { minLength: 1, maxLength: 4 }),
    pace: fc.array(fc.nat(6), { maxLength: 12 }),
  });
  return fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        step: fc.constant('work' as const),
        owner,
        transactions: group,
        rivals: fc.array(fc.record({ owner, transactions: group, at }), { maxLength: 2 }),
        events,
        readers: fc.array(reader, { maxLength: 1 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        step: fc.constantFrom('checkpoint', 'recover', 'materialize'),
        owner,
        events,
      }),
    },
    { weight: 1, arbitrary: fc.record({ step: fc.constantFrom('record', 'kill', 'close'), owner }) },
    { weight: 1, arbitrary: fc.record({ step: fc.constant('power cut' as const), seed }) },
    ...(dangers.edits
      ? [{ weight: 3, arbitrary: fc.record({ step: fc.constant('edit' as const), edit }) }]
      : []),
  );
}

export function programs(dangers: Dangers): fc.Arbitrary<Program> {
  return fc
    .record({
      inlineLimitBytes: fc.constantFrom(24, 0, 64 * 1024),
      steps: fc.array(stepOf(dangers), { minLength: 1, maxLength: 12 }),
      end: fc.array(eventOf({ edits: false, faults: false }), { maxLength: 3 }),
    })
    .map((program) => Object.assign(program, { [fc.toStringMethod]: () => inWords(program) }));
}
