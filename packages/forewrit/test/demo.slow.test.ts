import { existsSync, readdirSync } from 'node:fs';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { contextAt, contextFiles } from '#src/demo/context-set.js';
import { judge } from '#src/demo/observation.js';
import { runCommand, runJson } from './command-run.js';

const test = suite('demo', { timeoutMs: 120_000 });

interface Result {
  readonly acknowledgedSaves: number;
  readonly kills: number;
  readonly mixedSets: number;
  readonly lostSaves: number;
}

/** Where the demo works, so that what it leaves behind can be seen. */
function environment(directory: string): { env: Record<string, string> } {
  return { env: { TMPDIR: directory } };
}

test('keeps every set whole, and shows that plain writes do not', async () => {
  using directory = temporaryDirectory();
  const { exitCode, json } = await runJson<{
    forewrit: Result & { recovery: { medianMs: number; maxMs: number } };
    writeFile: Result;
  }>(['demo', '--kills', '12', '--seconds', '90'], environment(directory.path));
  assert.is(exitCode, 0);
  assert.is(json.forewrit.kills, 12);
  assert.is(json.forewrit.mixedSets, 0);
  assert.is(json.forewrit.lostSaves, 0);
  assert.ok(json.forewrit.acknowledgedSaves >= 12);
  assert.ok(json.forewrit.recovery.maxMs >= json.forewrit.recovery.medianMs);
  assert.is(json.writeFile.kills, 12);
  // Of 36 kills about 25 mix the set: that 12 in a row do not is one chance in a million.
  assert.ok(json.writeFile.mixedSets > 0, JSON.stringify(json.writeFile));
  assert.equal(readdirSync(directory.path), [], 'the temporary directory is removed');
});

test('is plain where nobody looks', async () => {
  const { exitCode, stdout, stderr } = await runCommand(['demo', '--kills', '1']);
  assert.is(exitCode, 0);
  assert.is(stderr, '');
  assert.ok(!stdout.includes('\u001B') && !stdout.includes('\r'));
  assert.match(stdout, /^mixed sets +0/m);
});

test('ends by Ctrl-C with 130 and leaves nothing behind', async () => {
  using directory = temporaryDirectory();
  const { exitCode, stdout } = await runCommand(['demo'], {
    ...environment(directory.path),
    signal: { name: 'SIGINT', when: () => hasSaved(directory.path) },
  });
  assert.is(exitCode, 130);
  assert.is(stdout, '');
  assert.equal(readdirSync(directory.path), []);
});

test('ends before its time is over', async () => {
  const startedMs = performance.now();
  const { exitCode, json } = await runJson<{ forewrit: Result }>([
    'demo',
    '--kills',
    '1000',
    '--seconds',
    '3',
  ]);
  assert.is(exitCode, 0);
  assert.ok(performance.now() - startedMs < 30_000);
  assert.ok(json.forewrit.kills < 1000);
});

test('a set of several versions, or with a file that is not whole, is mixed', () => {
  const whole = { mixed: false, torn: 0, lost: false };
  assert.equal(judge([7, 7, 7, 7], 7), { ...whole, newest: 7 });
  assert.equal(judge([8, 8, 8, 8], 7), { ...whole, newest: 8 });
  assert.equal(judge(['missing', 'missing', 'missing', 'missing'], 0), { ...whole, newest: 0 });
  assert.equal(judge([8, 7, 7, 7], 7), { mixed: true, torn: 0, lost: false, newest: 8 });
  assert.equal(judge([8, 'torn', 7, 7], 7), { mixed: true, torn: 1, lost: true, newest: 8 });
  assert.equal(judge([1, 'missing', 'missing', 'missing'], 0), {
    mixed: true,
    torn: 3,
    lost: false,
    newest: 1,
  });
  assert.equal(judge([6, 6, 6, 6], 7), { mixed: false, torn: 0, lost: true, newest: 6 });
  assert.equal(judge(['missing', 'missing', 'missing', 'missing'], 7), {
    mixed: false,
    torn: 0,
    lost: true,
    newest: 0,
  });
});

test('what it saves is of realistic size, grows, and names its version in each file', () => {
  const [first, later] = [contextAt(1), contextAt(200)];
  for (const path of contextFiles) {
    assert.is((JSON.parse(later[path]) as { version: number }).version, 200);
    assert.is(later[path], contextAt(200)[path]);
  }
  assert.ok(size(first) > 20_000);
  assert.ok(size(later) > 2 * size(first) && size(later) < 64_000, String(size(later)));
});

/** Whether the saving process has made its files. */
function hasSaved(directory: string): boolean {
  return readdirSync(directory).some((name) =>
    existsSync(`${directory}/${name}/forewrit/global_context.json`),
  );
}

function size(files: Record<string, string>): number {
  return Buffer.byteLength(Object.values(files).join(''));
}

test.run();
