import * as assert from '#src/assert.js';
import { suite } from '#src/suite.js';

const test = suite('assert');

function coded(code: string): Error {
  return Object.assign(new Error('some message'), { code });
}

function thrownBy(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  return undefined;
}

async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test('throwsWithCode returns the error whose code it expected', () => {
  const error = coded('ERR_A');
  const returned = assert.throwsWithCode(() => {
    throw error;
  }, 'ERR_A');
  assert.is(returned, error);
});

test('throwsWithCode fails on another code, on no code, on no error and on a thrown string', () => {
  const bodies = [
    () => {
      throw coded('ERR_B');
    },
    () => {
      throw new Error('no code');
    },
    () => 'returned',
    () => {
      throw 'ERR_A';
    },
  ];
  for (const body of bodies) {
    assert.instance(
      thrownBy(() => assert.throwsWithCode(body, 'ERR_A')),
      assert.Assertion,
    );
  }
});

test('a wrong code fails with the other error as its cause', () => {
  const error = coded('ERR_B');
  const failure = thrownBy(() =>
    assert.throwsWithCode(() => {
      throw error;
    }, 'ERR_A'),
  );
  assert.instance(failure, assert.Assertion);
  assert.is((failure as Error).cause, error);
});

test('rejectsWithCode takes a promise, an async function and a function that throws', async () => {
  assert.is((await assert.rejectsWithCode(Promise.reject(coded('ERR_A')), 'ERR_A')).code, 'ERR_A');
  await assert.rejectsWithCode(async () => {
    throw coded('ERR_A');
  }, 'ERR_A');
  await assert.rejectsWithCode(() => {
    throw coded('ERR_A');
  }, 'ERR_A');
});

test('rejectsWithCode fails on another code and when nothing is rejected', async () => {
  const promises = [
    Promise.reject(coded('ERR_B')),
    Promise.resolve('fine'),
    Promise.reject(new Error('no code')),
  ];
  for (const promise of promises) {
    assert.instance(await rejectionOf(assert.rejectsWithCode(promise, 'ERR_A')), assert.Assertion);
  }
  assert.instance(await rejectionOf(assert.rejectsWithCode(() => 'fine', 'ERR_A')), assert.Assertion);
});

test.run();
