/** The scripts for shells, run by those shells that are there. */

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { runCommand, runJson } from './command-run.js';

const test = suite('completion');

async function scriptFor(shell: string): Promise<string> {
  const { exitCode, stdout, stderr } = await runCommand(['completion', shell]);
  assert.equal([exitCode, stderr], [0, '']);
  return stdout;
}

const whyNot = (shell: string): string | undefined =>
  spawnSync(shell, ['-c', 'true']).status === 0 ? undefined : `there is no ${shell}`;

/** What bash offers after these words, of which the last is being typed. */
function offeredByBash(script: string, words: readonly string[], cwd = '/'): string[] {
  const asking = `${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_forewrit
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync('bash', ['-c', asking, 'bash', ...words], {
    encoding: 'utf8',
    cwd,
  });
  assert.equal([status, stderr], [0, '']);
  return stdout.split('\n').filter((line) => line !== '');
}

test.skipIf(whyNot('bash'), 'bash offers verbs, their verbs, options and directories', async () => {
  const script = await scriptFor('bash');
  const offered = (...words: string[]): string[] => offeredByBash(script, ['forewrit', ...words]);
  assert.equal(offered('re'), ['recover', 'repair']);
  assert.equal(offered('check', '--re'), ['--read-data']);
  assert.equal(offered('recover', '--d'), ['--dry-run', '--discard', '--debug']);
  assert.equal(offered('--json', 'tasks', 're'), ['restart']);
  assert.equal(offered('tasks', 'output', '--t'), ['--tail']);
  assert.equal(offered('completion', '').slice(0, 3), ['bash', 'zsh', 'fish']);
  using directory = temporaryDirectory();
  assert.equal(readdirSync(directory.path), []);
  assert.equal(offeredByBash(script, ['forewrit', '--root', directory.path.slice(0, -1)]), [directory.path]);
});

test('each script has every verb and option that the help has', async () => {
  const { stdout } = await runCommand(['tasks', 'run', '--help']);
  const options = [...stdout.matchAll(/^ +(?:-\w, )?--([\w-]+)/gm)]
    .map((match) => match[1]!)
    .filter((name) => name !== 'help');
  assert.ok(options.length > 10);
  for (const shell of ['bash', 'zsh', 'fish']) {
    const script = await scriptFor(shell);
    for (const option of options)
      assert.match(script, new RegExp(`(?:--|-l )${option}\\b`), `${shell} ${option}`);
    for (const verb of ['status', 'check', 'recover', 'prune', 'import']) assert.match(script, verb);
  }
});

test.skipIf(whyNot('zsh'), 'zsh understands its script', async () => {
  const { status, stderr } = spawnSync('zsh', ['-n'], { input: await scriptFor('zsh'), encoding: 'utf8' });
  assert.equal([status, stderr], [0, '']);
});

test.skipIf(whyNot('fish'), 'fish offers verbs, their verbs and options', async () => {
  const script = `${await scriptFor('fish')}\ncomplete -C 'forewrit re'; complete -C 'forewrit tasks run --w'`;
  const { stdout } = spawnSync('fish', ['--no-config', '-c', script], { encoding: 'utf8', cwd: '/' });
  const offered = stdout.split('\n').map((line) => line.split('\t')[0]);
  for (const name of ['recover', 'repair', '--wait']) assert.ok(offered.includes(name), stdout);
});

test('a shell that is not known is wrong usage', async () => {
  assert.is((await runCommand(['completion', 'tcsh'])).exitCode, 2);
  assert.is((await runCommand(['completion'])).exitCode, 2);
});

test('every verb has examples that it understands, and says what its exit codes mean', async () => {
  const { json } = await runJson<{ script: string }>(['completion', 'bash']);
  const verbs = [...json.script.matchAll(/^ {4}'([\w ]*)'\) offered=/gm)].map((match) => match[1]!);
  assert.ok(verbs.length > 15, json.script);
  for (const verb of verbs) {
    if (verb === 'tasks') continue;
    const { stdout } = await runCommand([...verb.split(' ').filter(Boolean), '--help']);
    for (const code of [0, 1, 2, 10, 11, 130])
      assert.match(stdout, new RegExp(`^ {2}${code} +\\w`, 'm'), verb);
    const examples = stdout
      .slice(stdout.indexOf('Examples:'))
      .split('\n')
      .filter((line) => / {2}\S*.*forewrit/.test(line));
    assert.ok(examples.length > 0, verb);
    for (const example of examples)
      assert.match(example, new RegExp(`forewrit .*${verb.split(' ').at(-1)}`), example);
  }
});

test.run();
