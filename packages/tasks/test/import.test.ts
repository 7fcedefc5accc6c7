import { assert, suite } from '@forewrit/testkit';
import { assertNoProblems, EngineWorld } from './engine-world.js';

const test = suite('taking over a file of background tasks');

const old = {
  'a1b2c3d4-0000-4000-8000-000000000001': {
    task_id: 'a1b2c3d4-0000-4000-8000-000000000001',
    command: 'make',
    timeout: 60,
    status: 'completed',
    start_time: 1_700_000_001.25,
    end_time: 1_700_000_002.5,
    exit_code: 0,
    output_lines: ['building', 'dönê'],
    created_at: 1_700_000_000.5,
  },
  failed: { command: 'false', status: 'failed', exit_code: 3, output_lines: 7, created_at: 1_700_000_003 },
  killed: { command: 'x', status: 'failed', exit_code: -9, created_at: 1_700_000_004 },
  running: { command: 'sleep 9', status: 'running', start_time: 1_700_000_005, created_at: 1_700_000_005 },
  pending: { command: 'later', status: 'pending', created_at: 1_700_000_006 },
  stopped: { command: 'y', status: 'terminated', created_at: 1_700_000_007, exit_code: null },
  slow: { command: 'z', status: 'timeout', created_at: 1_700_000_008 },
  gone: { command: 'w', status: 'lost', created_at: 1_700_000_009 },
};

test('every task comes with its facts, under its old id, too; twice is once', async () => {
  await using world = await EngineWorld.open();
  const { engine } = await world.engine();
  const report = await engine.importTasks(JSON.stringify(old));
  assert.equal(
    report.imported.map(({ from, state }) => [from, state]),
    [
      ['a1b2c3d4-0000-4000-8000-000000000001', 'completed'],
      ['failed', 'failed'],
      ['killed', 'failed'],
      ['running', 'lost'],
      ['pending', 'lost'],
      ['stopped', 'terminated'],
      ['slow', 'timeout'],
      ['gone', 'lost'],
    ],
  );
  const again = await engine.importTasks(JSON.stringify(old));
  assert.equal([again.imported.length, again.skipped.length], [0, 8]);

  const done = await engine.get('a1b2c3d4-0000-4000-8000-000000000001');
  assert.is(done.id, report.imported[0]!.id);
  assert.equal(
    [done.command, done.timeoutMs, done.createdAtMs, done.startedAtMs, done.endedAtMs, done.exitCode],
    ['make', 60_000, 1_700_000_000_500, 1_700_000_001_250, 1_700_000_002_500, 0],
  );
  const page = await engine.read(done.id, { encoding: 'utf8' });
  assert.equal([page.data, page.complete], ['building\ndönê\n', true]);
  const tail = await engine.read(done.id, { tailLines: 1, encoding: 'utf8' });
  assert.is(tail.data, 'dönê\n');
  assert.is(done.outputBytes, Buffer.byteLength(page.data));
  const chunks: string[] = [];
  for await (const { data } of engine.follow(done.id, { encoding: 'utf8' })) chunks.push(data);
  assert.equal(chunks, [page.data]);

  const { cause, signal, exitCode } = await engine.get('killed');
  assert.equal([cause, signal, exitCode], ['signal', 'SIGKILL', undefined]);
  const lost = await engine.get('running');
  assert.equal([lost.state, lost.cause, lost.complete], ['lost', 'shim-died', false]);
  assert.match(lost.detail ?? '', /running/);
  assert.is((await engine.list({ tag: 'imported' })).tasks.length, 8);
  world.advance(5000);
  await world.quiet();
  assert.equal(world.machine.spawned, []);
  await engine.remove('failed');
  await assert.rejectsWithCode(engine.get('failed'), 'ERR_NOT_FOUND');
  assertNoProblems(world);
});

const rubbish = [
  '',
  'nonsense',
  '[]',
  '7',
  '{"a": 7}',
  '{"a": {"status": "completed"}}',
  '{"a": {"command": "c"}}',
  '{"a": {"command": "c", "status": "constructor"}}',
  '{"a": {"command": "c", "status": "failed", "exit_code": "1"}}',
  '{"../a": {"command": "c", "status": "failed"}}',
];
for (const text of rubbish) {
  test(`${text || 'nothing'} is refused, whole`, async () => {
    await using world = await EngineWorld.open();
    const { engine } = await world.engine();
    await assert.rejectsWithCode(engine.importTasks(text), 'ERR_INVALID_ARGUMENT');
    const mixed = { ok: old.failed, bad: { command: 7 } };
    await assert.rejectsWithCode(engine.importTasks(JSON.stringify(mixed)), 'ERR_INVALID_ARGUMENT');
    assert.equal((await engine.list()).tasks, []);
  });
}

test('a task that was taken over can be run again', async () => {
  await using world = await EngineWorld.open();
  const { engine } = await world.engine();
  await engine.importTasks(JSON.stringify(old));
  const { id } = await engine.restart('running');
  await world.untilState(engine, id, 'running');
  world.machine.print(world.machine.of('sleep 9'), 'fresh');
  world.machine.end(world.machine.of('sleep 9'));
  await world.untilState(engine, id, 'completed');
  assert.is((await engine.read('running', { encoding: 'utf8' })).data, 'fresh');
});

test.run();
