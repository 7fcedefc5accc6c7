import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { assert, suite, type TemporaryDirectory, temporaryDirectory } from '@forewrit/testkit';
import { failureOf, type Json, refused, serve, type ServerProcess, textOf } from './mcp-world.js';

const test = suite('task tools over stdio', { timeoutMs: 90_000 });

let directory: TemporaryDirectory;
let server: ServerProcess;

test.before(async () => {
  directory = temporaryDirectory('mcp-tasks');
  server = await serve(directory.path, { shell: true });
});
test.after(async () => {
  await server.close();
  directory.remove();
});

interface Ran {
  readonly task_id: string;
  readonly state: string;
  readonly exit_code?: number;
  readonly output: string;
  readonly next_offset: number;
  readonly complete: boolean;
}

const background = async (command: string, more: object = {}): Promise<string> =>
  (await server.get<Ran>('run_shell', { command, background: true, ...more })).task_id;

test('a command in the foreground answers with its exit code and output', async () => {
  const ran = await server.get<Ran>('run_shell', { command: 'echo out; pwd; echo err >&2' });
  assert.is(ran.state, 'completed');
  assert.is(ran.exit_code, 0);
  // The order of two streams is that of their arrival.
  assert.ok(ran.output.includes(`out\n${directory.path}\n`) && ran.output.includes('err\n'), ran.output);
  assert.is(ran.complete, true);
});

test('a command that fails is an error whose result is complete', async () => {
  const result = await server.call('run_shell', { command: 'echo before; exit 3' });
  assert.is(result.isError, true);
  const { state, exit_code, output } = result.structuredContent as unknown as Ran;
  assert.equal({ state, exit_code, output }, { state: 'failed', exit_code: 3, output: 'before\n' });
  assert.match(textOf(result), /before\n.*exit code 3/s);
});

test('a command gets the environment and directory that are asked for', async () => {
  mkdirSync(`${directory.path}/sub`);
  const ran = await server.get<Ran>('run_shell', { command: 'echo $X; pwd', cwd: 'sub', env: { X: 'y z' } });
  assert.is(ran.output, `y z\n${directory.path}/sub\n`);
  await server.fails('run_shell', { command: 'pwd', cwd: 'nothing' }, 'ERR_NOT_FOUND');
  await server.fails('run_shell', { command: 'pwd', cwd: '..' }, 'ERR_PATH_ESCAPE');
  await server.fails('run_shell', { command: 'pwd', cwd: '.forewrit' }, 'ERR_PATH_RESERVED');
});

test('a link is no way for a command out of the root', async () => {
  symlinkSync('.', `${directory.path}/here`);
  symlinkSync('/', `${directory.path}/out`);
  const ran = await server.get<Ran>('run_shell', { command: 'pwd', cwd: 'here/..' });
  assert.is(ran.output, `${directory.path}\n`);
  await server.fails('run_shell', { command: 'pwd', cwd: 'out' }, 'ERR_PATH_ESCAPE');
});

test('a command that takes too long goes on, and is waited for', async () => {
  const first = await server.get<Ran>('run_shell', {
    command: 'until [ -e go ]; do sleep 0.05; done; echo done',
    wait_ms: 100,
  });
  assert.ok(['pending', 'starting', 'running'].includes(first.state));
  await server.get('write_file', { path: 'go', content: '' });
  const { task_id } = first;
  const ran = await server.get<Ran>('task_wait', { task_id });
  assert.equal([ran.state, ran.output], ['completed', 'done\n']);
});

test('a task in the background is listed, looked at and ended with what it has started', async () => {
  const task_id = await background('sleep 1000 & sleep 1000', { label: 'sleeper', group: 'sleepers' });
  await until(async () => (await server.get<Ran>('task_status', { task_id })).state === 'running');
  const { tasks } = await server.get<{ tasks: Json[] }>('task_list', { group: 'sleepers', state: 'running' });
  assert.equal(
    tasks.map((each) => [each['task_id'], each['label']]),
    [[task_id, 'sleeper']],
  );
  const ended = await server.get<Ran>('task_terminate', { task_id });
  assert.is(ended.state, 'terminated');
  assert.is((await server.get<Ran>('task_terminate', { task_id })).state, 'terminated');
});

test('of long output the end is shown, and an offset goes on', async () => {
  const command = `i=0; while [ $i -lt 3000 ]; do echo "line $i ünd mehr"; i=$((i+1)); done`;
  const ran = await server.get<Ran & { offset: number }>('run_shell', { command });
  assert.is(ran.output.trimEnd().split('\n').length, 200);
  assert.ok(ran.output.endsWith('line 2999 ünd mehr\n'));
  const { task_id } = ran;
  let offset = 0;
  let all = '';
  for (let complete = false; !complete; ) {
    const page = await server.get<Ran>('task_output', { task_id, offset });
    assert.ok(Buffer.byteLength(page.output) <= 16_384 && page.next_offset > offset);
    all += page.output;
    ({ next_offset: offset, complete } = page);
  }
  assert.is(all.split('\n').length, 3001);
  assert.is(
    (await server.get<Ran>('task_output', { task_id, tail_lines: 1 })).output,
    'line 2999 ünd mehr\n',
  );
});

test('of few but long lines the last bytes are shown, and no character is cut', async () => {
  const command = `printf 'x%.0s' 1; printf 'ü%.0s' $(seq 1 20000); echo END`;
  const { task_id, output } = await server.get<Ran>('run_shell', { command });
  assert.ok(Buffer.byteLength(output) <= 16_384 && Buffer.byteLength(output) > 16_000);
  assert.match(output, /^ü+END\n$/);
  assert.is((await server.get<Ran>('task_output', { task_id, max_bytes: 4 })).output, 'END\n');
});

test('a task reads what is written to it', async () => {
  const task_id = await background('read line; echo "got $line"; cat', { stdin: true });
  await server.get('task_input', { task_id, text: 'first\n' });
  await server.get('task_input', { task_id, text: 'rest', end: true });
  assert.is((await server.get<Ran>('task_wait', { task_id })).output, 'got first\nrest');
  await server.fails('task_input', { task_id, text: 'late' }, 'ERR_NOT_FOUND');
});

test('a task is run again under its id', async () => {
  const { task_id } = await server.get<Ran>('run_shell', { command: 'echo run >> runs; cat runs' });
  assert.is((await server.get('task_restart', { task_id }))['attempt'], 2);
  assert.is((await server.get<Ran>('task_wait', { task_id })).output, 'run\nrun\n');
});

test('a key starts one task, however often it is given', async () => {
  const once = { command: 'echo once >> once', idempotency_key: 'k' };
  const first = await server.get<Ran>('run_shell', once);
  const second = await server.get<Ran>('run_shell', once);
  assert.is(first.task_id, second.task_id);
  assert.is(readFileSync(`${directory.path}/once`, 'utf8'), 'once\n');
});

test('a command whose time is up is ended, and that is said', async () => {
  const result = await server.call('run_shell', { command: 'sleep 1000', timeout_ms: 200 });
  assert.is(result.isError, true);
  assert.is((result.structuredContent as unknown as Ran).state, 'timeout');
});

test('a call that the client cancels ends its command', async () => {
  const giveUp = new AbortController();
  const call = refused(
    server.call(
      'run_shell',
      { command: 'echo $$ > pid; sleep 1000', label: 'given up' },
      { signal: giveUp.signal },
    ),
  );
  await until(async () => (await labelled('given up'))?.state === 'running');
  giveUp.abort();
  assert.match(await call, /abort/i);
  await until(async () => (await labelled('given up'))?.state === 'terminated');
});

test('a wait that the client cancels leaves the task alone', async () => {
  const task_id = await background('sleep 1000');
  const giveUp = new AbortController();
  const call = refused(server.call('task_wait', { task_id }, { signal: giveUp.signal }));
  giveUp.abort();
  await call;
  const { state } = await server.get<Ran>('task_status', { task_id });
  assert.ok(['pending', 'starting', 'running'].includes(state), state);
  await server.get('task_terminate', { task_id });
});

test('a command in the foreground tells that it runs', async () => {
  const heard = server.hear();
  const told = (): number => heard.filter(({ method }) => method === 'notifications/progress').length;
  const call = server.get<Ran>(
    'run_shell',
    { command: 'until [ -e told ]; do sleep 0.05; done' },
    { onprogress: () => undefined },
  );
  await until(async () => told() >= 1);
  await server.get('write_file', { path: 'told', content: '' });
  assert.is((await call).state, 'completed');
});

test('bad arguments are refused with a code', async () => {
  const wrong: readonly (readonly [string, object, string])[] = [
    ['run_shell', {}, 'ERR_INVALID_ARGUMENT'],
    ['run_shell', { command: '' }, 'ERR_INVALID_ARGUMENT'],
    ['run_shell', { command: 'a\0b' }, 'ERR_INVALID_ARGUMENT'],
    ['run_shell', { command: 'true', timeout_ms: 0 }, 'ERR_INVALID_ARGUMENT'],
    ['run_shell', { command: 'true', env: { 'A=B': 'x' } }, 'ERR_INVALID_ARGUMENT'],
    ['task_list', { state: 'asleep' }, 'ERR_INVALID_ARGUMENT'],
    ['task_status', { task_id: 'none' }, 'ERR_NOT_FOUND'],
    ['task_status', { task_id: '../../x' }, 'ERR_INVALID_ARGUMENT'],
    ['task_output', { task_id: 'none' }, 'ERR_NOT_FOUND'],
    ['task_output', { task_id: 'none', offset: 1, tail_lines: 1 }, 'ERR_INVALID_ARGUMENT'],
    ['task_wait', { task_id: 'none' }, 'ERR_NOT_FOUND'],
    ['task_input', { task_id: 'none', text: '' }, 'ERR_NOT_FOUND'],
    ['task_terminate', { task_id: 'none' }, 'ERR_NOT_FOUND'],
    ['task_terminate', { task_id: 'none', signal: 'SIGSTOP' }, 'ERR_INVALID_ARGUMENT'],
    ['task_restart', { task_id: 'none' }, 'ERR_NOT_FOUND'],
    ['task_prune', { max_age_ms: -1 }, 'ERR_INVALID_ARGUMENT'],
  ];
  for (const [name, args, code] of wrong) {
    const { hint } = await server.fails(name, args, code);
    assert.ok((hint ?? '').length > 5, `${name} has a hint`);
  }
});

test('what has ended is forgotten on demand, what runs is not', async () => {
  const running = await background('sleep 1000');
  const { removed } = await server.get<{ removed: string[] }>('task_prune', { max_age_ms: 0 });
  assert.ok(removed.length > 5 && !removed.includes(running));
  const { tasks } = await server.get<{ tasks: Json[] }>('task_list');
  assert.equal(
    tasks.map((each) => each['task_id']),
    [running],
  );
  await server.get('task_terminate', { task_id: running });
});

test('the error of a failed call is one JSON document', async () => {
  assert.is(failureOf(await server.call('task_status', { task_id: 'x' })).code, 'ERR_NOT_FOUND');
});

async function labelled(label: string): Promise<Ran | undefined> {
  const { tasks } = await server.get<{ tasks: (Ran & { label?: string })[] }>('task_list', { limit: 200 });
  return tasks.find((task) => task.label === label);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(30);
}

test.run();
