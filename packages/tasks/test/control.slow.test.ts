import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { connect, type Socket } from 'node:net';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { assert, suite } from '@forewrit/testkit';
import { encodeLine, LineCutter } from '#src/shim/wire.js';
import { connectTask } from '#src/supervision/task-socket.js';
import { assertNoneLeft, eventually, notLinux, sleep, TestTask } from './task-world.js';

const test = suite('the socket of a shim', { timeoutMs: 90_000 });

const long = `${'d'.repeat(100)}/${'e'.repeat(99)}/tasks/1`;

test.skipIf(notLinux, 'below a root of more than 200 characters a task runs and is stopped', async () => {
  await using task = new TestTask({ below: long });
  assert.ok(task.directory.length > 200);
  await task.launch('echo begun; exec sleep 600', { stdin: 'pipe' });
  await task.printed('begun');
  const before = readdirSync('/proc/self/fd').length;
  for (let round = 0; round < 20; round += 1) {
    const connection = await task.supervisor.connect(task.directory, task.nonce);
    await connection!.close();
  }
  assert.is(readdirSync('/proc/self/fd').length, before);
  await using connection = await task.supervisor.connect(task.directory, task.nonce);
  assert.is((await connection!.stop()).signal, 'SIGTERM');
  await assertNoneLeft(task);
  assert.not(existsSync(`${task.directory}/control`));
});

test.skipIf(notLinux, 'without /proc a long path is reached through a link, which is gone then', async () => {
  await using task = new TestTask({ below: long });
  await task.launch('exec sleep 600');
  const links = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('fw-'));
  const before = links();
  const socket = await connectTask(task.directory, { platform: 'darwin' });
  assert.equal(links(), before);
  socket.destroy();
});

test.skipIf(
  notLinux,
  'where the directory can have no socket it is elsewhere, for the same eyes only',
  async () => {
    await using task = new TestTask();
    // Something is in its place.
    mkdirSync(`${task.directory}/control`, { recursive: true });
    await task.launch('exec sleep 600');
    const { socket } = JSON.parse(readFileSync(`${task.directory}/shim.json`, 'utf8')) as { socket: string };
    assert.not(socket.startsWith(task.directory));
    const place = socket.slice(0, socket.lastIndexOf('/'));
    assert.is(statSync(place).mode & 0o777, 0o700);
    await using connection = await task.supervisor.connect(task.directory, task.nonce);
    assert.is((await connection!.stop()).cause, 'user');
    await assertNoneLeft(task);
    assert.not(existsSync(place));
  },
);

test.skipIf(notLinux, 'requests with another nonce, or none, are refused, and change nothing', async () => {
  await using task = new TestTask();
  await task.launch('exec sleep 600', { stdin: 'pipe' });
  assert.is(await task.supervisor.connect(task.directory, 'another'), undefined);
  for (const [said, answer] of [
    [encodeLine({ type: 'stop' }), '{"type":"refused"}\n'],
    [`${encodeLine({ type: 'hello', nonce: 'x' })}${encodeLine({ type: 'stop' })}`, '{"type":"refused"}\n'],
    ['rubbish\n', ''],
    ['null\n', ''],
    ['x'.repeat(2_000_000), ''],
  ] as const) {
    assert.is(await conversation(task, said), answer, said.slice(0, 50));
  }
  // Half a word, and gone.
  const silent = await connectTask(task.directory);
  silent.write('{"type"');
  silent.destroy();
  await using connection = await task.supervisor.connect(task.directory, task.nonce);
  assert.ok(connection !== undefined);
  assert.is((await task.observe()).state, 'running');
});

async function conversation(task: TestTask, said: string): Promise<string> {
  const socket: Socket = connect(`${task.directory}/control`);
  await once(socket, 'connect');
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => void pieces.push(piece));
  socket.on('error', () => undefined);
  socket.write(said);
  await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(pieces).toString();
}

test.skipIf(notLinux, 'a writer waits until the command reads, and its bytes arrive in order', async () => {
  await using task = new TestTask();
  await task.launch('until [ -e go ]; do sleep 0.01; done; md5sum', { stdin: 'pipe' });
  await using connection = await task.supervisor.connect(task.directory, task.nonce);
  const bytes = Buffer.alloc(3_000_000, 'all of these bytes ');
  let taken = false;
  const written = connection!.write(bytes.subarray(0, 2_000_000)).finally(() => {
    taken = true;
  });
  const ended = connection!.write(bytes.subarray(2_000_000), { end: true });
  await sleep(300);
  assert.not(taken);
  writeFileSync(`${task.root.path}/go`, '');
  await written;
  await ended;
  assert.is((await task.end()).exitCode, 0);
  assert.match((await task.read()).text, createHash('md5').update(bytes).digest('hex'));
});

test.skipIf(notLinux, 'a command without a pipe, or that reads no more, takes no input', async () => {
  await using none = new TestTask();
  await none.launch('exec sleep 600');
  await using first = await none.supervisor.connect(none.directory, none.nonce);
  await assert.rejectsWithCode(first!.write(Buffer.from('x')), 'ERR_INVALID_ARGUMENT');

  await using closed = new TestTask();
  await closed.launch('exec <&-; echo closed; exec sleep 600', { stdin: 'pipe' });
  await closed.printed('closed');
  await using second = await closed.supervisor.connect(closed.directory, closed.nonce);
  await assert.rejectsWithCode(second!.write(Buffer.alloc(100_000)), 'ERR_IO');
  await assert.rejectsWithCode(second!.write(Buffer.from('x')), 'ERR_IO');

  await using ended = new TestTask();
  await ended.launch('cat; exec sleep 600', { stdin: 'pipe' });
  await using third = await ended.supervisor.connect(ended.directory, ended.nonce);
  await third!.write(new Uint8Array(0), { end: true });
  await assert.rejectsWithCode(third!.write(Buffer.from('x')), 'ERR_IO');
});

test.skipIf(notLinux, 'a supervisor that goes away, or hears nothing, is no matter', async () => {
  await using task = new TestTask();
  await task.launch('yes');
  for (let round = 0; round < 5; round += 1) {
    const deaf = await connectTask(task.directory);
    deaf.write(encodeLine({ type: 'hello', nonce: task.nonce }));
    deaf.pause();
    if (round % 2 === 0) deaf.destroy();
  }
  await using connection = await task.supervisor.connect(task.directory, task.nonce);
  const exit = await connection!.stop();
  assert.is(exit.cause, 'user');
  await eventually(async () => (task.processes().length === 0 ? true : undefined));
});

test('lines are cut wherever chunks are, and none may be too long', () => {
  const text = Buffer.from('{"a":"ä€"}\n\n{"b":2}\nrest');
  for (let one = 0; one <= text.length; one += 1) {
    const cutter = new LineCutter();
    const lines = [cutter.push(text.subarray(0, one)), cutter.push(text.subarray(one))].flat();
    assert.equal(lines, ['{"a":"ä€"}', '', '{"b":2}']);
  }
  assert.is(new LineCutter().push(Buffer.alloc(3_000_000)), undefined);
});

test.run();
