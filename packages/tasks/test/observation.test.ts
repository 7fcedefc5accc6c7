import { assert, suite } from '@forewrit/testkit';
import { judge, type LaunchedPhase, type Verdict } from '#src/engine/observation.js';
import type { ExitRecord, Observation } from '#src/supervision/supervisor.js';
import type { Launch } from '#src/task/stored-task.js';

const test = suite('what is observed of a launch, and what becomes of the task');

const launch: Launch = {
  nonce: 'n',
  number: 1,
  atMs: 5,
  engine: { pid: 1, startTime: '1', bootId: 'b', engine: 'e' },
};
const command = { pid: 7, startTime: '7' };
const phases: readonly LaunchedPhase[] = [
  { state: 'starting', launch },
  { state: 'running', launch, startedAtMs: 6 },
  { state: 'orphaned', launch, startedAtMs: 6, command },
];

const exit = (parts: Partial<ExitRecord>): ExitRecord => ({
  nonce: 'n',
  cause: 'exit',
  endedAtMs: 8,
  outputBytes: 3,
  droppedBytes: 1,
  complete: true,
  survivors: [],
  ...parts,
});

const observations: readonly Observation[] = [
  { state: 'exited', exit: exit({ exitCode: 0 }) },
  { state: 'running', shim: { pid: 2, startTime: '2', bootId: 'b' } },
  { state: 'orphaned', command },
  { state: 'never-started' },
  { state: 'lost', cause: 'shim-died' },
  { state: 'lost', cause: 'reboot' },
];

const expected: Readonly<Record<Observation['state'], Verdict['kind']>> = {
  exited: 'settled',
  running: 'running',
  orphaned: 'orphaned',
  'never-started': 'lost',
  lost: 'lost',
};

test('the table, for every record and every observation', () => {
  for (const phase of phases) {
    for (const observation of observations) {
      const isFresh = phase.state === 'starting' && observation.state === 'never-started';
      const verdict = judge(phase, observation);
      assert.is(verdict.kind, isFresh ? 'never-started' : expected[observation.state]);
      if (observation.state === 'lost' && verdict.kind === 'lost') {
        assert.is(verdict.cause, observation.cause);
      }
    }
  }
});

const ends: readonly (readonly [Partial<ExitRecord>, state: string, cause: string])[] = [
  [{ cause: 'exit', exitCode: 0 }, 'completed', 'exit'],
  [{ cause: 'exit', exitCode: 3 }, 'failed', 'exit'],
  [{ cause: 'signal', signal: 'SIGSEGV' }, 'failed', 'signal'],
  [{ cause: 'user', exitCode: 0 }, 'terminated', 'user'],
  [{ cause: 'user', signal: 'SIGKILL' }, 'terminated', 'user'],
  [{ cause: 'timeout', signal: 'SIGTERM' }, 'timeout', 'timeout'],
  [{ cause: 'overflow', signal: 'SIGTERM' }, 'failed', 'overflow'],
  [{ cause: 'spawn-error', error: 'ENOENT' }, 'failed', 'spawn-error'],
  [{ cause: 'parent-died', signal: 'SIGTERM' }, 'terminated', 'engine-died'],
];

test('every exit record has its state, and keeps the cause apart from exit code and signal', () => {
  for (const [parts, state, cause] of ends) {
    const verdict = judge(phases[1]!, { state: 'exited', exit: exit(parts) });
    if (verdict.kind !== 'settled') throw new Error(verdict.kind);
    const { end } = verdict;
    assert.is(end.state, state);
    assert.is(end.cause, cause);
    assert.is(end.exitCode, parts.exitCode);
    assert.is(end.signal, parts.signal);
    assert.is(end.detail, parts.error);
    assert.equal([end.endedAtMs, end.outputBytes, end.droppedBytes, end.complete], [8, 3, 1, true]);
  }
});

test.run();
