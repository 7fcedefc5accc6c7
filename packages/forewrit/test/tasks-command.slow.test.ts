import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { type CommandOptions, type JsonError, runCommand, runJson } from './command-run.js';

const test = suite('the tasks of the command', { timeoutMs: 90_000 });

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

interface Task {
  readonly id: string;
  readonly state: string;
  readonly cause?: string;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly attempt: number;
  readonly outputBytes: number;
  readonly label?: string;
  readonly envNames: readonly string[];
}

/** A directory in which the command runs. */
class Place implements Disposable {
  readonly #directory = temporaryDirectory('tasks');

  get root(): string {
    return this.#directory.path;
  }

  async json<Result = Task>(args: readonly string[], options: CommandOptions = {}) {
    return await runJson<Result>(['tasks', ...args], { cwd: this.root, ...options });
  }

  async text(args: readonly string[], options: CommandOptions = {}) {
    return await runCommand(['tasks', ...args], { cwd: this.root, ...options });
  }

  [Symbol.dispose](): void {
    this.#directory.remove();
  }
}

test('a task outlives the command that started it; its end and its output are known to the next ones', async () => {
  using place = new Place();
  const { exitCode, json } = await place.json(['run', '--label', 'a label', 'echo hällo; sleep 1; exit 3']);
  assert.is(exitCode, 0);
  assert.is(json.state, 'running');
  const waited = await place.json(['wait', json.id]);
  assert.equal([waited.exitCode, waited.json.state, waited.json.exitCode], [1, 'failed', 3]);
  assert.equal(await place.text(['output', json.id]), { exitCode: 0, stdout: 'hällo\n', stderr: '' });
  const page = await place.json<{ data: string; complete: boolean; state: string }>(['output', json.id]);
  assert.equal([page.json.data, page.json.complete, page.json.state], ['hällo\n', true, 'failed']);

  const list = await place.text(['list']);
  assert.match(list.stdout, /^task +state +end +age +group +what\n/);
  assert.match(list.stdout, new RegExp(`^${json.id} +failed +3 .* a label$`, 'm'));
  const colourful = await place.text(['list'], { env: { FORCE_COLOR: '1' } });
  assert.match(colourful.stdout, '\u001B[31mfailed');
  const plain = await place.text(['list'], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } });
  assert.not.match(plain.stdout, '\u001B');
  const shown = await place.text(['show', json.id]);
  assert.match(shown.stdout, /^exit code +3$/m);
  const restarted = await place.json(['restart', json.id]);
  assert.is(restarted.json.attempt, 2);
  assert.is((await place.json(['wait', json.id])).json.attempt, 2);
});

test('with --follow its output comes as it is printed, and the exit code tells whether it completed', async () => {
  using place = new Place();
  const followed = await place.text([
    'run',
    '-f',
    '--',
    'sh',
    '-c',
    'printf "%s|" "$@"; exit 1',
    'x',
    'a b',
    'c',
  ]);
  assert.equal([followed.exitCode, followed.stdout], [1, 'a b|c|']);
  assert.match(followed.stderr, /^[0-9a-z]{17}\n$/);
  assert.is((await place.text(['run', '--wait', 'true'])).exitCode, 0);

  for (const args of [
    ['run', '-f', 'true'],
    ['output', '-f', 'x'],
  ]) {
    const refused = await place.json<JsonError>(args);
    assert.equal([refused.exitCode, refused.json.error.code], [2, 'ERR_INVALID_ARGUMENT']);
  }

  // Live: what it prints first arrives while it runs.
  const { json } = await place.json(['run', 'echo one; while [ ! -e go ]; do sleep 0.05; done; echo two']);
  const child = spawn(process.execPath, [cli, 'tasks', 'output', '-f', json.id], { cwd: place.root });
  let seen = '';
  for await (const text of child.stdout.setEncoding('utf8') as AsyncIterable<string>) {
    seen += text;
    if (seen === 'one\n') writeFileSync(`${place.root}/go`, '');
  }
  assert.is(seen, 'one\ntwo\n');
});

test('Ctrl-C leaves off following, and leaves the task running', async () => {
  using place = new Place();
  const followed = await place.text(['run', '-f', 'touch begun; exec sleep 600'], {
    signal: { name: 'SIGINT', when: () => isThere(`${place.root}/begun`) },
  });
  assert.is(followed.exitCode, 130);
  const id = followed.stderr.trim();
  assert.is((await place.json(['show', id])).json.state, 'running');
  const limited = await place.json(['wait', id, '--timeout', '0.1']);
  assert.equal([limited.exitCode, limited.json.state], [1, 'running']);
  const stopped = await place.json(['stop', id, '--grace', '1']);
  assert.equal([stopped.exitCode, stopped.json.state, stopped.json.cause], [0, 'terminated', 'user']);
});

test('a secret is taken from the environment, and is neither on the disk nor in the output', async () => {
  using place = new Place();
  const secret = 'correct horse battery';
  const options = { env: { TOKEN: secret } };
  const { exitCode, json } = await place.json(
    ['run', '--wait', '--secret', 'TOKEN', 'echo "[$TOKEN]"'],
    options,
  );
  assert.equal([exitCode, json.state], [0, 'completed']);
  assert.equal(json.envNames, ['TOKEN']);
  assert.match((await place.text(['output', json.id])).stdout, /^\[[^\]]{21}\]\n$/);
  for (const name of readdirSync(place.root, { recursive: true, encoding: 'utf8' })) {
    const path = `${place.root}/${name}`;
    if (statSync(path).isFile()) assert.not.ok(readFileSync(path, 'latin1').includes(secret), name);
  }
  const missing = await place.json<JsonError>(['run', '--secret', 'NO_SUCH_VARIABLE', 'true']);
  assert.equal([missing.exitCode, missing.json.error.code], [1, 'ERR_INVALID_ARGUMENT']);
});

test('groups hold tasks back, dependencies wait, keys start once, and old ones are removed', async () => {
  using place = new Place();
  const first = await place.json(['run', '--key', 'k', '--wait', 'true']);
  const again = await place.json(['run', '--key', 'k', '--wait', 'false']);
  assert.is(again.json.id, first.json.id);
  await place.json(['group', 'g', '--pause', '--parallel', '3']);
  const held = await place.json(['run', '--group', 'g', '--tag', 't', 'true']);
  assert.is(held.json.state, 'pending');
  const after = await place.json(['run', '--after', held.json.id, '--group', 'other', 'true']);
  assert.is(after.json.state, 'blocked');
  const groups = await place.json<{ groups: readonly object[] }>(['group']);
  assert.equal(groups.json.groups, [{ name: 'g', parallel: 3, paused: true, running: 0, pending: 1 }]);
  assert.match((await place.text(['group', 'g'])).stdout, /^g +3 +paused +0 +1$/m);
  const found = await place.json<{ tasks: readonly Task[] }>(['list', '--tag', 't', '--state', 'pending']);
  assert.equal(
    found.json.tasks.map(({ id }) => id),
    [held.json.id],
  );
  await place.json(['group', 'g', '--resume']);
  assert.is((await place.json(['wait', after.json.id])).json.state, 'completed');
  const pruned = await place.json<{ removed: readonly string[] }>(['prune', '--max-count', '1']);
  assert.equal(pruned.json.removed, [held.json.id, first.json.id]);
  const gone = await place.json<JsonError>(['show', first.json.id]);
  assert.equal([gone.exitCode, gone.json.error.code], [1, 'ERR_NOT_FOUND']);
});

test('a file of background tasks is taken over, as often as one likes', async () => {
  using place = new Place();
  const tasks = {
    'old-1': {
      command: 'make',
      status: 'completed',
      exit_code: 0,
      created_at: 1_700_000_000,
      output_lines: ['x'],
    },
    'old-2': { command: 'serve', status: 'running', created_at: 1_700_000_001 },
  };
  writeFileSync(`${place.root}/.mcp_background_tasks.json`, JSON.stringify(tasks));
  const { stdout, exitCode } = await place.text(['import', '.mcp_background_tasks.json']);
  assert.is(exitCode, 0);
  assert.match(stdout, /^old-2 is [0-9a-z]{17} \(lost\)$/m);
  const again = await place.json<{ skipped: readonly string[] }>(['import', '.mcp_background_tasks.json']);
  assert.equal(again.json.skipped, ['old-1', 'old-2']);
  assert.is((await place.text(['output', 'old-1'])).stdout, 'x\n');
  writeFileSync(`${place.root}/rubbish`, '{"a": 1}');
  const refused = await place.json<JsonError>(['import', 'rubbish']);
  assert.equal([refused.exitCode, refused.json.error.code], [1, 'ERR_INVALID_ARGUMENT']);
  const missing = await place.json<JsonError>(['import', 'missing']);
  assert.equal([missing.exitCode, missing.json.error.code], [1, 'ERR_NOT_FOUND']);
});

function isThere(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

test.run();
