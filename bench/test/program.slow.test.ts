import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { openStore } from 'forewrit';
import { limits } from '#src/limits.js';
import { runProgram } from '#src/program.js';
import type { Results } from '#src/results.js';
import { openTerminal } from '#src/terminal.js';
import { around, madeResults } from './made-results.js';

const test = suite('the harness', { timeoutMs: 120_000 });

interface Ran {
  readonly exitCode: number;
  readonly output: string;
  readonly errors: string;
}

async function run(
  workspace: string,
  args: readonly string[],
  { isTTY = false, signal = new AbortController().signal } = {},
): Promise<Ran> {
  const written = { output: '', errors: '' };
  const terminal = openTerminal({
    stdout: { write: (text) => (written.output += text) },
    stderr: { write: (text) => (written.errors += text), isTTY },
  });
  const exitCode = await runProgram({ args, terminal, signal, workspace });
  return { exitCode, ...written };
}

const quickly = ['--quick', '--no-peers', '--on', 'plain', '--seed', '7'];

test('a quick run of one scenario measures, prints and saves everything', async () => {
  using directory = temporaryDirectory('bench');
  const { exitCode, output, errors } = await run(directory.path, ['save', ...quickly]);
  assert.is(exitCode, 0, errors);
  assert.match(output, /quick run/);
  assert.match(output, /one writer +forewrit +DFSPM/);
  assert.match(output, /writeFile, in turn +···PM/);
  // Nobody is left out in silence.
  for (const name of ['better-sqlite3', 'write-file-atomic, at once', 'classic-level']) {
    assert.match(output, new RegExp(`${name} +missing: peers were left out`));
  }
  assert.not.match(errors, /round/);

  const out = `${directory.path}/.bench/results`;
  const results = JSON.parse(readFileSync(`${out}/latest.json`, 'utf8')) as Results;
  assert.is(results.quick, true);
  assert.is(results.seed, 7);
  assert.equal(Object.keys(results.places), ['plain']);
  const ours = results.series.find(
    ({ contender, measure }) => contender === 'forewrit' && measure === 'time',
  )!;
  assert.is(ours.runs.length, 1);
  assert.is(ours.runs[0]!.count, 10);
  assert.ok(ours.p50 > 0 && ours.p50 <= ours.p95 && ours.p95 <= ours.p99);
  const theirs = results.series.find(({ contender }) => contender === 'writeFile, in turn')!;
  assert.ok(theirs.forewritRatio!.low <= theirs.forewritRatio!.high);
  assert.match(readFileSync(`${out}/latest.md`, 'utf8'), /!\[[^\]]+\]\(save\.svg\)/);
  assert.match(readFileSync(`${out}/save.svg`, 'utf8'), /^<svg [^]*writeFile, in turn[^]*<\/svg>\n$/);
  // What was measured on is gone.
  assert.equal(
    readdirSync(`${directory.path}/.bench`).filter((name) => name.startsWith('run-')),
    [],
  );
});

test('results are compared with older ones, and shown as JSON when asked for', async () => {
  using directory = temporaryDirectory('bench');
  const old = `${directory.path}/old.json`;
  writeFileSync(old, JSON.stringify(madeResults({ forewrit: [around(1e-6)] })));
  const compared = await run(directory.path, ['save', ...quickly, '--compare', old]);
  assert.is(compared.exitCode, 0);
  assert.match(compared.output, /Compared: 1 figures[^]*quick run[^]*Slower:[^]*forewrit, time/);
  const asJson = await run(directory.path, ['save', ...quickly, '--runs', '2', '--json']);
  const { series } = JSON.parse(asJson.output) as Results;
  assert.ok(series.length > 0);
  for (const { runs } of series) assert.is(runs.length, 2);
});

test('on a terminal there is progress; new results take the place of the old ones in one transaction', async () => {
  using directory = temporaryDirectory('bench');
  const out = `${directory.path}/results`;
  mkdirSync(out);
  writeFileSync(`${out}/tasks.svg`, '<svg></svg>');
  writeFileSync(`${out}/notes.md`, 'ours');
  const { exitCode, errors } = await run(directory.path, ['save', ...quickly, '--out', out], { isTTY: true });
  assert.is(exitCode, 0);
  assert.match(errors, /\[1\/1\] save on plain, run 1 of 1/);
  assert.ok(errors.endsWith('\r\u001B[2K'));
  assert.equal(readdirSync(out).toSorted(), [
    '.forewrit',
    'latest.json',
    'latest.md',
    'notes.md',
    'save.svg',
  ]);
  const store = await openStore(out);
  const revisions = await Promise.all(
    ['latest.json', 'latest.md', 'save.svg'].map(async (name) => (await store.stat(name)).revision),
  );
  await store.close();
  assert.is(new Set(revisions).size, 1);
});

const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['an unknown scenario', ['sav'], /no scenario 'sav'/],
  ['an unknown place', ['save', '--on', 'ntfs'], /ntfs/],
  ['no run at all', ['save', '--runs', '0'], /whole number/],
  ['an unknown option', ['--fast'], /--fast/],
  ['limits held against a quick run', ['save', '--quick', '--check'], /--check/],
  ['results that are none', ['save', '--compare', '/dev/null'], /--compare/],
];
for (const [situation, args, complaint] of wrong) {
  test(`${situation} is wrong usage, and nothing is measured`, async () => {
    using directory = temporaryDirectory('bench');
    const { exitCode, output, errors } = await run(directory.path, args);
    assert.is(exitCode, 2);
    assert.is(output, '');
    assert.match(errors, complaint);
    assert.is(existsSync(`${directory.path}/.bench`), false);
  });
}

test('the help names every scenario', async () => {
  using directory = temporaryDirectory('bench');
  const { exitCode, output } = await run(directory.path, ['--help']);
  assert.is(exitCode, 0);
  for (const { scenario } of limits) assert.match(output, new RegExp(`^ +${scenario} `, 'm'));
});

test('interrupted, it ends with 130 and leaves nothing behind', async () => {
  using directory = temporaryDirectory('bench');
  const interruption = new AbortController();
  const running = run(directory.path, ['growth', ...quickly], { signal: interruption.signal });
  setImmediate(() => interruption.abort());
  assert.is((await running).exitCode, 130);
  assert.equal(
    readdirSync(`${directory.path}/.bench`).filter((name) => name.startsWith('run-')),
    [],
  );
  assert.is(existsSync(`${directory.path}/.bench/results`), false);
});

test.run();
