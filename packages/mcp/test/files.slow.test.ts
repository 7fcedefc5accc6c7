import { closeSync, ftruncateSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { openStore } from '@forewrit/recovery';
import { assert, suite, type TemporaryDirectory, temporaryDirectory } from '@forewrit/testkit';
import { type Json, refused, serve, type ServerProcess, textOf } from './mcp-world.js';

const test = suite('file tools over stdio', { timeoutMs: 60_000 });

let directory: TemporaryDirectory;
let server: ServerProcess;

test.before(async () => {
  directory = temporaryDirectory('mcp-files');
  server = await serve(directory.path);
});
test.after(async () => {
  await server.close();
  directory.remove();
});

const onDisk = (path: string): string => readFileSync(`${directory.path}/${path}`, 'utf8');

test('without a shell there are no tools for tasks, and no tasks of the protocol', async () => {
  const { tools } = await server.client.listTools();
  const names = tools.map(({ name }) => name);
  assert.ok(names.includes('write_files') && !names.includes('run_shell') && !names.includes('task_list'));
  assert.is(server.client.getServerCapabilities()?.tasks, undefined);
  assert.match(await refused(server.call('run_shell', { command: 'true' })), /no tool 'run_shell'/);
});

test('a file that is written is read with the revision of the write', async () => {
  const written = await server.get<{ revision: number; paths: string[] }>('write_file', {
    path: 'a/b.txt',
    content: 'one\n',
  });
  assert.equal(written.paths, ['a/b.txt']);
  const read = await server.call('read_file', { path: 'a/b.txt' });
  const { revision, content, size, encoding, next_offset } = read.structuredContent as Json;
  assert.equal(
    { revision, content, size, encoding, next_offset },
    {
      revision: written.revision,
      content: 'one\n',
      size: 4,
      encoding: 'utf8',
      next_offset: null,
    },
  );
  // For people and models it comes first, and as it is.
  assert.equal(read.content[0], { type: 'text', text: 'one\n' });
  assert.is(onDisk('a/b.txt'), 'one\n');
});

test('a file that another program wrote has no revision, and is readable', async () => {
  writeFileSync(`${directory.path}/foreign.txt`, 'x');
  assert.is((await server.get('read_file', { path: 'foreign.txt' }))['revision'], null);
});

test('binary content comes and goes as base64', async () => {
  const bytes = Buffer.from([0, 255, 254, 128, 10]);
  await server.get('write_file', { path: 'bin', content: bytes.toString('base64'), encoding: 'base64' });
  const read = await server.get('read_file', { path: 'bin' });
  assert.is(read['encoding'], 'base64');
  assert.is(read['content'], bytes.toString('base64'));
  await server.fails('read_file', { path: 'bin', encoding: 'utf8' }, 'ERR_INVALID_ARGUMENT');
  await server.fails(
    'write_file',
    { path: 'bin', content: '%%%', encoding: 'base64' },
    'ERR_INVALID_ARGUMENT',
  );
  assert.is(statSync(`${directory.path}/bin`).size, 5);
});

test('pages of a text never cut a character, and together are the file', async () => {
  const text = '€uro ünd 😀 '.repeat(50);
  await server.get('write_file', { path: 'long.txt', content: text });
  let joined = '';
  let offset: number | null = 0;
  while (offset !== null) {
    const page: { content: string; encoding: string; next_offset: number | null } = await server.get(
      'read_file',
      {
        path: 'long.txt',
        offset,
        max_bytes: 7,
      },
    );
    assert.is(page.encoding, 'utf8');
    joined += page.content;
    offset = page.next_offset;
  }
  assert.is(joined, text);
  await server.fails('read_file', { path: 'long.txt', offset: 1e6 }, 'ERR_INVALID_ARGUMENT');
});

test('several files are read as one set, or the call fails', async () => {
  await server.get('write_files', {
    files: [
      { path: 'set/1', content: 'eins' },
      { path: 'set/2', content: 'zwei' },
    ],
  });
  const { files } = await server.get<{ files: Json[] }>('read_files', { paths: ['set/2', 'set/1'] });
  assert.equal(
    files.map(({ path, content }) => [path, content]),
    [
      ['set/2', 'zwei'],
      ['set/1', 'eins'],
    ],
  );
  assert.is(files[0]!['revision'], files[1]!['revision']);
  const failure = await server.fails('read_files', { paths: ['set/1', 'set/3'] }, 'ERR_NOT_FOUND');
  assert.is(failure.path, 'set/3');
});

test('a set of which one guard fails is refused as a whole, with what is there now', async () => {
  const failure = await server.fails(
    'write_files',
    {
      files: [
        { path: 'set/1', content: 'changed' },
        { path: 'set/2', content: 'changed', if_revision: 0 },
        { path: 'set/new', content: 'new' },
      ],
    },
    'ERR_CONFLICT',
  );
  const read = await server.get('read_file', { path: 'set/2' });
  assert.is(failure.path, 'set/2');
  assert.is(failure.current?.['revision'], read['revision']);
  assert.is(onDisk('set/1'), 'eins');
  await server.fails('read_file', { path: 'set/new' }, 'ERR_NOT_FOUND');
  await server.fails('write_file', { path: 'set/1', content: '', if_absent: true }, 'ERR_EXISTS');
  const twice = [
    { path: 'set/1', content: '1' },
    { path: './set/1', content: '2' },
  ];
  assert.match(
    (await server.failure('write_files', { files: [twice[0], twice[0]] })).code,
    /ERR_INVALID_ARGUMENT/,
  );
  assert.is(onDisk('set/1'), 'eins');
});

test('a set tells its progress', async () => {
  const heard = server.hear();
  const files = Array.from({ length: 5 }, (_, index) => ({ path: `progress/${index}`, content: 'x' }));
  await server.get('write_files', { files }, { onprogress: () => undefined });
  const told = heard.filter(({ method }) => method === 'notifications/progress');
  assert.equal(
    told.map(({ params }) => [params['progress'], params['total']]),
    [1, 2, 3, 4, 5, 6].map((progress) => [progress, 6]),
  );
});

test('an edit replaces exact text once, and leaves the rest byte for byte', async () => {
  const text = '\uFEFFfirst\r\nsecond $& \r\nsecond\t\n';
  const { revision } = await server.get('write_file', { path: 'edit.txt', content: text });
  const edits = [
    { old_text: 'first', new_text: '$&$1' },
    { old_text: 'second\t', new_text: '' },
  ];
  const edited = await server.get('edit_file', { path: 'edit.txt', edits, if_revision: revision });
  assert.is(edited['replacements'], 2);
  assert.is(onDisk('edit.txt'), '\uFEFF$&$1\r\nsecond $& \r\n\n');
  assert.is((await server.get('read_file', { path: 'edit.txt' }))['revision'], edited['revision']);
});

test('an edit that does not fit changes nothing and says why', async () => {
  await server.get('write_file', { path: 'edit2.txt', content: 'aa bb aa' });
  const edit = (old_text: string, more: object = {}): object => ({
    path: 'edit2.txt',
    edits: [
      { old_text: 'bb', new_text: 'cc' },
      { old_text, new_text: 'x', ...more },
    ],
  });
  const none = await server.fails('edit_file', edit('zz'), 'ERR_NO_MATCH');
  assert.ok((none.hint ?? '').length > 10 && none.current?.['revision'] !== undefined);
  await server.fails('edit_file', edit('aa'), 'ERR_AMBIGUOUS_MATCH');
  await server.fails(
    'edit_file',
    { ...edit('aa', { replace_all: true }), if_revision: 1_000_000 },
    'ERR_CONFLICT',
  );
  assert.is(onDisk('edit2.txt'), 'aa bb aa');
  assert.is((await server.get('edit_file', edit('aa', { replace_all: true })))['replacements'], 3);
  assert.is(onDisk('edit2.txt'), 'x cc x');
  await server.fails('edit_file', { path: 'bin', edits: [{ old_text: 'a', new_text: '' }] }, 'ERR_NOT_TEXT');
  await server.fails(
    'edit_file',
    { path: 'nothing', edits: [{ old_text: 'a', new_text: '' }] },
    'ERR_NOT_FOUND',
  );
});

test('appending adds to the end and creates', async () => {
  await server.get('append_file', { path: 'log.txt', content: '1\n' });
  await server.get('append_file', { path: 'log.txt', content: '2\n' });
  assert.is(onDisk('log.txt'), '1\n2\n');
  await server.fails('append_file', { path: 'a', content: '' }, 'ERR_IS_DIRECTORY');
});

test('moving takes a file along, and replaces one only when it is told to', async () => {
  await server.get('write_file', { path: 'from.txt', content: 'from' });
  await server.get('write_file', { path: 'to.txt', content: 'to' });
  await server.fails('move_file', { from: 'from.txt', to: 'to.txt' }, 'ERR_EXISTS');
  assert.is(onDisk('to.txt'), 'to');
  await server.get('move_file', { from: 'from.txt', to: 'to.txt', overwrite: true });
  assert.is(onDisk('to.txt'), 'from');
  await server.get('move_file', { from: 'to.txt', to: 'deep/er/to.txt' });
  assert.is(onDisk('deep/er/to.txt'), 'from');
  await server.fails('move_file', { from: 'to.txt', to: 'x' }, 'ERR_NOT_FOUND');
});

test('deleting is guarded', async () => {
  const { revision } = await server.get<{ revision: number }>('write_file', { path: 'd/1', content: '' });
  await server.fails('delete_file', { path: 'd/1', if_revision: revision + 7 }, 'ERR_CONFLICT');
  await server.fails('delete_file', { path: 'd' }, 'ERR_NOT_EMPTY');
  await server.get('delete_file', { path: 'd/1', if_revision: revision });
  await server.fails('delete_file', { path: 'd/1' }, 'ERR_NOT_FOUND');
  await server.get('delete_file', { path: 'd', recursive: true });
  await server.fails('list_directory', { path: 'd' }, 'ERR_NOT_FOUND');
});

test('a directory is listed in pages, without what is the store’s own', async () => {
  const files = Array.from({ length: 7 }, (_, index) => ({ path: `list/${index}/f`, content: 'abc' }));
  await server.get('write_files', { files });
  type Page = { entries: { name: string; type: string; size: number }[]; next_cursor: string | null };
  const found: string[] = [];
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const page: Page = await server.get('list_directory', {
      path: 'list',
      recursive: true,
      limit: 4,
      ...(cursor === undefined ? {} : { cursor }),
    });
    found.push(...page.entries.map(({ name, type, size }) => `${name} ${type} ${size}`));
    cursor = page.next_cursor;
  }
  const wanted = Array.from({ length: 7 }, (_, index) => [
    `${index} directory 0`,
    `${index}/f file 3`,
  ]).flat();
  assert.equal(found, wanted);
  const top = await server.get<Page>('list_directory');
  assert.not.ok(top.entries.some(({ name }) => name.startsWith('.forewrit')));
  await server.fails('list_directory', { path: 'list/0/f' }, 'ERR_NOT_DIRECTORY');
});

test('a large write arrives in pieces, is durable with each, and appears as a whole', async () => {
  const pieces = ['Anfang ', 'ünd ', 'Ende'];
  const whole = pieces.join('');
  const begun = await server.get<{ id: string }>('stage_begin', {
    path: 'big.txt',
    total_bytes: Buffer.byteLength(whole),
  });
  let offset = 0;
  for (const content of pieces) {
    const before = offset;
    const answer = await server.get<{ next_offset: number }>('stage_append', {
      id: begun.id,
      offset,
      content,
    });
    offset = answer.next_offset;
    // Repeated, as if the answer had been lost.
    const again = await server.fails('stage_append', { id: begun.id, offset: before, content }, 'ERR_OFFSET');
    assert.is(again.current?.['next_offset'], offset);
  }
  await server.fails('read_file', { path: 'big.txt' }, 'ERR_NOT_FOUND');
  const { uploads } = await server.get<{ uploads: Json[] }>('stage_list');
  assert.equal(
    uploads
      .filter(({ id }) => id === begun.id)
      .map((each) => [each['state'], each['next_offset'], each['held_by']]),
    [['in_progress', offset, 'nobody']],
  );
  const sha256 = createHash('sha256').update(whole).digest('hex');
  await server.fails('stage_commit', { id: begun.id, sha256: '0'.repeat(64) }, 'ERR_INTEGRITY');
  const done = await server.get('stage_commit', { id: begun.id, sha256, if_absent: true });
  assert.is(done['checksum'], sha256);
  assert.is(onDisk('big.txt'), whole);
  // Its answer may have been lost, too.
  assert.equal((await server.get('stage_commit', { id: begun.id }))['transaction'], done['transaction']);
});

test('what would take too much memory is refused before it is read', async () => {
  const huge = openSync(`${directory.path}/huge`, 'w');
  ftruncateSync(huge, 300 * 1024 * 1024);
  closeSync(huge);
  await server.fails('read_file', { path: 'huge', max_bytes: 10 }, 'ERR_TOO_LARGE');
  await server.fails('read_files', { paths: ['huge'] }, 'ERR_TOO_LARGE');
  await server.fails(
    'edit_file',
    { path: 'huge', edits: [{ old_text: 'a', new_text: '' }] },
    'ERR_TOO_LARGE',
  );
  assert.match(await refused(server.client.readResource({ uri: 'forewrit:///huge' })), /ERR_TOO_LARGE/);
  await server.fails('stage_begin', { path: 'x', total_bytes: 200_000_000 }, 'ERR_TOO_LARGE');
});

test('a large write is refused where it cannot be right', async () => {
  await server.get('stage_begin', { path: 'big2.txt', id: 'mine', total_bytes: 4 });
  await server.fails('stage_begin', { path: 'big2.txt', id: 'mine' }, 'ERR_CONFLICT');
  await server.fails('stage_append', { id: 'mine', offset: 0, content: 'too much' }, 'ERR_INTEGRITY');
  await server.get('stage_append', { id: 'mine', offset: 0, content: 'abc' });
  await server.fails('stage_commit', { id: 'mine' }, 'ERR_INTEGRITY');
  assert.is((await server.get('stage_cancel', { id: 'mine' }))['cancelled'], true);
  assert.is((await server.get('stage_cancel', { id: 'mine' }))['cancelled'], false);
  await server.fails('stage_append', { id: 'mine', offset: 3, content: 'd' }, 'ERR_NOT_FOUND');
  await server.fails('stage_commit', { id: 'mine' }, 'ERR_NOT_FOUND');
  await server.fails('stage_cancel', { id: '../x' }, 'ERR_INVALID_ARGUMENT');
});

test('the store tells how it is', async () => {
  const status = await server.get('store_status');
  assert.is(status['status'], 'open');
  assert.is(status['root'], directory.path);
  assert.is(status['tasks'], null);
  assert.ok((status['commits'] as number) > 10);
});

test('arguments that the schema does not know are refused with what is wrong', async () => {
  const failure = await server.fails('read_file', { path: 'a', pth: 1 }, 'ERR_INVALID_ARGUMENT');
  assert.match(failure.message, /pth/);
  const wrong: readonly (readonly [string, object])[] = [
    ['read_file', {}],
    ['read_file', { path: 7 }],
    ['read_file', { path: 'x', offset: -1 }],
    ['read_file', { path: 'x', max_bytes: 1e12 }],
    ['read_files', { paths: [] }],
    ['read_files', { paths: 'x' }],
    ['write_file', { path: 'x' }],
    ['write_file', { path: 'x', content: 'y', encoding: 'latin1' }],
    ['write_file', { path: 'x', content: 'y', if_revision: '1' }],
    ['write_file', { path: 'x', content: 'y', mode: 0o7777 }],
    ['write_files', { files: [] }],
    ['write_files', { files: [{ path: 'x' }] }],
    ['edit_file', { path: 'x', edits: [] }],
    ['edit_file', { path: 'x', edits: [{ old_text: '', new_text: '' }] }],
    ['append_file', { path: 'x' }],
    ['move_file', { from: 'x' }],
    ['delete_file', { recursive: true }],
    ['list_directory', { limit: 0 }],
    ['stage_begin', { path: 'x', id: 'a/b' }],
    ['stage_append', { id: 'x', content: 'y' }],
    ['stage_commit', { id: 'x', sha256: 'short' }],
    ['stage_list', { x: 1 }],
    ['store_status', { x: 1 }],
  ];
  for (const [name, args] of wrong) {
    const { hint } = await server.fails(name, args, 'ERR_INVALID_ARGUMENT');
    assert.ok((hint ?? '').length > 10);
  }
});

test('files are resources, too', async () => {
  await server.get('write_file', { path: 'r #1.txt', content: 'ü' });
  const { resources } = await server.client.listResources();
  const uri = resources.find(({ name }) => name === 'r #1.txt')!.uri;
  assert.is(uri, 'forewrit:///r%20%231.txt');
  const { contents } = await server.client.readResource({ uri });
  assert.equal(contents, [{ uri, text: 'ü' }]);
  const { resourceTemplates } = await server.client.listResourceTemplates();
  assert.is(resourceTemplates[0]!.uriTemplate, 'forewrit:///{+path}');
  for (const bad of [
    'forewrit:///../x',
    'forewrit:///%2e%2e/x',
    'forewrit:///',
    'file:///etc/passwd',
    'forewrit:///%zz',
  ])
    assert.match(await refused(server.client.readResource({ uri: bad })), /ERR_PATH_ESCAPE|percent-encoded/);
  assert.match(await refused(server.client.readResource({ uri: 'forewrit:///nothing' })), /ERR_NOT_FOUND/);
});

test('every answer has its structured content as text, too', async () => {
  const result = await server.call('store_status');
  assert.equal(JSON.parse(textOf(result)), result.structuredContent);
});

interface Listed {
  readonly transactions: readonly {
    readonly transaction: string;
    readonly paths: readonly { readonly path: string; readonly did: string }[];
    readonly undoable: boolean;
    readonly obstacle?: { readonly code: string; readonly path: string };
  }[];
  readonly more: boolean;
}

test('what was written, moved and deleted is listed, and comes back', async () => {
  await server.get('write_files', {
    files: [
      { path: 'h/a', content: 'one' },
      { path: 'h/b', content: 'b' },
    ],
  });
  const second = await server.get<{ transaction: string }>('write_file', { path: 'h/a', content: 'two' });
  await server.get('delete_file', { path: 'h', recursive: true });
  const { transactions, more } = await server.get<Listed>('file_history', { path: 'h', limit: 2 });
  assert.equal(
    transactions.map(({ paths, undoable }) => [paths[0]?.did, undoable]),
    [
      ['directory-removed', true],
      ['written', false],
    ],
  );
  assert.equal([transactions[1]?.obstacle?.code, more], ['ERR_CONFLICT', true]);
  const failure = await server.fails('undo', { transaction: second.transaction }, 'ERR_CONFLICT');
  assert.is(failure.path, 'h/a');
  assert.equal(failure.current, { exists: false });
  await server.get('undo', { transaction: transactions[0]!.transaction });
  assert.is(onDisk('h/a'), 'two');
  const undone = await server.get<{ transaction: string }>('undo', { transaction: second.transaction });
  assert.is(onDisk('h/a'), 'one');
  await server.get('undo', { transaction: undone.transaction });
  assert.is(onDisk('h/a'), 'two');
  await server.fails('undo', { transaction: 'zz-1' }, 'ERR_NOT_FOUND');
});

test('what other programs have changed of entries alone is not listed', async () => {
  const own = temporaryDirectory('mcp-entries');
  const store = await openStore(own.path, { history: {} });
  await store.writeFile('a', 'one');
  await store.collection('numbers').put('one', 1);
  await store.close();
  await using other = await serve(own.path);
  const { transactions, more } = await other.get<Listed>('file_history', { limit: 1 });
  assert.equal([transactions.map(({ paths }) => paths[0]?.path), more], [['a'], false]);
  await other.close();
  own.remove();
});

test('how much history is kept is for whoever starts the server', async () => {
  for (const [args, count] of [
    [['--no-history'], 0],
    [['--history-mib', '0'], 0],
    [['--history-days', '1'], 1],
  ] as const) {
    const own = temporaryDirectory('mcp-history');
    await using other = await serve(own.path, { args: [...args] });
    await other.get('write_file', { path: 'a', content: 'one' });
    const { transactions } = await other.get<Listed>('file_history');
    assert.is(transactions.length, count, args.join(' '));
    await other.close();
    own.remove();
  }
});

test.run();
