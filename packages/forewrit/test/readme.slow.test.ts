import { execFile } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { runCommand } from './command-run.js';
import { install } from './docs/installation.js';
import { anchorsOf } from './docs/anchors.js';
import { blocksOf, isRun, pages, readmeOutputs, readPage, workspace } from './docs/page.js';

const test = suite('code in the documentation', { timeoutMs: 180_000 });
const run = promisify(execFile);

const languages = ['', 'console', 'ini', 'js', 'json', 'sh', 'ts'];

async function runBlocks(page: string): Promise<string[]> {
  using directory = temporaryDirectory('readme');
  install(directory.path);
  const outputs: string[] = [];
  // One after the other in one directory, as somebody would who reads on.
  for (const { text, line } of blocksOf(readPage(page)).filter(isRun)) {
    const file = `${directory.path}/line-${line}.mjs`;
    writeFileSync(file, text);
    const { stdout, stderr } = await run(process.execPath, [file], { cwd: directory.path, timeout: 60_000 });
    assert.is(stderr, '', `${page}:${line}`);
    outputs.push(stdout);
  }
  return outputs;
}

test('every block of the README runs and prints what it says', async () => {
  const printed = await runBlocks('README.md');
  assert.is(printed.length, readmeOutputs.length);
  for (const [index, expected] of readmeOutputs.entries()) assert.match(printed[index]!, expected);
});

test('the README names every verb of the command', async () => {
  const { stdout } = await runCommand(['--help']);
  const list = stdout.split('\nCommands:\n')[1]!.split('\n\n')[0]!;
  const verbs = [...list.matchAll(/^ {2}([a-z]+)\b/gm)]
    .map(([, verb]) => verb!)
    .filter((verb) => verb !== 'help');
  assert.ok(verbs.length > 10, verbs.join());
  const readme = readPage('README.md');
  assert.equal(
    verbs.filter((verb) => !readme.includes(`\`forewrit ${verb}`)),
    [],
  );
});

/** What the blocks print, where that is the same each time: an example that prints something else shows something else. */
const outputs: Readonly<Record<string, readonly string[]>> = {
  'docs/durable.md': ['committed and applied\ncheckpointed\n'],
  'docs/embedding.md': ['[ 1, 2, 3 ]\n', 'true\n', '2\n', '', '', '0 0 0 0 true\n'],
  'docs/migration.md': [
    '{"theme":"dark"}\n',
    '["a.txt","b.txt"]\n',
    '',
    '{"1":{"command":"make","state":"done"},"2":{"command":"echo hi","state":"queued"},"3":{"command":"echo ho","state":"queued"}}\n',
    "[ '2', '3' ]\n",
    '',
    '{"step":2}\n',
  ],
  'docs/staging.md': [
    '9 168a57cde8d4ea40\n',
    '4cbbd9be0cba685835755f827758705db5a413c5494c34262cd25946a73e7582\n',
    'completed Chapter one.\nChapter two.\n\n',
  ],
  'docs/tasks.md': ['building\ndone\ncompleted 0\n', 'completed\n'],
  'packages/context/README.md': ['1\n'],
  'packages/forewrit/README.md': ['2\n'],
  'packages/staging/README.md': ['9 168a57cde8d4ea40\n'],
  'packages/tasks/README.md': ['completed\n'],
};

for (const page of pages().filter((path) => !['README.md', 'CONTRIBUTING.md'].includes(path))) {
  if (!blocksOf(readPage(page)).some(isRun)) continue;
  test(`every block of ${page} runs`, async () => {
    const printed = await runBlocks(page);
    if (outputs[page] !== undefined) assert.equal(printed, outputs[page]);
  });
}

test('the example of a test in CONTRIBUTING.md is one that the runner would take', async () => {
  const [example] = blocksOf(readPage('CONTRIBUTING.md')).filter(isRun);
  // In the place of the subject of the example, which does not exist, something that does what it says.
  const subject = 'async () => { throw Object.assign(new Error(), { code: "ERR_NOT_FOUND" }); }';
  const text = example!.text.replace(/^import \{ something \}.*$/m, `const something = ${subject};`);
  assert.is.not(text, example!.text);
  const code = text.replace(/^  using (directory) = (.*);$/m, '  const $1 = $2;');
  using directory = temporaryDirectory('contributing');
  install(directory.path);
  const testkit = `${directory.path}/node_modules/@forewrit/testkit`;
  symlinkSync(`${workspace}/packages/testkit`, testkit, 'dir');
  writeFileSync(`${directory.path}/example.mjs`, code);
  const { stdout } = await run(process.execPath, ['example.mjs'], { cwd: directory.path });
  assert.match(stdout, '"total":1,"passed":1');
});

test('every block of every page is of a kind that something is done with', () => {
  for (const page of pages()) {
    const blocks = blocksOf(readPage(page));
    const sessions = blocks.filter(({ session }) => session !== undefined);
    for (const { language, line, session, file, text } of blocks) {
      const place = `${page}:${line}`;
      assert.ok(languages.includes(language), `${place}: a block of ${language}`);
      assert.is(language === 'console', session !== undefined, `${place}: a session is console, and named`);
      if (session !== undefined) assert.match(text, /^\$ /, place);
      if (file !== undefined) {
        const isUsed = sessions.some((each) => each.text.includes(`node ${file}`));
        assert.ok(isUsed, `${place}: no session runs ${file}`);
      }
    }
    // An odd fence would hide what comes after it.
    assert.is(readPage(page).match(/^ *```/gm)?.length ?? 0, 2 * blocks.length, page);
  }
});

test('every block of JSON is JSON', () => {
  for (const page of pages()) {
    for (const { language, text, line } of blocksOf(readPage(page))) {
      if (language !== 'json') continue;
      try {
        JSON.parse(text);
      } catch (error) {
        assert.unreachable(`${page}:${line}: ${String(error)}`);
      }
    }
  }
});

test('every block of shell or a unit is one, and what it runs of this project is there', async () => {
  const { scripts } = JSON.parse(readFileSync(`${workspace}/package.json`, 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const { stdout: help } = await run(process.execPath, [
    `${workspace}/packages/forewrit/dist/cli.js`,
    '--help',
  ]);
  let seen = 0;
  for (const page of pages()) {
    for (const { language, text, line } of blocksOf(readPage(page))) {
      if (language !== 'sh' && language !== 'ini') continue;
      const place = `${page}:${line}`;
      if (language === 'ini') assert.match(text, /^(?:\[\w+\]\n(?:\w+=\S[^\n]*\n)+\n?)+$/, place);
      // What the reader has to fill in would be a redirection.
      else await run('sh', ['-n', '-c', text.replaceAll(/<[a-z ]+>/g, 'X')]);
      for (const [, script] of text.matchAll(/\bnpm (?:run )?(test|(?<=run )[\w:-]+)/g)) {
        assert.ok(Object.hasOwn(scripts, script!), `${place}: npm run ${script}`);
        seen += 1;
      }
      for (const [, verb] of text.matchAll(/(?:^|[/ =])(?:npx )?forewrit ([a-z]+)/gm)) {
        assert.match(help, new RegExp(`^ +${verb}\\b`, 'm'), place);
        seen += 1;
      }
    }
  }
  assert.ok(seen > 10);
});

test('the links of the pages lead somewhere, headings included', () => {
  let seen = 0;
  for (const page of pages()) {
    const text = readPage(page).replaceAll(/^```.*?^```/gms, '');
    const here = pathToFileURL(`${workspace}/${page}`);
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const url = new URL(target!, here);
      const file = fileURLToPath(new URL(url.pathname, here));
      assert.ok(existsSync(file), `${page} links to ${target}`);
      seen += 1;
      if (url.hash === '' || !file.endsWith('.md')) continue;
      const anchors = anchorsOf(readFileSync(file, 'utf8'));
      assert.ok(anchors.has(decodeURIComponent(url.hash.slice(1))), `${page} links to ${target}`);
    }
  }
  assert.ok(seen > 50);
});

test.run();
