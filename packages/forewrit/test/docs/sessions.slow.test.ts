import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { blocksOf, pages, readPage } from './page.js';
import { exchangesOf, masked, replay } from './session.js';

const test = suite('sessions in the documentation', { timeoutMs: 400_000 });

const hasSessions = (page: string): boolean =>
  blocksOf(readPage(page)).some(({ session }) => session !== undefined);

for (const page of pages().filter(hasSessions)) {
  test(`the sessions of ${page} print what they say (npm run docs:sessions writes what they print)`, async () => {
    using directory = temporaryDirectory('sessions');
    const text = readPage(page);
    assert.is(await replay(text, directory.path), text);
  });
}

test('a session is commands with what they print', () => {
  const exchanges = exchangesOf('$ a \\\n  b\none\ntwo\n$ c\n$ d\nthree\n');
  assert.equal(exchanges, [
    { command: 'a \\\n  b', output: 'one\ntwo\n' },
    { command: 'c', output: '' },
    { command: 'd', output: 'three\n' },
  ]);
});

test('what differs from run to run is not compared, everything else is', () => {
  const one =
    'log 24.0 KiB\n2      123  dead  no-process  2030-01-01T00:00:00.000Z\n1 file swept, in 3.2 ms\n';
  const other = 'log 1 MiB\n2   98765  dead  zombie      2031-01-01T00:00:00.000Z\n3 files swept, in 9 ms\n';
  assert.is(masked(one), masked(other));
  assert.is.not(masked(one), masked(one.replace('dead', 'alive')));
  assert.is.not(masked('2-1  committed'), masked('2-1  blocked'));
});

test('a page whose session prints something else is put right', async () => {
  using directory = temporaryDirectory('sessions');
  const page = (printed: string): string =>
    `<!-- session -->\n\n\`\`\`console\n$ node say.mjs\n${printed}\`\`\`\n\n\`\`\`js\n// say.mjs\nconsole.log('this');\n\`\`\`\n`;
  assert.is(await replay(page('that\n'), directory.path), page('this\n'));
});

test.run();
