import { PassThrough } from 'node:stream';
import { assert, suite } from '@forewrit/testkit';
import { counted, formatBytes, formatMs, shortened } from '#src/format.js';
import { openTerminal, printable, table, type TerminalStreams, usesColor } from '#src/terminal.js';

const test = suite('the terminal');

/** As Node has it: a pipe has no `isTTY` at all. */
function streams(isTerminal: boolean, env: TerminalStreams['env'] = {}, stdin?: TerminalStreams['stdin']) {
  const written = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr'): TerminalStreams['stdout'] => ({
    ...(isTerminal ? { isTTY: true } : {}),
    write: (text) => {
      written[name] += String(text);
    },
  });
  const terminal = openTerminal({
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    env,
    ...(stdin === undefined ? {} : { stdin }),
  });
  return { written, terminal };
}

test('colours only a terminal, and never with NO_COLOR', () => {
  assert.is(usesColor(true, {}), true);
  assert.is(usesColor(false, {}), false);
  assert.is(usesColor(false, { CI: 'true' }), false);
  assert.is(usesColor(true, { NO_COLOR: '1' }), false);
  assert.is(usesColor(true, { NO_COLOR: '' }), true);
  assert.is(usesColor(true, { NO_COLOR: '1', FORCE_COLOR: '1' }), false);
  assert.is(usesColor(false, { FORCE_COLOR: '1' }), true);
  assert.is(usesColor(true, { FORCE_COLOR: '0' }), false);
  assert.is(usesColor(true, { TERM: 'dumb' }), false);
});

test('shows progress on a terminal only', () => {
  const shown = streams(true);
  shown.terminal.progress('');
  assert.is(shown.written.stderr, '');
  shown.terminal.progress('half');
  shown.terminal.progress('');
  shown.terminal.progress('');
  assert.is(shown.written.stderr, '\r\u001B[2Khalf\r\u001B[2K');
  assert.is(shown.written.stdout, '');
  for (const silent of [streams(false), streams(true, { TERM: 'dumb' })]) {
    silent.terminal.progress('half');
    assert.is(silent.written.stderr, '');
  }
});

test('a table is columns and blanks, coloured or not', () => {
  const options = {
    head: ['name', 'size'],
    rows: [
      ['a', '1'],
      ['long name', '1,000'],
    ],
    right: [1],
  };
  const plain = 'name        size\na              1\nlong name  1,000\n';
  assert.is(table(streams(false).terminal.colors, options), plain);
  const coloured = table(streams(true).terminal.colors, options);
  assert.not.equal(coloured, plain);
  // oxlint-disable-next-line no-control-regex -- colours are what is looked for
  assert.is(coloured.replaceAll(/\u001B\[\d+m/g, ''), plain);
});

test('a name cannot steer the terminal', () => {
  assert.is(printable('a\nb\tc'), String.raw`a\nb\tc`);
  assert.is(printable('\u001B]0;title\u0007'), String.raw`\u001b]0;title\u0007`);
  assert.is(printable('x\u202Etxt.exe'), String.raw`x\u202etxt.exe`);
  assert.is(printable('\u009B2J'), String.raw`\u009b2J`);
  assert.is(printable('größe 大きさ 👍'), 'größe 大きさ 👍');
});

test('numbers are short', () => {
  assert.equal([0, 1023, 1024, 1_500_000, 3 * 2 ** 40].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.4 MiB',
    '3.0 TiB',
  ]);
  assert.equal([0.04, 12.34, 1234].map(formatMs), ['0.0 ms', '12.3 ms', '1.23 s']);
  assert.equal(
    [counted(0, 'file'), counted(1, 'file'), counted(2000, 'file')],
    ['0 files', '1 file', '2,000 files'],
  );
  assert.is(shortened(['a', 'b']), 'a, b');
  assert.is(shortened(['a', 'b', 'c', 'd', 'e', 'f']), 'a, b, c, d and 2 more');
});

test('asks a person at a terminal, and nobody anywhere else', async () => {
  const { signal } = new AbortController();
  const ask = async (answer: string | undefined, isTerminal: boolean): Promise<boolean | undefined> => {
    const stdin = Object.assign(new PassThrough(), isTerminal ? { isTTY: true } : {});
    const { terminal, written } = streams(isTerminal, {}, stdin);
    if (answer === undefined) stdin.end();
    else stdin.write(answer);
    const said = await terminal.confirm('Really?', signal);
    assert.is(written.stderr, isTerminal ? 'Really? [y/N] ' : '');
    assert.is(written.stdout, '');
    return said;
  };
  for (const yes of ['y\n', 'Yes\n', ' YES \n']) assert.is(await ask(yes, true), true, yes);
  for (const no of ['n\n', '\n', 'yesterday\n', 'no yes\n', undefined])
    assert.is(await ask(no, true), false, no);
  assert.is(await ask('y\n', false), undefined);
});

test('a question that is interrupted is answered with no', async () => {
  const interrupted = new AbortController();
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const { terminal } = streams(true, {}, stdin);
  const said = terminal.confirm('Really?', interrupted.signal);
  interrupted.abort();
  assert.is(await said, false);
});

test.run();
