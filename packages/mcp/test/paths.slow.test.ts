import { lstatSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { hostilePaths, layOut, secret } from './hostile-paths.js';
import { refused, serve, textOf } from './mcp-world.js';

const test = suite('hostile paths', { timeoutMs: 120_000 });

/** Every call that takes a path, with the path in every place that takes one. */
const calls: readonly (readonly [tool: string, args: (path: string) => object])[] = [
  ['read_file', (path) => ({ path })],
  ['read_files', (path) => ({ paths: ['inside/file', path] })],
  ['write_file', (path) => ({ path, content: 'overwritten' })],
  [
    'write_files',
    (path) => ({
      files: [
        { path: 'inside/new', content: '1' },
        { path, content: '2' },
      ],
    }),
  ],
  ['edit_file', (path) => ({ path, edits: [{ old_text: secret, new_text: 'changed' }] })],
  ['append_file', (path) => ({ path, content: 'appended' })],
  ['move_file', (path) => ({ from: path, to: 'inside/moved', overwrite: true })],
  ['move_file', (path) => ({ from: 'inside/file', to: path, overwrite: true })],
  ['delete_file', (path) => ({ path, recursive: true })],
  ['list_directory', (path) => ({ path: `${path}/` })],
  ['stage_begin', (path) => ({ path })],
  ['run_shell', (path) => ({ command: 'pwd; cat secret; echo x > overwritten', cwd: path })],
];

const codes = /^ERR_(?:PATH_ESCAPE|PATH_RESERVED|INVALID_PATH|INVALID_ARGUMENT|NOT_DIRECTORY|NOT_FOUND|IO)$/;

test('no tool reads or writes outside of the root, or what is the store’s own', async () => {
  await using directory = temporaryDirectory('mcp-paths');
  const places = layOut(directory.path);
  await using server = await serve(places.root, { shell: true });
  const outsideBefore = contentOf(directory.path, 'store');
  const storeBefore = contentOf(places.root, '.forewrit');
  for (const path of hostilePaths(places)) {
    for (const [tool, args] of calls) {
      const shown = `${tool} ${JSON.stringify(args(path)).slice(0, 200)}`;
      const result = await server.call(tool, args(path));
      assert.not.match(textOf(result), new RegExp(secret), shown);
      assert.is(result.isError, true, `${shown} went well`);
      const { error } = JSON.parse(textOf(result)) as { error: { code: string; hint?: string } };
      assert.match(error.code, codes, shown);
    }
    const uri = `forewrit:///${encoded(path)}`;
    assert.match(
      await refused(server.client.readResource({ uri })),
      /ERR_|percent-encoded/,
      uri.slice(0, 200),
    );
  }
  assert.equal(contentOf(directory.path, 'store'), outsideBefore);
  assert.equal(contentOf(places.root, '.forewrit'), storeBefore);
  const { uploads } = await server.get<{ uploads: object[] }>('stage_list');
  assert.equal(uploads, []);
  const { tasks } = await server.get<{ tasks: object[] }>('task_list');
  assert.equal(tasks, []);
});

test('a link to a file outside may be replaced or removed, and what it points to is neither read nor written', async () => {
  await using directory = temporaryDirectory('mcp-paths');
  const { root, outside } = layOut(directory.path);
  await using server = await serve(root, { shell: true });
  for (const [tool, args] of calls) {
    for (const name of ['file-link', 'dangling-link']) {
      rmSync(`${root}/${name}`, { force: true });
      symlinkSync(name === 'file-link' ? `${outside}/secret` : `${outside}/not-there`, `${root}/${name}`);
      const result = await server.call(tool, args(name));
      assert.not.match(textOf(result), new RegExp(secret), `${tool} ${name}`);
      assert.equal(
        contentOf(outside, ''),
        new Map([
          ['secret', secret],
          ['deep/secret', secret],
        ]),
        `${tool} ${name}`,
      );
    }
  }
});

test('a listing shows links that lead outside, and nothing behind them', async () => {
  await using directory = temporaryDirectory('mcp-paths');
  const { root } = layOut(directory.path);
  await using server = await serve(root);
  const { entries } = await server.get<{ entries: { name: string; type: string; problem?: string }[] }>(
    'list_directory',
    { recursive: true },
  );
  assert.not.ok(entries.some(({ name }) => name.includes('secret')));
  assert.ok(entries.some(({ name, problem }) => name === 'link' && problem === 'ERR_PATH_ESCAPE'));
});

function encoded(path: string): string {
  return path.replaceAll(/[^/]/gu, (character) => {
    try {
      return encodeURIComponent(character);
    } catch {
      // Half a character has no encoding.
      return '%ED%A0%80';
    }
  });
}

/** Everything below a directory, but not below that name in it. */
function contentOf(directory: string, except: string): Map<string, string> {
  const found = new Map<string, string>();
  const pending = readdirSync(directory).filter((name) => name !== except);
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const path = `${directory}/${name}`;
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) found.set(name, `-> ${readlinkSync(path)}`);
    else if (stat.isDirectory()) pending.push(...readdirSync(path).map((child) => `${name}/${child}`));
    else found.set(name, readFileSync(path, 'utf8'));
  }
  return found;
}

test.run();
