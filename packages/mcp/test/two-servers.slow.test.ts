import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { type Json, serve, type ServerProcess } from './mcp-world.js';

const test = suite('two servers on one store', { timeoutMs: 90_000 });

test('of two that edit one file on the same revision one is told how it is now, and nothing is lost', async () => {
  await using directory = temporaryDirectory('mcp-two');
  await using one = await serve(directory.path);
  await using other = await serve(directory.path);
  const path = 'notes.txt';
  const { revision } = await one.get('write_file', { path, content: 'one: -\nother: -\n' });
  assert.is((await other.get('read_file', { path }))['revision'], revision);

  const edit = (who: string): object => ({
    path,
    edits: [{ old_text: `${who}: -`, new_text: `${who}: done` }],
    if_revision: revision,
  });
  const results = await Promise.all([
    one.call('edit_file', edit('one')),
    other.call('edit_file', edit('other')),
  ]);
  const failed = results.findIndex(({ isError }) => isError === true);
  assert.is(results.filter(({ isError }) => isError === true).length, 1);
  const loser = [one, other][failed]!;
  const who = ['one', 'other'][failed]!;

  const { code, hint, current } = await loser.failure('edit_file', edit(who));
  assert.is(code, 'ERR_CONFLICT');
  assert.match(hint ?? '', /again/);
  const now = await loser.get('read_file', { path });
  assert.is(current?.['revision'], now['revision']);
  await loser.get('edit_file', { ...edit(who), if_revision: now['revision'] });
  assert.is((await one.get('read_file', { path }))['content'], 'one: done\nother: done\n');
});

test('many edits of both without a revision all arrive', async () => {
  await using directory = temporaryDirectory('mcp-two');
  await using one = await serve(directory.path);
  await using other = await serve(directory.path);
  const path = 'counters.txt';
  const names = Array.from({ length: 12 }, (_, index) => `<${index}>`);
  await one.get('write_file', { path, content: names.join('\n') });
  await Promise.all(
    names.map((name, index) =>
      [one, other][index % 2]!.get('edit_file', {
        path,
        edits: [{ old_text: name, new_text: `${name} seen` }],
      }),
    ),
  );
  const { content } = await other.get<{ content: string }>('read_file', { path });
  assert.is(content, names.map((name) => `${name} seen`).join('\n'));
});

test('an upload that one has begun is finished by the other', async () => {
  await using directory = temporaryDirectory('mcp-two');
  const one = await serve(directory.path);
  const begun = await one.get('stage_begin', { path: 'big', id: 'shared' });
  await one.get('stage_append', { id: 'shared', offset: begun['next_offset'], content: 'from one, ' });
  await one.close();
  await using other = await serve(directory.path);
  await other.get('stage_append', { id: 'shared', offset: 10, content: 'from the other' });
  await other.get('stage_commit', { id: 'shared' });
  assert.is((await other.get('read_file', { path: 'big' }))['content'], 'from one, from the other');
});

test('a command of one is seen and ended by the other', async () => {
  await using directory = temporaryDirectory('mcp-two');
  await using one = await serve(directory.path, { shell: true });
  await using other = await serve(directory.path, { shell: true });
  const { task_id } = await one.get<{ task_id: string }>('run_shell', {
    command: 'sleep 1000',
    background: true,
  });
  await until(other, task_id, 'running');
  assert.is((await other.get('task_terminate', { task_id }))['state'], 'terminated');
  await until(one, task_id, 'terminated');
});

async function until(server: ServerProcess, task_id: string, state: string): Promise<void> {
  for (;;) {
    const task: Json = await server.get('task_status', { task_id });
    if (task['state'] === state) return;
  }
}

test.run();
