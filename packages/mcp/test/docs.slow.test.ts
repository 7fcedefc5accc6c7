import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tools } from '#src/tools.js';
import { assert, suite } from '@forewrit/testkit';
import { environment } from './mcp-world.js';

const test = suite('the page about the server', { timeoutMs: 90_000 });

const workspace = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string): string => readFileSync(`${workspace}/${path}`, 'utf8');
const page = read('docs/mcp.md');

test('its table has every tool, in their order', () => {
  const rows = [...page.matchAll(/^\| `([a-z_]+)` \| \S/gm)].map((match) => match[1]!);
  assert.equal(
    rows.filter((name) => tools.some((tool) => tool.name === name)),
    tools.map(({ name }) => name),
  );
  assert.is(tools.filter(({ needsShell }) => needsShell).length, 9);
});

test('its table has every code that only tools have', () => {
  const union = /export type ToolErrorCode =([^;]+);/.exec(read('packages/mcp/src/tool-error.ts'))![1]!;
  const codes = union.match(/ERR_[A-Z_]+/g)!;
  const rows = [...page.matchAll(/^\| `(ERR_[A-Z_]+)` \|/gm)].map((match) => match[1]!);
  assert.equal(rows, codes);
});

test('its configurations are JSON that starts the command', () => {
  const blocks = [...page.matchAll(/^```json\n(.*?)^```/gms)].map((match) => match[1]!);
  assert.is(blocks.length, 3);
  for (const block of blocks) {
    const parsed = JSON.parse(block) as Record<string, { forewrit: { args?: string[]; url?: string } }>;
    const { args, url } = Object.values(parsed)[0]!.forewrit;
    assert.ok(url?.endsWith('/mcp') === true || args?.join(' ').includes('forewrit mcp --root ') === true);
  }
});

test('the script that shows what a restart leaves ends well', async () => {
  const script = `${workspace}/packages/mcp/examples/restart-survival.mjs`;
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env: environment() });
  assert.is(stdout.match(/^ok /gm)?.length, 6, stdout);
  assert.not.match(stdout, /FAIL/);
});

test.run();
