import { assert, suite } from '@forewrit/testkit';
import { checkSpec, specDefaults } from '#src/task/check-spec.js';
import { retryDelayMs } from '#src/task/retry.js';
import { isTaskId, TaskIds } from '#src/task/task-id.js';
import type { TaskSpec } from '#src/task/task.js';

const test = suite('what is asked for');

test('what is not said has its default', () => {
  const { stored, secretEnv, startAfterMs } = checkSpec({ command: 'c' }, '/store');
  assert.equal(stored, {
    command: 'c',
    cwd: '/store',
    env: {},
    secretNames: [],
    stdin: 'none',
    tags: [],
    group: '',
    priority: 0,
    dependsOn: [],
    timeoutMs: 1_800_000,
    killGraceMs: 5000,
    output: { maxBytes: specDefaults.outputMaxBytes, segmentBytes: 4 * 1024 * 1024, overflow: 'drop-oldest' },
    survive: 'restart',
  });
  assert.equal(secretEnv, {});
  assert.is(startAfterMs, undefined);
  assert.is(checkSpec({ command: 'c', cwd: 'sub' }, '/store').stored.cwd, '/store/sub');
  assert.equal(checkSpec({ command: { file: 'f' } }, '/').stored.command, { file: 'f', args: [] });
});

test('values of secretEnv are not among what is stored', () => {
  const { stored, secretEnv } = checkSpec({ command: 'c', secretEnv: { TOKEN: 'tops3cret' } }, '/');
  assert.equal(secretEnv, { TOKEN: 'tops3cret' });
  assert.equal(stored.secretNames, ['TOKEN']);
  assert.not.match(JSON.stringify(stored), /tops3cret/);
});

test('a dependency that is named twice holds by its stricter condition; a tag counts once', () => {
  const id = '0'.repeat(17);
  const dependsOn = [{ id, on: 'finish' }, { id }, { id, on: 'finish' }] as const;
  const { stored } = checkSpec({ command: 'c', dependsOn, tags: ['a', 'b', 'a'] }, '/');
  assert.equal(stored.dependsOn, [{ id, on: 'success' }]);
  assert.equal(stored.tags, ['a', 'b']);
});

const mistakes: readonly unknown[] = [
  undefined,
  null,
  'command',
  {},
  { command: '' },
  { command: 7 },
  { command: 'a\0b' },
  { command: { args: [] } },
  { command: { file: 'f', args: 'x' } },
  { command: { file: 'f', args: ['\0'] } },
  { command: 'c', nonsense: 1 },
  { command: 'c', secretenv: { A: 'b' } },
  { command: 'c', cwd: 5 },
  { command: 'c', cwd: '' },
  { command: 'c', env: { 'A=B': 'x' } },
  { command: 'c', env: { A: 7 } },
  { command: 'c', env: { A: 'x' }, secretEnv: { A: 'y' } },
  { command: 'c', stdin: 'inherit' },
  { command: 'c', stdin: { text: 7 } },
  { command: 'c', group: '' },
  { command: 'c', group: 'x'.repeat(257) },
  { command: 'c', label: 7 },
  { command: 'c', tags: 'a' },
  { command: 'c', tags: [''] },
  { command: 'c', tags: Array.from({ length: 65 }, (_, n) => `t${n}`) },
  { command: 'c', priority: 0.5 },
  { command: 'c', priority: 1e7 },
  { command: 'c', startAfter: Number.NaN },
  { command: 'c', startAfter: new Date('nonsense') },
  { command: 'c', dependsOn: [{ id: '../x' }] },
  { command: 'c', dependsOn: [{ id: '0'.repeat(17), on: 'failure' }] },
  { command: 'c', dependsOn: ['0'.repeat(17)] },
  { command: 'c', idempotencyKey: '' },
  { command: 'c', idempotencyKey: '\uD800' },
  { command: 'c', timeoutMs: 0 },
  { command: 'c', timeoutMs: Number.POSITIVE_INFINITY },
  { command: 'c', killGraceMs: -1 },
  { command: 'c', retry: {} },
  { command: 'c', retry: { limit: -1 } },
  { command: 'c', retry: { limit: 1, factor: 0.5 } },
  { command: 'c', retry: { limit: 1, jitter: 2 } },
  { command: 'c', retry: { limit: 1, onExitCodes: [256] } },
  { command: 'c', retry: { limit: 1, onLost: 'yes' } },
  { command: 'c', output: { maxBytes: 0 } },
  { command: 'c', output: { maxBytes: 10, segmentBytes: 11 } },
  { command: 'c', output: { overflow: 'ignore' } },
  { command: 'c', survive: 'always' },
  { command: 'c', ttlMs: -1 },
];
for (const spec of mistakes) {
  test(`${JSON.stringify(spec)} is a mistake`, () => {
    assert.throwsWithCode(() => checkSpec(spec as TaskSpec, '/'), 'ERR_INVALID_ARGUMENT');
  });
}

test('the pause before a retry grows to its limit; jitter takes from it, and adds nothing', () => {
  const policy = { limit: 9, delayMs: 100, factor: 10, maxDelayMs: 5000 };
  assert.equal(
    [0, 1, 2, 9, 900].map((retries) => retryDelayMs(policy, retries, 0.3)),
    [100, 1000, 5000, 5000, 5000],
  );
  assert.is(retryDelayMs({ ...policy, jitter: 1 }, 1, 0), 0);
  assert.is(retryDelayMs({ ...policy, jitter: 1 }, 1, 1), 1000);
  assert.is(retryDelayMs({ ...policy, jitter: 0.2 }, 1, 0.5), 900);
  assert.is(retryDelayMs({ limit: 1 }, 0, 0), 1000);
});

test('ids keep the order of their creation whatever the clock does', () => {
  const ids = new TaskIds();
  const made = [5, 5, 4, 1_800_000_000_000, 3].map((nowMs) => ids.next(nowMs));
  assert.equal([...made].sort(), made);
  assert.ok(made.every(isTaskId));
});

test.run();
