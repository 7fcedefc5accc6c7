import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadMcp } from '#src/commands/mcp.js';
import { errorAsText } from '#src/error-report.js';
import picocolors from 'picocolors';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { runCommand } from './command-run.js';

const test = suite('forewrit mcp', { timeoutMs: 60_000 });

function notFound(name: string): Error {
  return Object.assign(new Error(`Cannot find package '${name}' imported from /x/commands/mcp.js`), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
}

test('without its package it says how to install it', async () => {
  const error = await assert.rejectsWithCode(
    loadMcp(() => Promise.reject(notFound('@forewrit/mcp'))),
    'ERR_MODULE_NOT_FOUND',
  );
  const text = errorAsText(error, { colors: picocolors.createColors(false), debug: false });
  assert.match(text, /hint: {2}npm i @forewrit\/mcp\n/);
});

test('a package that is there and broken is not called missing', async () => {
  const cause = notFound('zod');
  const error = await assert.rejectsWithCode(
    loadMcp(() => Promise.reject(cause)),
    'ERR_MODULE_NOT_FOUND',
  );
  assert.is(error, cause as typeof error);
});

test('installed alone, the command works, and `mcp` says what is missing', async () => {
  await using directory = temporaryDirectory('mcp-command');
  const cli = installAlone(directory.path);
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, [cli, '--help']);
  assert.match(stdout, /serve the files and tasks of a store/);
  await run(process.execPath, [cli, 'tasks', 'run', 'true', '--root', `${directory.path}/store`]);
  const failed = await run(process.execPath, [cli, 'mcp', '--root', directory.path]).then(
    () => undefined,
    (error: { code: number; stderr: string }) => error,
  );
  assert.is(failed?.code, 1);
  assert.match(failed?.stderr ?? '', /hint: {2}npm i @forewrit\/mcp\n/);
});

/** As `npm i forewrit` leaves it: what it depends on, and not its optional peer. */
function installAlone(directory: string): string {
  const own = fileURLToPath(new URL('..', import.meta.url));
  const modules = `${directory}/node_modules`;
  mkdirSync(`${modules}/@forewrit`, { recursive: true });
  cpSync(`${own}/dist`, `${modules}/forewrit/dist`, { recursive: true });
  cpSync(`${own}/package.json`, `${modules}/forewrit/package.json`);
  const { dependencies } = JSON.parse(readFileSync(`${own}/package.json`, 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    symlinkSync(realpathSync(`${own}/node_modules/${name}`), `${modules}/${name}`, 'dir');
  }
  return `${modules}/forewrit/dist/cli.js`;
}

test('wrong options are wrong usage', async () => {
  await using directory = temporaryDirectory('mcp-command');
  const root = ['--root', directory.path];
  const wrong: readonly (readonly string[])[] = [
    ['mcp', ...root, '--json'],
    ['mcp', ...root, '--http', 'x'],
    ['mcp', ...root, '--http', '65536'],
    ['mcp', ...root, '--http', '0', '--allow-origin', 'example.org'],
    ['mcp', ...root, '--unknown'],
  ];
  for (const args of wrong) assert.is((await runCommand(args)).exitCode, 2, args.join(' '));
});

test('a token file that is missing, empty or too short is refused before it listens', async () => {
  await using directory = temporaryDirectory('mcp-command');
  const args = ['mcp', '--root', directory.path, '--http', '0'];
  const missing = await runCommand([...args, '--token-file', `${directory.path}/none`]);
  assert.is(missing.exitCode, 1);
  assert.match(missing.stderr, /ERR_NOT_FOUND/);
  const short = await runCommand(args, { env: { FOREWRIT_MCP_TOKEN: 'short' } });
  assert.is(short.exitCode, 1);
  assert.match(short.stderr, /ERR_INVALID_ARGUMENT/);
});

test('it ends when its input does', async () => {
  await using directory = temporaryDirectory('mcp-command');
  const { exitCode, stdout, stderr } = await runCommand(['mcp', '--root', directory.path]);
  assert.equal([exitCode, stdout, stderr], [0, '', '']);
});

test.run();
