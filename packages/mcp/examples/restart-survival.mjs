// Shows from outside that a restart loses nothing. A client begins an upload, a command in the background and a task of the
// protocol; the server is killed with SIGKILL; a new one is asked for all three. Ends with 0 only if it has them.
//
//   node restart-survival.mjs                 the command of this clone
//   node restart-survival.mjs npx forewrit    another one
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';

const here = fileURLToPath(new URL('../../forewrit/dist/cli.js', import.meta.url));
const [command, ...args] = process.argv.length > 2 ? process.argv.slice(2) : [process.execPath, here];
const root = await mkdtemp(join(tmpdir(), 'forewrit-restart-'));

async function start() {
  const transport = new StdioClientTransport({
    command,
    args: [...args, 'mcp', '--root', root, '--allow-shell'],
    stderr: 'inherit',
  });
  const client = new Client({ name: 'restart-survival', version: '1.0.0' }, { capabilities: { tasks: {} } });
  const closed = new Promise((resolve) => {
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a property is all that there is
    client.onclose = resolve;
  });
  await client.connect(transport);
  return { client, pid: transport.pid, closed };
}

async function call(client, name, args) {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError && result.structuredContent === undefined) throw new Error(result.content[0].text);
  return result.structuredContent;
}

function expect(what, found, wanted) {
  const isRight = found === wanted;
  console.log(`${isRight ? 'ok  ' : 'FAIL'} ${what}: ${JSON.stringify(found)}`);
  if (!isRight) process.exitCode = 1;
}

try {
  const first = await start();
  const { id } = await call(first.client, 'stage_begin', { path: 'big.txt' });
  const half = await call(first.client, 'stage_append', { id, offset: 0, content: 'first half, ' });
  const waits = 'echo begun; until [ -e go ]; do sleep 0.1; done; echo ended';
  const background = await call(first.client, 'run_shell', { command: `${waits}; exit 7`, background: true });
  let task;
  const stream = first.client.experimental.tasks.callToolStream(
    { name: 'run_shell', arguments: { command: waits } },
    CallToolResultSchema,
    { task: { ttl: 3_600_000 } },
  );
  for await (const message of stream) {
    task = message.task;
    break;
  }

  console.log(`kill -9 ${first.pid}`);
  process.kill(first.pid, 'SIGKILL');
  await first.closed;

  const second = await start();
  const { client } = second;
  expect(
    'the task of the protocol',
    (await client.experimental.tasks.getTask(task.taskId)).status,
    'working',
  );
  await call(client, 'write_file', { path: 'go', content: '' });
  const result = await client.experimental.tasks.getTaskResult(task.taskId, CallToolResultSchema);
  expect('its output', result.structuredContent.output, 'begun\nended\n');
  const ran = await call(client, 'task_wait', { task_id: background.task_id });
  expect('output of the command in the background', ran.output, 'begun\nended\n');
  expect('its exit code', ran.exit_code, 7);
  const { uploads } = await call(client, 'stage_list', {});
  expect('durable bytes of the upload', uploads[0]?.next_offset, half.next_offset);
  await call(client, 'stage_append', { id, offset: half.next_offset, content: 'second half' });
  await call(client, 'stage_commit', { id });
  expect('the file', await readFile(join(root, 'big.txt'), 'utf8'), 'first half, second half');
  await client.close();
} finally {
  await rm(root, { recursive: true, force: true });
}
