import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { cli, environment, type Json } from './mcp-world.js';

const test = suite('the official inspector', { timeoutMs: 90_000 });

const run = promisify(execFile);
const inspector = createRequire(import.meta.url)
  .resolve('@modelcontextprotocol/inspector-cli/package.json')
  .replace(/package\.json$/, 'build/cli.js');

async function inspect(root: string, args: readonly string[]): Promise<Json> {
  const server = [process.execPath, cli, 'mcp', '--root', root, '--allow-shell'];
  const { stdout } = await run(process.execPath, [inspector, '--cli', ...server, ...args], {
    env: environment(),
  });
  return JSON.parse(stdout) as Json;
}

test('its command line lists the tools, and calls some', async () => {
  await using directory = temporaryDirectory('mcp-inspector');
  const { tools } = (await inspect(directory.path, ['--method', 'tools/list'])) as {
    tools: { name: string }[];
  };
  assert.ok(tools.length >= 24);
  const call = ['--method', 'tools/call', '--tool-name'];
  const written = await inspect(directory.path, [
    ...call,
    'write_file',
    '--tool-arg',
    'path=a.txt',
    '--tool-arg',
    'content=from the inspector',
  ]);
  assert.equal((written['structuredContent'] as Json)['paths'], ['a.txt']);
  const ran = await inspect(directory.path, [...call, 'run_shell', '--tool-arg', 'command=cat a.txt']);
  assert.is((ran['structuredContent'] as Json)['output'], 'from the inspector');
  const { resources } = await inspect(directory.path, ['--method', 'resources/list']);
  assert.equal(
    (resources as { uri: string }[]).map(({ uri }) => uri),
    ['forewrit:///a.txt'],
  );
});

test.run();
