/** Errors and problems as the command shows them, whatever was thrown. */

import { spawnSync } from 'node:child_process';
import { InvalidArgumentError, StoreError } from '@forewrit/core';
import { assert, suite } from '@forewrit/testkit';
import { errorAsJson, errorAsText } from '#src/error-report.js';
import { exitCodeOf, exitCodes } from '#src/exit-code.js';
import { problemsAsJson, problemsAsText } from '#src/problem-report.js';
import { shellLine } from '#src/remedy-report.js';
import { type Colors, printable } from '#src/terminal.js';

const test = suite('error report');

/** Every text in the name of its colour. */
const colors = new Proxy({} as Colors, { get: (_, name) => (text: string) => `<${String(name)} ${text}>` });

test('an error of the store is shown with its code, and what can be done', () => {
  const cause = new Error('the disk');
  const details = { op: 'open', path: '/x', transaction: '1-2', hint: 'Free some.', cause };
  const error = new StoreError('ERR_NO_SPACE', 'no\u001B room', details);
  const text = errorAsText(error, { debug: false, colors });
  assert.match(text, '<red error:>');
  assert.match(text, 'ERR_NO_SPACE');
  assert.match(text, 'Free some.');
  assert.ok(!text.includes('\u001B'));
  const { error: json } = errorAsJson(error, { debug: true }) as { error: Record<string, string> };
  assert.equal(
    [json['code'], json['op'], json['path'], json['transaction'], json['hint']],
    ['ERR_NO_SPACE', 'open', '/x', '1-2', 'Free some.'],
  );
  assert.match(json['stack']!, /no. room[^]*caused by[^]*the disk/);
});

test('so is whatever else was thrown', () => {
  const bare = { debug: false };
  assert.equal(errorAsJson(new Error('x'), bare), { error: { code: 'ERR_INTERNAL', message: 'x' } });
  assert.equal(errorAsJson('a text', bare), { error: { code: 'ERR_INTERNAL', message: 'a text' } });
  assert.is(errorAsText('a text', { debug: false, colors }), '<red error:> a text\n');
  const hinted = errorAsJson(new InvalidArgumentError('put', 'no'), { debug: false, hint: 'Ask.' });
  assert.equal(hinted, { error: { code: 'ERR_INVALID_ARGUMENT', message: 'put: no', hint: 'Ask.' } });
  const stackless = new Error('without a stack');
  Object.defineProperty(stackless, 'stack', { value: undefined });
  assert.match(errorAsText(stackless, { debug: true, colors }), /without a stack[^]*without a stack/);
});

test('problems are shown with what they mean and what mends them, or with their hints', () => {
  const problems = [
    { code: 'ERR_LOG_CORRUPT', message: 'damaged', hint: 'Mend it.' },
    { code: 'ERR_NOT_FOUND', message: 'gone', hint: 'Look for it.' },
    { code: 'ERR_CONFLICT', message: 'unread' },
  ];
  const inspection = { root: '/a b', problems };
  const lines = problemsAsText(inspection, colors).split('\n');
  assert.is(lines[0], '<red ERR_LOG_CORRUPT>: damaged');
  assert.ok(lines.includes("  <cyan mend:> forewrit recover --reset-log --yes --root '/a b'"));
  assert.equal(lines.slice(-4), [
    '<red ERR_NOT_FOUND>: gone',
    '  Look for it.',
    '<red ERR_CONFLICT>: unread',
    '',
  ]);
  const [damaged, ...others] = problemsAsJson(inspection) as { remedy: { command: string } }[];
  assert.is(damaged!.remedy.command, "forewrit recover --reset-log --yes --root '/a b'");
  assert.equal(others, [
    { code: 'ERR_NOT_FOUND', message: 'gone', hint: 'Look for it.', meaning: null, remedy: null },
    { code: 'ERR_CONFLICT', message: 'unread', hint: null, meaning: null, remedy: null },
  ]);
});

test('a command can be pasted whatever is in its words', () => {
  const words = ['mv', '--', "it's", 'a b', '', '$(x)', 'line\nbreak\u001B', 'é'];
  const line = shellLine(words);
  assert.is(printable(line), line);
  const printed = spawnSync('bash', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' });
  assert.equal(printed.stdout.split('\0').slice(0, -1), words);
});

test('the exit code tells a missing store and one in use from everything else', () => {
  const of = (
    code: 'ERR_NOT_FOUND' | 'ERR_NOT_DIRECTORY' | 'ERR_STORE_LOCKED' | 'ERR_IO',
    op: string,
  ): number => exitCodeOf(new StoreError(code, 'x', { op }));
  assert.is(of('ERR_NOT_FOUND', 'open'), exitCodes.noStore);
  assert.is(of('ERR_NOT_DIRECTORY', 'inspect'), exitCodes.noStore);
  assert.is(of('ERR_NOT_FOUND', 'repair'), exitCodes.findings);
  assert.is(of('ERR_STORE_LOCKED', 'open'), exitCodes.locked);
  assert.is(of('ERR_IO', 'open'), exitCodes.findings);
  assert.is(exitCodeOf(new Error('x')), exitCodes.findings);
});

test.run();
