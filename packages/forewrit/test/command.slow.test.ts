import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { version } from '#src/version.js';
import { type JsonError, runCommand, runJson } from './command-run.js';

const test = suite('the command');

const verbs = [
  'status',
  'check',
  'accept',
  'completion',
  'recover',
  'dump',
  'repair',
  'history',
  'undo',
  'demo',
  'tasks',
];
const manifest = fileURLToPath(new URL('../package.json', import.meta.url));

test('says its version', async () => {
  assert.is(version, (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version);
  assert.equal(await runCommand(['--version']), { exitCode: 0, stdout: `${version}\n`, stderr: '' });
});

test('helps, as a whole and with each verb', async () => {
  const whole = await runCommand(['--help']);
  assert.is(whole.exitCode, 0);
  assert.is(whole.stderr, '');
  for (const verb of verbs) assert.match(whole.stdout, new RegExp(`^ {2}${verb}\\b`, 'm'));
  await Promise.all(
    verbs.map(async (verb) => {
      const { exitCode, stdout, stderr } = await runCommand([verb, '--help']);
      assert.is(exitCode, 0, verb);
      assert.is(stderr, '');
      for (const option of ['--root', '--json', '--debug']) assert.match(stdout, option, `${verb} ${option}`);
    }),
  );
});

test('called without a verb it prints its help, and fails', async () => {
  const { exitCode, stdout, stderr } = await runCommand([]);
  assert.is(exitCode, 2);
  assert.is(stdout, '');
  assert.match(stderr, /Usage: forewrit/);
});

const misuses: readonly (readonly string[])[] = [
  ['nonsense'],
  ['status', '--nonsense'],
  ['status', 'surplus'],
  ['status', '--root'],
  ['dump', '--limit'],
  ['dump', '--limit', '0'],
  ['dump', '--limit', '-1'],
  ['dump', '--limit', '1.5'],
  ['dump', '--limit', 'many'],
  ['recover', '--owner-dead'],
  ['recover', '--owner-dead', 'NO'],
  ['recover', '--reset-log', '--dry-run'],
  ['recover', '--discard', 'x', '--reset-log', '--yes'],
  ['check', 'surplus'],
  ['accept'],
  ['dump', '--follow', '--stats'],
  ['repair'],
  ['repair', '1-1'],
  ['repair', '--forward'],
  ['repair', 'nonsense', '--forward'],
  ['repair', '1-1', '--forward', '--back'],
  ['repair', '1-1', '--forward', '--sideways'],
  ['history', 'a', 'b'],
  ['history', '--limit', '0'],
  ['undo'],
  ['undo', 'nonsense', '--yes'],
  ['demo', '--kills', '0'],
  ['demo', '--kills', '99999999'],
  ['demo', '--seconds', 'x'],
  ['tasks', 'nonsense'],
  ['tasks', 'run'],
  ['tasks', 'run', '--env', 'NAME', 'true'],
  ['tasks', 'run', '--after', '../x', 'true'],
  ['tasks', 'list', '--state', 'asleep'],
  ['tasks', 'show', 'a b'],
  ['tasks', 'output', 'x', '--tail', '1', '--offset', '2'],
  ['tasks', 'stop', 'x', '--signal', 'NO'],
  ['tasks', 'group', 'g', '--pause', '--resume'],
  ['tasks', 'group', 'g', '--parallel', '0'],
];
for (const args of misuses) {
  test(`\`forewrit ${args.join(' ')}\` is wrong usage`, async () => {
    const [{ exitCode, stdout, stderr }, asJson] = await Promise.all([
      runCommand(args),
      runJson<JsonError>(args),
    ]);
    assert.is(exitCode, 2);
    assert.is(stdout, '');
    assert.match(stderr, /^error: /);
    assert.is(asJson.exitCode, 2);
    assert.is(asJson.json.error.code, 'ERR_INVALID_ARGUMENT');
    assert.ok(asJson.json.error.message.length > 0);
    assert.not.match(asJson.json.error.message, /^error/);
  });
}

const needingStore: readonly (readonly string[])[] = [
  ['status'],
  ['dump'],
  ['dump', '--stats'],
  ['recover'],
  ['recover', '--dry-run'],
  ['recover', '--owner-dead', '1'],
  ['recover', '--reset-log', '--yes'],
  ['recover', '--discard', 'x', '--yes'],
  ['check'],
  ['check', '--read-data'],
  ['accept', '--yes', 'a'],
  ['dump', '--follow'],
  ['repair', '1-1', '--forward'],
  ['tasks', 'list'],
  ['tasks', 'wait', 'x'],
];
for (const args of needingStore) {
  test(`\`forewrit ${args.join(' ')}\` says that there is no store, and makes none`, async () => {
    using directory = temporaryDirectory();
    writeFileSync(`${directory.path}/file`, '');
    for (const root of ['.', 'missing', 'file']) {
      const [{ exitCode, stdout, stderr }, asJson] = await Promise.all([
        runCommand([...args, '--root', root], { cwd: directory.path }),
        runJson<JsonError>([...args, '--root', root], { cwd: directory.path }),
      ]);
      assert.is(exitCode, 10, `${root}: ${stderr}`);
      assert.is(stdout, '');
      assert.match(stderr, /^error: .*\(ERR_NOT_(FOUND|DIRECTORY)\)$/m);
      assert.not.match(stderr, /^ +at /m);
      assert.is(asJson.exitCode, 10);
      assert.match(asJson.json.error.code, /^ERR_NOT_(FOUND|DIRECTORY)$/);
      assert.is(asJson.json.error.stack, undefined);
    }
    const { stdout } = await runCommand(['status', '--json'], { cwd: directory.path });
    assert.is((JSON.parse(stdout) as JsonError).error.code, 'ERR_NOT_FOUND');
  });
}

test('shows the stack of an error only with --debug', async () => {
  using directory = temporaryDirectory();
  const options = { cwd: directory.path };
  const [text, json] = await Promise.all([
    runCommand(['status', '--debug'], options),
    runJson<JsonError>(['--debug', 'status'], options),
  ]);
  assert.match(text.stderr, /^ +at /m);
  assert.match(json.json.error.stack ?? '', /\n +at /);
});

test('the options for all verbs may stand before or after the verb', async () => {
  using directory = temporaryDirectory();
  for (const args of [
    ['--root', directory.path, '--json', 'status'],
    ['status', '--json', '--root', directory.path],
    ['--json', 'status', `--root=${directory.path}`],
  ]) {
    const { exitCode, stdout } = await runCommand(args);
    assert.is(exitCode, 10);
    assert.is((JSON.parse(stdout) as JsonError).error.code, 'ERR_NOT_FOUND');
  }
});

test.run();
