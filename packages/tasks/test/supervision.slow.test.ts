import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { assert, suite } from '@forewrit/testkit';
import { assertNoneLeft, eventually, notLinux, TestTask } from './task-world.js';

const test = suite('supervision of one command', { timeoutMs: 90_000 });

test.skipIf(notLinux, 'a command runs, is seen running, and its end and output are recorded', async () => {
  await using task = new TestTask();
  const shim = await task.launch('echo out; echo err >&2; sleep 0.5; exit 3');
  const running = await task.observe();
  if (running.state !== 'running') throw new Error(`it is ${running.state}`);
  assert.equal(running.shim, shim);
  assert.ok((running.command?.pid ?? 0) > 0);
  const exit = await task.end();
  assert.is(exit.cause, 'exit');
  assert.is(exit.exitCode, 3);
  assert.is(exit.signal, undefined);
  assert.is(exit.outputBytes, 8);
  assert.is(exit.droppedBytes, 0);
  assert.ok(exit.complete);
  assert.equal(exit.survivors, []);
  assert.ok(exit.endedAtMs >= (exit.startedAtMs ?? Infinity));
  assert.is((await task.read({ stream: 'stdout' })).text, 'out\n');
  assert.is((await task.read({ stream: 'stderr' })).text, 'err\n');
  await assertNoneLeft(task);
  assert.is(await task.supervisor.connect(task.directory, task.nonce), undefined);
});

test.skipIf(notLinux, 'the directory and its files are for their owner alone', async () => {
  await using task = new TestTask();
  const before = process.umask(0);
  try {
    await task.launch('echo out; echo err >&2; umask; sleep 600');
  } finally {
    process.umask(before);
  }
  await task.printed('0000');
  const names = readdirSync(task.directory);
  assert.ok(names.includes('control'));
  for (const name of names) assert.is(statSync(`${task.directory}/${name}`).mode & 0o777, 0o600, name);
  assert.is(statSync(task.directory).mode & 0o777, 0o700);
});

test.skipIf(notLinux, 'a command that is killed by a signal has the signal for its end', async () => {
  await using task = new TestTask();
  const exit = await task.run('kill -9 $$');
  assert.is(exit.cause, 'signal');
  assert.is(exit.signal, 'SIGKILL');
  assert.is(exit.exitCode, undefined);
});

test.skipIf(notLinux, 'what cannot be spawned is recorded, and the launch resolves', async () => {
  for (const [command, parts, message] of [
    [{ file: '/no/such/file', args: [] }, {}, 'ENOENT'],
    ['true', { cwd: '/no/such/directory' }, 'ENOENT'],
    [{ file: '/etc/passwd', args: [] }, {}, 'EACCES'],
    [{ file: 'true', args: ['a\0b'] }, {}, 'null bytes'],
  ] as const) {
    await using task = new TestTask();
    const exit = await task.run(command, parts);
    assert.is(exit.cause, 'spawn-error');
    assert.match(exit.error ?? '', message);
    assert.is(exit.startedAtMs, undefined);
    await assertNoneLeft(task);
  }
});

test.skipIf(
  notLinux,
  'a file with arguments is run as it is, with its own environment and no other',
  async () => {
    await using task = new TestTask();
    await task.run(
      {
        file: process.execPath,
        args: [
          '-e',
          'console.log(JSON.stringify([process.argv.slice(1), process.env, process.cwd()]))',
          'a b',
          '$HOME',
          '*',
        ],
      },
      { env: { ONE: 'ä', PATH: '/bin' } },
    );
    const [args, env, cwd] = JSON.parse((await task.read()).text) as [
      string[],
      Record<string, string>,
      string,
    ];
    assert.equal(args, ['a b', '$HOME', '*']);
    // Node adds it to whatever it spawns, where coverage is measured.
    delete env['NODE_V8_COVERAGE'];
    assert.equal(env, { ONE: 'ä', PATH: '/bin', FOREWRIT_TASK_NONCE: task.nonce });
    assert.is(cwd, task.root.path);
  },
);

test.skipIf(notLinux, 'a command may open its streams by name, as scripts do', async () => {
  await using task = new TestTask();
  await task.launch('cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr; exec sleep 600', {
    stdin: { text: 'in\n' },
  });
  await task.printed('err');
  assert.is((await task.read()).text, 'in\nout\nerr\n');
  assert.is((await task.read({ stream: 'stderr' })).text, 'err\n');
  assert.equal(
    readdirSync(task.directory).filter((name) => name.endsWith('.pipe')),
    [],
  );
});

test.skipIf(notLinux, 'where there is no mkfifo a command has sockets, and all works but that', async () => {
  await using task = new TestTask();
  const before = process.env['PATH'];
  process.env['PATH'] = '/no/such/place';
  try {
    await task.launch('cat; echo out; echo err >&2; exit 3', {
      env: { PATH: before ?? '' },
      stdin: { text: 'in\n' },
    });
  } finally {
    process.env['PATH'] = before;
  }
  assert.is((await task.end()).exitCode, 3);
  assert.is((await task.read({ stream: 'stdout' })).text, 'in\nout\n');
  assert.is((await task.read({ stream: 'stderr' })).text, 'err\n');
});

test.skipIf(notLinux, 'a text is the standard input, however long', async () => {
  await using task = new TestTask();
  const text = 'a line of it\n'.repeat(100_000);
  await task.run('md5sum; wc -c < /dev/null', { stdin: { text } });
  const { createHash } = await import('node:crypto');
  assert.match((await task.read()).text, createHash('md5').update(text).digest('hex'));
});

test.skipIf(notLinux, 'without input the command reads an end at once', async () => {
  await using task = new TestTask();
  const exit = await task.run('cat; echo done');
  assert.is(exit.exitCode, 0);
  assert.is((await task.read()).text, 'done\n');
});

test.skipIf(notLinux, 'the directory can be removed, and what is missing is no error', async () => {
  await using task = new TestTask();
  await task.run('true');
  assert.equal(await task.supervisor.list(`${task.root.path}/tasks`), [task.directory]);
  await task.supervisor.remove(task.directory);
  await task.supervisor.remove(task.directory);
  assert.equal(await task.supervisor.list(`${task.root.path}/tasks`), []);
  assert.equal(await task.supervisor.list(`${task.root.path}/nothing`), []);
});

test.skipIf(
  notLinux,
  'a shim whose directory was removed goes on to the end of its command, and ends',
  async () => {
    await using task = new TestTask();
    await task.launch(`echo begun; read line; echo more; touch '${task.root.path}/done'`, { stdin: 'pipe' });
    await task.printed('begun');
    await using connection = await task.supervisor.connect(task.directory, task.nonce);
    await task.supervisor.remove(task.directory);
    await connection!.write(Buffer.from('go\n'));
    await assertNoneLeft(task);
    assert.ok(existsSync(`${task.root.path}/done`));
  },
);

test('records that are none are reported as damaged, not believed', async () => {
  await using task = new TestTask();
  mkdirSync(task.directory, { recursive: true });
  for (const [name, text] of [
    ['claim', ''],
    ['claim', 'null'],
    ['claim', '{}'],
    ['exit.json', '{"nonce":'],
  ] as const) {
    writeFileSync(`${task.directory}/${name}`, text);
    await assert.rejectsWithCode(task.observe(), 'ERR_INTEGRITY');
  }
});

test.skipIf(notLinux, 'the listeners of a connection hear of output and of the end', async () => {
  await using task = new TestTask();
  await task.launch('read line; echo "$line"; read line', { stdin: 'pipe' });
  await using connection = await task.supervisor.connect(task.directory, task.nonce);
  const events: string[] = [];
  connection!.onEvent((event) => void events.push(event));
  await connection!.write(Buffer.from('hello\n'));
  await eventually(async () => (events.includes('output') ? true : undefined));
  assert.is((await task.read()).text, 'hello\n');
  await connection!.write(Buffer.from('bye\n'), { end: true });
  await eventually(async () => (events.at(-1) === 'closed' ? true : undefined));
  assert.equal(events.slice(-2), ['exit', 'closed']);
  assert.is((await task.end()).exitCode, 0);
});

test.run();
