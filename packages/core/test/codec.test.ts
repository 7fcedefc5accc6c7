/** Records and rows as bytes: what was written comes back, and nothing else is taken for it. */

import { loadChecksum } from '#src/record/checksum.js';
import { decodeTransaction, encodeCommitBatch, encodeMark, encodeResumable } from '#src/record/codec.js';
import { checkFrames, encodeFrame, encodeValue, frameSeed, type Packable } from '#src/record/frame.js';
import type { Image } from '#src/record/image.js';
import { transactionKey, u32Key } from '#src/record/key.js';
import type { Row } from '#src/log/log.js';
import type { Owner } from '#src/owner/owner.js';
import { type Resumable, sequences, type Target } from '#src/record/record.js';
import { entryRow, fileRow, formatRow, lockRow, ownerRow } from '#src/record/rows.js';
import { isStoreError } from '#src/errors.js';
import { assert, suite } from '@forewrit/testkit';
import { catchFrom } from './log-values.js';

const test = suite('codec');
const number = { owner: 3, counter: 17 };
const fingerprint = { ino: 2n ** 60n, size: 6, mtimeNs: 1_700_000_000_123_456_789n, birthtimeNs: 0n };

const targets: readonly Target[] = [
  {
    index: 0,
    action: 'write',
    path: 'a/ü.json',
    via: 'link',
    volume: '',
    before: { type: 'file', fingerprint, mode: 0o640, checksum: 2n ** 64n - 1n },
    after: { type: 'file', fingerprint: { ...fingerprint, size: 7 }, mode: 0o644, checksum: 0n },
    content: new TextEncoder().encode('content'),
    applyName: '3-h-0.apply',
    beforeName: '3-h-0',
    beforeCopied: true,
  },
  {
    index: 1,
    action: 'move',
    path: 'b',
    from: 'c',
    volume: 'mnt',
    before: { type: 'absent' },
    after: { type: 'symlink', fingerprint },
    staged: '3-h-1',
    applyName: '3-h-1.apply',
  },
  {
    index: 2,
    action: 'remove-directory',
    path: 'd',
    volume: '',
    before: { type: 'directory', ino: 12n, mode: 0o755 },
    after: { type: 'absent' },
    beforeName: '3-h-2',
    listing: [{ name: 'x/y', type: 'file', fingerprint }],
  },
  {
    index: 3,
    action: 'remove',
    path: 'c',
    volume: '',
    before: { type: 'other', fingerprint },
    after: { type: 'absent' },
    beforeName: '3-h-3',
    movedAway: true,
  },
];

function rows(ofTargets = targets): Row[] {
  const batch = encodeCommitBatch({
    number,
    begin: { kind: 'begin', bootId: 'boot', mount: '8:1', startedAtMs: 5 },
    targets: ofTargets,
    revision: 41,
    entries: [
      { collection: 'c', key: 'k', old: new Uint8Array([1, 2]) },
      { collection: 'c', key: 'new' },
    ],
  });
  return [batch, encodeMark(number, { kind: 'applied', bootId: 'boot' })];
}

/** What is decoded has all its fields, whether they have a value or not. */
function withoutUndefined<T extends object>(decoded: T): T {
  return Object.fromEntries(Object.entries(decoded).filter(([, value]) => value !== undefined)) as T;
}

test.before(loadChecksum);

test('a transaction comes back as it was written', () => {
  const decoded = decodeTransaction(number, rows());
  assert.is(decoded.id, '3-h');
  assert.equal(decoded.begin, { kind: 'begin', bootId: 'boot', mount: '8:1', startedAtMs: 5 });
  assert.is(decoded.commit?.revision, 41);
  assert.is(decoded.applied?.bootId, 'boot');
  assert.is(decoded.targets.length, targets.length);
  for (const [index, target] of targets.entries()) {
    const { content, ...rest } = withoutUndefined(decoded.targets[index]!);
    const { content: written, ...expected } = target;
    assert.equal(rest, expected);
    assert.equal(
      content === undefined ? undefined : [...content],
      written === undefined ? undefined : [...written],
    );
  }
  assert.equal(
    decoded.commit?.entries.map(({ key, old }) => [key, old === undefined ? undefined : [...old]]),
    [
      ['k', [1, 2]],
      ['new', undefined],
    ],
  );
});

const resumable: Resumable = {
  id: 'report.md',
  ttlMs: 86_400_000,
  metadata: new Uint8Array([1, 2, 3]),
  volume: '',
  staged: '2-5-s0',
  offset: 2 ** 40,
  checksum: 2n ** 64n - 1n,
  advancedAtMs: 1_700_000_000_000,
};

function resumableRow(of = resumable): Row {
  return encodeResumable(number, { kind: 'begin', bootId: 'boot', mount: '8:1', startedAtMs: 5 }, of);
}

test('targets of every kind have the same fields in the same order, and so have transactions', () => {
  const decoded = decodeTransaction(number, rows());
  const shapes = new Set(decoded.targets.map((target) => Object.keys(target).join()));
  assert.is(shapes.size, 1, [...shapes].join(' | '));
  const begun = decodeTransaction(number, [resumableRow()]);
  assert.equal(Object.keys(begun), Object.keys(decoded));
});

test('content that is staged over time comes back as it was written', () => {
  for (const metadata of [resumable.metadata, undefined]) {
    const { metadata: _, ...rest } = resumable;
    const written = metadata === undefined ? rest : { ...rest, metadata };
    const decoded = decodeTransaction(number, [resumableRow(written)]);
    assert.equal(decoded.targets, []);
    assert.is(decoded.commit, undefined);
    assert.is(decoded.begin?.startedAtMs, 5);
    const { metadata: found, ...other } = decoded.resumable!;
    assert.equal(other, rest);
    assert.equal(
      found === undefined ? undefined : [...found],
      metadata === undefined ? undefined : [1, 2, 3],
    );
  }
});

test('content that is staged over time is refused cut short, damaged, and beside a transaction', () => {
  const [key, value] = resumableRow();
  for (let length = 0; length < value.byteLength; length += 1) {
    assert.throwsWithCode(
      () => decodeTransaction(number, [[key, value.subarray(0, length)]]),
      'ERR_LOG_CORRUPT',
    );
  }
  const [, last] = framesOf(value);
  assert.throwsWithCode(() => decodeTransaction(number, [[key, last!]]), 'ERR_LOG_CORRUPT');
  assert.throwsWithCode(
    () => decodeTransaction(number, [[key, Buffer.concat([value, value])]]),
    'ERR_LOG_CORRUPT',
  );
  assert.throwsWithCode(() => decodeTransaction(number, [rows()[0]!, [key, value]]), 'ERR_LOG_CORRUPT');
  // As if somebody had put one kind of value under the key of the other.
  assert.throwsWithCode(() => decodeTransaction(number, [[rows()[0]![0], value]]), 'ERR_LOG_CORRUPT');
});

test('every single flipped bit is refused, and never taken for content', () => {
  for (const whole of [rows(), [resumableRow()]]) refuseFlips(whole);
});

function refuseFlips(whole: readonly Row[]): void {
  for (const [which, [key, value]] of whole.entries()) {
    for (let bit = 0; bit < value.byteLength * 8; bit += 1) {
      const damaged = Uint8Array.from(value);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const damagedRows = whole.map((row, index): Row => (index === which ? [key, damaged] : row));
      try {
        decodeTransaction(number, damagedRows);
      } catch (error) {
        if (isStoreError(error, 'ERR_LOG_CORRUPT') || isStoreError(error, 'ERR_UNSUPPORTED_FORMAT')) continue;
        throw error;
      }
      assert.unreachable(`bit ${bit} of value ${which} went unnoticed`);
    }
  }
}

test('frames are whole or not without a look at what they mean, under their key only', () => {
  const whole = rows();
  for (const [key, value] of whole) {
    checkFrames('log', key, value);
    for (let bit = 0; bit < value.byteLength * 8; bit += 7) {
      const damaged = Uint8Array.from(value);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const error = catchFrom(() => checkFrames('log', key, damaged));
      assert.ok(isStoreError(error), `bit ${bit}: ${String(error)}`);
    }
    for (let bit = 0; bit < key.byteLength * 8; bit += 1) {
      const another = Uint8Array.from(key);
      another[bit >> 3]! ^= 1 << (bit & 7);
      assert.throwsWithCode(() => checkFrames('log', another, value), 'ERR_LOG_CORRUPT');
    }
    assert.throwsWithCode(() => checkFrames('files', key, value), 'ERR_LOG_CORRUPT');
    assert.throwsWithCode(() => checkFrames('log', key, value.subarray(0, -1)), 'ERR_LOG_CORRUPT');
  }
  assert.throwsWithCode(() => checkFrames('log', whole[0]![0], new Uint8Array(0)), 'ERR_LOG_CORRUPT');
});

test('every truncation of the batch is refused', () => {
  const [key, value] = rows()[0]!;
  for (let length = 0; length < value.byteLength; length += 1) {
    assert.throwsWithCode(
      () => decodeTransaction(number, [[key, value.subarray(0, length)]]),
      'ERR_LOG_CORRUPT',
    );
  }
});

test('a batch under the key of another transaction is refused', () => {
  const [, value] = rows()[0]!;
  const [key] = encodeCommitBatch({
    number: { owner: 3, counter: 18 },
    begin: { kind: 'begin', bootId: '', mount: '', startedAtMs: 0 },
    targets: [],
    revision: 1,
    entries: [],
  });
  assert.throwsWithCode(
    () => decodeTransaction({ owner: 3, counter: 18 }, [[key, value]]),
    'ERR_LOG_CORRUPT',
  );
});

test('frames of two versions of a batch, each whole and in its place, are refused together', () => {
  const [key, value] = rows()[0]!;
  // As recovery writes it again beside a blocked transaction: under the same key.
  const [, other] = rows(
    targets.map((target) => (target.index === 1 ? { ...target, path: 'e' } : target)),
  )[0]!;
  const frames = framesOf(value);
  const others = framesOf(other);
  assert.is(frames.length, others.length);
  let mixed = 0;
  for (const [index, frame] of frames.slice(0, -1).entries()) {
    if (Buffer.compare(frame, others[index]!) === 0) continue;
    const mixture = Buffer.concat([...frames.slice(0, index), others[index]!, ...frames.slice(index + 1)]);
    assert.throwsWithCode(() => decodeTransaction(number, [[key, mixture]]), 'ERR_LOG_CORRUPT');
    mixed += 1;
  }
  assert.ok(mixed > 0);
});

/** By the length that each has at its fifth byte. */
function framesOf(value: Uint8Array): Uint8Array[] {
  const view = Buffer.from(value);
  const frames: Uint8Array[] = [];
  for (let start = 0; start < view.length; ) {
    const end = start + 16 + view.readUInt32LE(start + 4);
    frames.push(view.subarray(start, end));
    start = end;
  }
  return frames;
}

test('an applied mark without its commit batch is refused', () => {
  assert.throwsWithCode(() => decodeTransaction(number, rows().slice(1)), 'ERR_LOG_CORRUPT');
});

test('what was begun and staged, and never committed, is a transaction without targets; anything more is refused', () => {
  const at = (sequence: number, kind: number, payload: Packable): Row => {
    const key = transactionKey(number.owner, number.counter, sequence);
    return [key, encodeFrame(kind, payload, frameSeed('log', key))];
  };
  const begun = at(1, 1, ['boot', 'mount', 1]);
  const staged = at(2, 2, [0, '', '3-h-0', '3-h-0.apply', null]);
  const checksum = at(3, 3, [0, [0], [0]]);
  for (const rows of [
    [begun],
    [begun, staged],
    [begun, staged, at(3, 2, [1, '', null, '3-h-1.apply', null])],
  ]) {
    const { targets: none, begin, commit } = decodeTransaction(number, rows);
    assert.equal(none, []);
    assert.is(begin?.bootId, 'boot');
    assert.is(commit, undefined);
  }
  const [key, value] = encodeCommitBatch({
    number,
    begin: { kind: 'begin', bootId: 'boot', mount: '8:1', startedAtMs: 5 },
    targets,
    revision: 9,
    entries: [],
  });
  assert.is(decodeTransaction(number, [[key, value], begun, staged]).targets.length, targets.length);
  const applied = encodeMark(number, { kind: 'applied', bootId: 'boot' });
  for (const rows of [
    [begun, staged, checksum],
    [begun, staged, applied],
  ]) {
    assert.throws(
      () => decodeTransaction(number, rows),
      (error: unknown) => isStoreError(error, 'ERR_LOG_CORRUPT'),
    );
  }
});

test('a version that is not ours is unsupported, not corrupt', () => {
  const [key, value] = rows()[0]!;
  const newer = Uint8Array.from(value);
  newer[0] = 2;
  assert.throwsWithCode(() => decodeTransaction(number, [[key, newer]]), 'ERR_UNSUPPORTED_FORMAT');
});

test('rows come back as they were written, and only under their key', () => {
  const key = Buffer.from('/a');
  const other = Buffer.from('/b');
  const file = { path: 'a', revision: 7, transaction: number, image: targets[0]!.after };
  assert.equal(fileRow.decode(key, fileRow.encode(key, file)), file);
  assert.throwsWithCode(() => fileRow.decode(other, fileRow.encode(key, file)), 'ERR_LOG_CORRUPT');
  const lock = { what: 'a', transaction: number, blocked: true };
  assert.equal(lockRow.decode(key, lockRow.encode(key, lock)), lock);
  assert.throwsWithCode(() => fileRow.decode(key, lockRow.encode(key, lock)), 'ERR_LOG_CORRUPT');
  const format = { version: 1, storeId: 'id', createdAtMs: 1, caseInsensitive: false, normalizing: true };
  assert.equal(formatRow.decode(key, formatRow.encode(key, format)), format);
  const entry = entryRow.decode(key, entryRow.encode(key, { revision: 2, value: new Uint8Array([9]) }));
  assert.equal([entry.revision, ...entry.value], [2, 9]);
});

test('images come back, whatever they leave out', () => {
  const images: readonly Image[] = [
    { type: 'absent' },
    { type: 'file', fingerprint, mode: 0o600 },
    { type: 'directory' },
    { type: 'directory', ino: 3n },
    { type: 'directory', mode: 0o700 },
    { type: 'symlink', fingerprint },
    { type: 'other', fingerprint },
  ];
  for (const image of images) {
    const key = Buffer.from('/a');
    const row = { path: 'a', revision: 1, transaction: number, image };
    assert.equal(fileRow.decode(key, fileRow.encode(key, row)).image, image);
  }
});

test('an owner without witness and mount comes back without them', () => {
  const owner: Owner = {
    number: 7,
    id: '7',
    nonce: 'n',
    identity: { pid: 1, startTime: '2', bootId: 'b', pidNamespace: '' },
    mount: undefined,
    openedAtMs: 3,
  };
  const key = u32Key(7);
  const decoded = ownerRow.decode(key, ownerRow.encode(key, owner));
  assert.equal([decoded.witness, decoded.mount, decoded.identity], [undefined, undefined, owner.identity]);
});

/** One value of the log with these frames, each whole: what a later version, or a mistake, might have written. */
function batchOf(...frames: readonly (readonly [kind: number, payload: Packable])[]): Row {
  const key = transactionKey(number.owner, number.counter, sequences.commitBatch);
  const seed = frameSeed('log', key);
  return [
    key,
    Buffer.concat(frames.map(([kind, payload], n) => encodeFrame(kind, payload, seed + BigInt(n)))),
  ];
}

test('frames that are whole and make no sense are refused as damage', () => {
  const stage: readonly [number, Packable] = [2, [0, '', null, 'x.apply', null]];
  const senseless: readonly (readonly (readonly [number, Packable])[])[] = [
    [[99, []]],
    [[1, 'no array']],
    [[1, ['boot']]],
    [[1, [7, '', 0]]],
    [stage],
    [[2, [0, '', null, 'x.apply', 'no bytes']]],
    [[3, [0, [9], [0]]]],
    [[3, [0, 'no array', [0]]]],
    [[3, [0, [1, ['no number', 0, 0n, 0n], 0o644, null], [0]]]],
    [[4, [0, 99]]],
    [[4, [0, 0, 'a', null, null, '', null, 'no boolean']]],
    [[4, [0, 0, 'a', null, null, '', null, false, false, 'no list']]],
    [[4, [0, 0, 'a', null, null, '', null, false, false, [['x', 99, [1n, 1, 1n, 1n]]]]]],
  ];
  for (const frames of senseless) {
    assert.throwsWithCode(() => decodeTransaction(number, [batchOf(...frames)]), 'ERR_LOG_CORRUPT');
  }
  const [key, whole] = rows([])[0]!;
  const seed = frameSeed('log', key) + BigInt(framesOf(whole).length);
  const more = Buffer.concat([whole, encodeFrame(2, [0, '', null, 'x.apply', null], seed)]);
  assert.throwsWithCode(() => decodeTransaction(number, [[key, more]]), 'ERR_LOG_CORRUPT');
  assert.throwsWithCode(() => decodeTransaction(number, [[key, new Uint8Array(0)]]), 'ERR_LOG_CORRUPT');
  assert.throwsWithCode(() => fileRow.decode(key, new Uint8Array(0)), 'ERR_LOG_CORRUPT');
});

test('a whole number that was packed short is read as the wide one it stands for', () => {
  const key = Buffer.from('/a');
  const small = { ...fingerprint, ino: 5n, mtimeNs: 6n };
  const row = {
    path: 'a',
    revision: 1,
    transaction: number,
    image: { type: 'symlink', fingerprint: small },
  } as const;
  assert.equal(fileRow.decode(key, fileRow.encode(key, row)).image, row.image);
  const payload: Packable = ['a', 1, [3, 17], [3, [5, 6, 6, 0]]];
  assert.equal(fileRow.decode(key, encodeValue('files', key, 16, payload)).image, {
    type: 'symlink',
    fingerprint: { ino: 5n, size: 6, mtimeNs: 6n, birthtimeNs: 0n },
  });
});

test('a batch that is larger than it was thought comes back whole', () => {
  const entries = Array.from({ length: 1000 }, (_, n) => ({ collection: 'c', key: `key ${n}` }));
  const begin = { kind: 'begin', bootId: 'boot', mount: '', startedAtMs: 0 } as const;
  const batch = encodeCommitBatch({ number, begin, targets, revision: 1, entries });
  const decoded = decodeTransaction(number, [batch]);
  assert.equal(decoded.commit?.entries, entries);
  assert.is(decoded.targets.length, targets.length);
});

test('a beginning alone is a transaction that never committed; intents without their commit are damage', () => {
  const key = transactionKey(number.owner, number.counter, 1);
  const row = (...frames: readonly (readonly [number, Packable])[]): Row => {
    const seed = frameSeed('log', key);
    return [
      key,
      Buffer.concat(frames.map(([kind, payload], n) => encodeFrame(kind, payload, seed + BigInt(n)))),
    ];
  };
  const begun = decodeTransaction(number, [row([1, ['boot', '', 0]])]);
  assert.equal([begun.begin?.bootId, begun.commit, begun.targets], ['boot', undefined, []]);
  const rename: readonly [number, Packable] = [4, [0, 0, 'a', null, null, '', null, false, false, null]];
  const intents = row([3, [0, [0], [0]]], rename);
  assert.throwsWithCode(() => decodeTransaction(number, [intents]), 'ERR_LOG_CORRUPT');
});

test('rows of another kind or shape are refused as damage', () => {
  const key = Buffer.from('/a');
  const bad: readonly (readonly [number, Packable])[] = [
    [17, ['a', 1, [3, 17], [0]]],
    [16, ['a', 'no number', [3, 17], [0]]],
    [16, ['a', 1, 'no array', [0]]],
  ];
  for (const [kind, payload] of bad) {
    const value = encodeValue('files', key, kind, payload);
    assert.throwsWithCode(() => fileRow.decode(key, value), 'ERR_LOG_CORRUPT');
  }
});

test('a transaction that was taken back comes back as such', () => {
  const decoded = decodeTransaction(number, [
    rows()[0]!,
    encodeMark(number, { kind: 'abort', revision: 42 }),
  ]);
  assert.equal(decoded.abort, { kind: 'abort', revision: 42 });
});

test('an intent without the commit that it belongs to is refused', () => {
  const key = transactionKey(number.owner, number.counter, 1);
  const intent = [0, 0, 'a', null, null, '', null, false, false, null];
  const row: Row = [key, encodeFrame(4, intent, frameSeed('log', key))];
  assert.throwsWithCode(() => decodeTransaction(number, [row]), 'ERR_LOG_CORRUPT');
});

test('a deferred transaction comes back as one, and is none as soon as something of it has been begun', () => {
  const begin = { kind: 'begin', bootId: 'boot', mount: 'mount', startedAtMs: 1, deferred: true } as const;
  const after: Image = {
    type: 'file',
    fingerprint: { ino: 0n, size: 7, mtimeNs: 0n, birthtimeNs: 0n },
    mode: 0o644,
    checksum: 5n,
  };
  const content = Buffer.from('content');
  const target: Target = {
    index: 0,
    action: 'write',
    path: 'a',
    volume: '',
    before: { type: 'absent' },
    after,
    content,
  };
  const batch = { number, begin, targets: [target], revision: 9, entries: [] };
  const row = encodeCommitBatch(batch);
  const decoded = decodeTransaction(number, [row]);
  assert.equal(decoded.begin, begin);
  assert.equal(decoded.targets.map(withoutUndefined), [target]);
  assert.is(decoded.commit?.revision, 9);
  const { deferred: _deferred, ...ordinary } = begin;
  assert.equal(decodeTransaction(number, [encodeCommitBatch({ ...batch, begin: ordinary })]).begin, ordinary);
  const file: Image = { ...after, fingerprint };
  const { content: _content, ...empty } = target;
  const wrong: readonly Target[] = [
    { ...target, applyName: '3-h-0.apply' },
    { ...target, staged: '3-h-0', applyName: '3-h-0.apply' },
    { ...target, beforeName: '3-h-0' },
    { ...target, action: 'remove' },
    { ...target, after: file },
    empty,
  ];
  for (const each of wrong) {
    const rows = [encodeCommitBatch({ ...batch, targets: [each] })];
    assert.ok(
      isStoreError(
        catchFrom(() => decodeTransaction(number, rows)),
        'ERR_LOG_CORRUPT',
      ),
    );
  }
  for (const mark of [
    { kind: 'abort', revision: 10 } as const,
    { kind: 'applied', bootId: 'boot' } as const,
  ]) {
    const rows = [row, encodeMark(number, mark)];
    assert.ok(
      isStoreError(
        catchFrom(() => decodeTransaction(number, rows)),
        'ERR_LOG_CORRUPT',
      ),
    );
  }
});

test.run();
