/** Errors keep their code and cause, whatever they come from and whichever thread they come through. */

import {
  fromPlainError,
  fromSystemError,
  hasCode,
  InvalidArgumentError,
  isStoreError,
  StoreError,
  systemCode,
  toError,
  toPlainError,
  withStoreCode,
} from '#src/errors.js';
import { FlushError } from '#src/log/log.js';
import { fromLmdbError } from '#src/log/lmdb-environment.js';
import { assert, suite } from '@forewrit/testkit';

const test = suite('errors');

/** As it arrives after it was cloned from one thread to another. */
function sent(error: unknown): Error {
  return fromPlainError(structuredClone(toPlainError(error)));
}

test('a system error becomes one of the store with the code of its cause', () => {
  const expected = {
    ENOSPC: 'ERR_NO_SPACE',
    EROFS: 'ERR_PERMISSION',
    EMFILE: 'ERR_IO',
    ENOTDIR: 'ERR_NOT_DIRECTORY',
  };
  for (const [code, storeCode] of Object.entries(expected)) {
    const cause = Object.assign(new Error('it failed'), { code });
    const error = fromSystemError(cause, { op: 'stage', path: 'a' });
    assert.is(error.code, storeCode);
    assert.is(error.cause, cause);
    assert.is(error.path, 'a');
    assert.is(fromSystemError(error, { op: 'other' }), error, 'it has its code already');
  }
  assert.is(fromSystemError('only a text', { op: 'stage' }).code, 'ERR_IO');
});

test('only a text that an error has as its code is one', () => {
  assert.is(systemCode(Object.assign(new Error('x'), { code: 'EIO' })), 'EIO');
  for (const other of [undefined, null, 'EIO', 7, {}, new Error('x'), { code: -30797 }]) {
    assert.is(systemCode(other), undefined);
    assert.is(hasCode(other, new Set(['EIO'])), false);
  }
  assert.is(hasCode({ code: 'EIO' }, new Set(['EIO'])), true);
  assert.is(hasCode({ code: 'EBUSY' }, new Set(['EIO'])), false);
});

test('what was thrown is an error, or becomes one', () => {
  const error = new Error('x');
  assert.is(toError(error), error);
  assert.is(toError('a text').message, 'a text');
  assert.is(new FlushError('a text').cause, 'a text');
});

test('of other errors only those of a system call become errors of the store', () => {
  const call = Object.assign(new Error('x'), { code: 'EACCES', syscall: 'open' });
  assert.ok(isStoreError(withStoreCode(call, { op: 'read' }), 'ERR_PERMISSION'));
  const mistake = new TypeError('x');
  assert.is(withStoreCode(mistake, { op: 'read' }), mistake);
});

test('an error of the store crosses to another thread with all it says', () => {
  const cause = Object.assign(new Error('disk'), { code: 'ENOSPC' });
  const details = { op: 'commit', path: 'a', transaction: '1-2', hint: 'Free some.', cause };
  const error = sent(new StoreError('ERR_NO_SPACE', 'no room', details));
  assert.ok(isStoreError(error, 'ERR_NO_SPACE'));
  assert.equal(
    [error.op, error.path, error.transaction, error.hint, error.message],
    ['commit', 'a', '1-2', 'Free some.', 'no room'],
  );
  assert.is(systemCode(error.cause), 'ENOSPC');
});

test('so does any other', () => {
  const mistake = sent(new InvalidArgumentError('put', 'no'));
  assert.ok(mistake instanceof TypeError);
  assert.is(systemCode(mistake), 'ERR_INVALID_ARGUMENT');
  const inner = new RangeError('inner');
  const outer = sent(new Error('outer', { cause: inner }));
  assert.is(outer.message, 'outer');
  assert.is((outer.cause as Error).name, 'RangeError');
  assert.is((outer.cause as Error).stack, inner.stack);
  assert.is('code' in outer, false);
  assert.is(sent('a text').message, 'a text');
  const { stack: _, ...bare } = toPlainError(new Error('bare'));
  assert.is(fromPlainError(bare).message, 'bare');
  const stackless = new Error('x');
  Object.defineProperty(stackless, 'stack', { value: undefined });
  assert.is('stack' in toPlainError(stackless), false);
});

test('each code of LMDB says what became of the log', () => {
  const expected: readonly (readonly [number, string])[] = [
    [-30797, 'ERR_LOG_CORRUPT'],
    [-30796, 'ERR_LOG_CORRUPT'],
    [-30795, 'ERR_STORE_POISONED'],
    [-30794, 'ERR_UNSUPPORTED_FORMAT'],
    [-30793, 'ERR_LOG_CORRUPT'],
    [-30792, 'ERR_LOG_FULL'],
    [-30790, 'ERR_TOO_MANY'],
    [-30782, 'ERR_LOG_CORRUPT'],
    [-30779, 'ERR_LOG_CORRUPT'],
    [28, 'ERR_NO_SPACE'],
    [13, 'ERR_PERMISSION'],
    [9999, 'ERR_IO'],
  ];
  for (const [code, storeCode] of expected) {
    const error = Object.assign(new Error('MDB'), { code });
    assert.ok(isStoreError(fromLmdbError(error, 'commit'), storeCode as never), `${code}`);
  }
  for (const other of [new Error('x'), 'a text', null, { code: 'EIO' }]) {
    assert.is(fromLmdbError(other, 'commit'), other);
  }
});

test.run();
