import { assert, suite } from '@forewrit/testkit';
import { endUnlaunched } from '#src/engine/observation.js';
import type { Launch, Phase } from '#src/task/stored-task.js';
import { isSettled, type SettledState, settledStates, type TaskState } from '#src/task/task.js';
import { eventTypes, type TaskEvent, transition } from '#src/task/transition.js';

const test = suite('the states of a task');

const launch: Launch = {
  nonce: 'n',
  number: 1,
  atMs: 5,
  engine: { pid: 1, startTime: '1', bootId: 'b', engine: 'e' },
};
const command = { pid: 7, startTime: '7' };
const settled = (state: SettledState): Phase => endUnlaunched({ state, cause: 'exit', nowMs: 9 });

const phases: readonly Phase[] = [
  { state: 'pending' },
  { state: 'pending', notBeforeMs: 10 },
  { state: 'blocked' },
  { state: 'blocked', notBeforeMs: 10 },
  { state: 'starting', launch },
  { state: 'starting', launch, stopping: true },
  { state: 'running', launch, startedAtMs: 6 },
  { state: 'orphaned', launch, startedAtMs: 6, command },
  ...settledStates.map(settled),
];

function eventOf(type: TaskEvent['type'], nonce: string | undefined): TaskEvent {
  const launched = nonce ?? 'n';
  switch (type) {
    case 'unblock':
    case 'due':
    case 'restart':
      return { type };
    case 'claim':
      return { type, launch };
    case 'started':
      return { type, nonce: launched, startedAtMs: 6 };
    case 'orphan':
      return { type, nonce: launched, command };
    case 'end':
      return {
        type,
        ...(nonce === undefined ? {} : { nonce }),
        end: endUnlaunched({ state: 'terminated', cause: 'user', nowMs: 1 }),
      };
    case 'retry':
    case 'requeue':
      return { type, nonce: launched, notBeforeMs: 20 };
    case 'stop':
      return { type, nonce: launched };
  }
}

/** By state; what is not here is refused. */
const allowed: Readonly<Record<TaskEvent['type'], Partial<Record<TaskState, TaskState>>>> = {
  unblock: { blocked: 'pending' },
  due: { pending: 'pending' },
  claim: { pending: 'starting' },
  started: { starting: 'running' },
  orphan: { starting: 'orphaned', running: 'orphaned' },
  end: {
    pending: 'terminated',
    blocked: 'terminated',
    starting: 'terminated',
    running: 'terminated',
    orphaned: 'terminated',
  },
  retry: { starting: 'pending', running: 'pending', orphaned: 'pending' },
  requeue: { starting: 'pending' },
  stop: { starting: 'starting' },
  restart: Object.fromEntries(settledStates.map((state) => [state, 'pending'])),
};

test('every event in every phase leads where the table says, or nowhere', () => {
  for (const phase of phases) {
    for (const type of eventTypes) {
      const event = eventOf(type, 'launch' in phase ? 'n' : undefined);
      const next = transition(phase, event);
      const isDue = type === 'due' && phase.state === 'pending' && phase.notBeforeMs === undefined;
      const expected = isDue ? undefined : allowed[type][phase.state];
      assert.is(next?.state, expected, `${type} in ${JSON.stringify(phase)}`);
    }
  }
});

test('an event of another launch is refused in every phase', () => {
  for (const phase of phases) {
    for (const type of eventTypes) {
      const event = eventOf(type, 'other');
      if (!('nonce' in event)) continue;
      assert.is(transition(phase, event), undefined, `${type} in ${phase.state}`);
    }
  }
});

test('a launched task does not end by an event that names no launch', () => {
  for (const phase of phases) {
    const next = transition(phase, eventOf('end', undefined));
    assert.is(next === undefined, 'launch' in phase || isSettled(phase.state), phase.state);
  }
});

test('what a phase knows is kept: the delay of a blocked task, a wish to stop, the time of the start', () => {
  assert.equal(transition({ state: 'blocked', notBeforeMs: 10 }, { type: 'unblock' }), {
    state: 'pending',
    notBeforeMs: 10,
  });
  assert.equal(transition({ state: 'pending', notBeforeMs: 10 }, { type: 'due' }), { state: 'pending' });
  const stopping = transition({ state: 'starting', launch }, { type: 'stop', nonce: 'n' });
  assert.equal(transition(stopping!, { type: 'started', nonce: 'n', startedAtMs: 6 }), {
    state: 'running',
    launch,
    stopping: true,
    startedAtMs: 6,
  });
  assert.equal(transition({ state: 'starting', launch }, { type: 'orphan', nonce: 'n', command }), {
    state: 'orphaned',
    launch,
    startedAtMs: 5,
    command,
  });
});

test.run();
