import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';

const test = suite('code in the documentation', { timeoutMs: 60_000 });
const run = promisify(execFile);

const workspace = fileURLToPath(new URL('../../..', import.meta.url));
const forewrit = fileURLToPath(new URL('..', import.meta.url));

function codeBlocks(text: string): string[] {
  return [...text.matchAll(/^```(?:js|ts|javascript|typescript)\n(.*?)^```/gms)].map((match) => match[1]!);
}

/** A directory in which `forewrit`, `@forewrit/staging`, the task engine and the MCP server are installed. */
function install(directory: string): void {
  mkdirSync(`${directory}/node_modules/@forewrit`, { recursive: true });
  symlinkSync(`${workspace}/packages/tasks`, `${directory}/node_modules/@forewrit/tasks`, 'dir');
  symlinkSync(`${workspace}/packages/mcp`, `${directory}/node_modules/@forewrit/mcp`, 'dir');
  symlinkSync(forewrit, `${directory}/node_modules/forewrit`, 'dir');
  symlinkSync(`${workspace}/packages/staging`, `${directory}/node_modules/@forewrit/staging`, 'dir');
}

async function runBlocks(page: string): Promise<string[]> {
  using directory = temporaryDirectory('readme');
  install(directory.path);
  const outputs: string[] = [];
  // One after the other in one directory, as somebody would who reads on.
  for (const [index, code] of codeBlocks(readFileSync(`${workspace}/${page}`, 'utf8')).entries()) {
    const file = `${directory.path}/block-${index}.mjs`;
    writeFileSync(file, code);
    const { stdout, stderr } = await run(process.execPath, [file], { cwd: directory.path, timeout: 20_000 });
    assert.is(stderr, '');
    outputs.push(stdout);
  }
  return outputs;
}

test('every block of the README runs and prints what it says', async () => {
  const outputs = await runBlocks('README.md');
  assert.is(outputs.length, 4);
  assert.is(outputs[0], '1\n');
  assert.match(outputs[1]!, /'archive\/messages-1\.json'.*\{ archived: true \}/s);
  assert.is(outputs[2], '0 12\n');
  assert.match(outputs[3]!, /elsewhere/);
});

for (const page of readdirSync(`${workspace}/docs`).filter((name) => name.endsWith('.md'))) {
  test(`every block of docs/${page} runs`, async () => {
    await runBlocks(`docs/${page}`);
  });
}

test('the links of the pages lead somewhere', () => {
  const pages = [
    'README.md',
    ...readdirSync(`${workspace}/docs`)
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ];
  for (const page of pages) {
    const text = readFileSync(`${workspace}/${page}`, 'utf8');
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      const url = new URL(target!, new URL(page, new URL(`file://${workspace}/`)));
      const name = fileURLToPath(url);
      assert.ok(isThere(name), `${page} links to ${target}`);
    }
  }
});

function isThere(path: string): boolean {
  try {
    readdirSync(path);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOTDIR';
  }
}

test.run();
