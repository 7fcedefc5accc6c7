import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { CallToolResultSchema, type Task } from '@modelcontextprotocol/sdk/types.js';
import { assert, suite, type TemporaryDirectory, temporaryDirectory } from '@forewrit/testkit';
import { refused, serve, type ServerProcess, textOf } from './mcp-world.js';

const test = suite('tasks of the protocol', { timeoutMs: 90_000 });

let directory: TemporaryDirectory;
let server: ServerProcess;

test.before.each(async () => {
  directory = temporaryDirectory('mcp-protocol-tasks');
  server = await serve(directory.path, { shell: true });
});
test.after.each(async () => {
  await server.close();
  directory.remove();
});

async function begin(command: string, ttl?: number): Promise<Task> {
  const stream = server.client.experimental.tasks.callToolStream(
    { name: 'run_shell', arguments: { command } },
    CallToolResultSchema,
    { task: ttl === undefined ? {} : { ttl } },
  );
  for await (const message of stream) {
    if (message.type === 'taskCreated') return message.task;
    throw new Error(`no task was made, but ${JSON.stringify(message)}`);
  }
  throw new Error('no answer');
}

const statusOf = async (id: string): Promise<string> =>
  (await server.client.experimental.tasks.getTask(id)).status;

const resultOf = async (id: string) =>
  await server.client.experimental.tasks.getTaskResult(id, CallToolResultSchema);

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await delay(30);
}

test('a call as a task is answered at once, and its result is that of the command', async () => {
  const task = await begin('until [ -e go ]; do sleep 0.05; done; echo done');
  assert.is(task.status, 'working');
  assert.is(await statusOf(task.taskId), 'working');
  const result = resultOf(task.taskId);
  await server.get('write_file', { path: 'go', content: '' });
  assert.match(textOf(await result), /^done\n/);
  assert.is(await statusOf(task.taskId), 'completed');
  // It is a task like every other.
  assert.is((await server.get('task_status', { task_id: task.taskId }))['state'], 'completed');
});

test('the stream of the official client runs to the result', async () => {
  const types: string[] = [];
  const stream = server.client.experimental.tasks.callToolStream(
    { name: 'run_shell', arguments: { command: 'echo streamed' } },
    CallToolResultSchema,
    { task: {} },
  );
  for await (const message of stream) {
    types.push(message.type);
    if (message.type === 'result') assert.match(textOf(message.result), /streamed/);
  }
  assert.is(types[0], 'taskCreated');
  assert.is(types.at(-1), 'result');
});

test('a command that fails is a failed task whose result is an error', async () => {
  const { taskId } = await begin('echo why; exit 9');
  const result = await resultOf(taskId);
  assert.is(result.isError, true);
  assert.match(textOf(result), /why\n.*exit code 9/s);
  assert.is(await statusOf(taskId), 'failed');
});

test('tasks/cancel ends the command before it answers', async () => {
  const { taskId } = await begin('echo $$ > pid; sleep 1000');
  await until(() => pidIn(`${directory.path}/pid`) !== undefined);
  const pid = pidIn(`${directory.path}/pid`)!;
  const cancelled = await server.client.experimental.tasks.cancelTask(taskId);
  assert.is(cancelled.status, 'cancelled');
  assert.not.ok(isAlive(pid));
  assert.is((await resultOf(taskId)).isError, true);
  assert.match(await refused(server.client.experimental.tasks.cancelTask(taskId)), /terminal status/);
});

test('the client is told when its task has ended', async () => {
  const heard = server.hear();
  const { taskId } = await begin('true');
  await until(() =>
    heard.some(
      ({ method, params }) =>
        method === 'notifications/tasks/status' &&
        params['taskId'] === taskId &&
        params['status'] === 'completed',
    ),
  );
});

test('tasks survive SIGKILL of the server: what runs goes on, and is cancelled by the next one', async () => {
  const goes = await begin('until [ -e go ]; do sleep 0.05; done; echo survived', 3_600_000);
  const sleeps = await begin('echo $$ > pid; sleep 1000');
  const ended = await begin('echo early');
  await resultOf(ended.taskId);
  await until(() => pidIn(`${directory.path}/pid`) !== undefined);
  await server.kill();
  server = await serve(directory.path, { shell: true });

  const { tasks } = await server.client.experimental.tasks.listTasks();
  assert.equal(
    new Map(tasks.map(({ taskId, status }) => [taskId, status])),
    new Map([
      [ended.taskId, 'completed'],
      [sleeps.taskId, 'working'],
      [goes.taskId, 'working'],
    ]),
  );
  assert.equal(
    tasks.find(({ taskId }) => taskId === goes.taskId),
    { ...(await server.client.experimental.tasks.getTask(goes.taskId)) },
  );
  assert.is(tasks.find(({ taskId }) => taskId === goes.taskId)!.ttl, 3_600_000);
  assert.match(textOf(await resultOf(ended.taskId)), /^early\n/);
  await server.get('write_file', { path: 'go', content: '' });
  assert.match(textOf(await resultOf(goes.taskId)), /^survived\n/);
  const pid = pidIn(`${directory.path}/pid`)!;
  assert.ok(isAlive(pid));
  assert.is((await server.client.experimental.tasks.cancelTask(sleeps.taskId)).status, 'cancelled');
  assert.not.ok(isAlive(pid));
});

test('tools that answer at once cannot be tasks, bad arguments make none, and foreign tasks are not shown', async () => {
  const tasks = server.client.experimental.tasks;
  const asTask = async (name: string, args: object): Promise<string> => {
    const request = { method: 'tools/call' as const, params: { name, arguments: { ...args }, task: {} } };
    return await refused(server.client.request(request, CallToolResultSchema));
  };
  assert.match(await asTask('read_file', { path: 'x' }), /cannot be called as a task/);
  assert.match(await asTask('run_shell', { command: 'true', cwd: '../..' }), /ERR_PATH_ESCAPE/);
  assert.match(await asTask('run_shell', { cmd: 'true' }), /ERR_INVALID_ARGUMENT/);
  const { task_id } = await server.get<{ task_id: string }>('run_shell', {
    command: 'true',
    idempotency_key: 'no task of the protocol',
  });
  const sameKey = { command: 'true', idempotency_key: 'no task of the protocol' };
  assert.match(await asTask('run_shell', sameKey), /ERR_INVALID_ARGUMENT/);
  assert.equal((await tasks.listTasks()).tasks, []);
  assert.match(await refused(tasks.getTask(task_id)), /not found/i);
  assert.match(await refused(tasks.getTask('../x')), /not found/i);
  assert.match(await refused(tasks.cancelTask(task_id)), /not found/i);
});

function pidIn(path: string): number | undefined {
  try {
    return Number(/^(\d+)\n/.exec(readFileSync(path, 'utf8'))?.[1]) || undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

test.run();
