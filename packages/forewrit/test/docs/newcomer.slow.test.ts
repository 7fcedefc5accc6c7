import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { type Block, blocksOf, readmeOutputs, readPage, workspace } from './page.js';
import { replayBlock } from './session.js';

const test = suite("a newcomer's way through the README", { timeoutMs: 300_000 });

const stepLimitMs = 240_000;

/** npm as the user has it set up, with another home: that is where the README puts what it packs. */
function environmentAt(home: string): NodeJS.ProcessEnv {
  const cache = npm(['config', 'get', 'cache']).stdout.trim();
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_(?!config_registry$)/.test(name));
  return {
    ...Object.fromEntries(inherited),
    HOME: home,
    npm_config_cache: cache,
    npm_config_userconfig: process.env['npm_config_userconfig'] ?? `${homedir()}/.npmrc`,
    npm_config_prefer_offline: 'true',
    // What npm has to say of its own settings is no output of ours.
    npm_config_loglevel: 'error',
    CI: 'true',
  };
}

function npm(args: readonly string[]): { readonly status: number | null; readonly stdout: string } {
  return spawnSync('npm', args, { encoding: 'utf8', timeout: 60_000, shell: process.platform === 'win32' });
}

const reason = npm(['view', 'lmdb@3.5.6', 'version']).status === 0 ? undefined : 'npm reaches no registry';

/** What the README says from “Use it” until it comes to tasks. */
function path(): Block[] {
  const text = readPage('README.md');
  const [start, end] = [text.indexOf('\n## Use it'), text.indexOf('\n## Commands that run on')];
  assert.ok(start > 0 && end > start);
  return blocksOf(text.slice(start, end)).filter(({ language }) => language !== '');
}

test.skipIf(reason, 'leads from an empty directory to a crash that is recovered', async () => {
  using home = temporaryDirectory('newcomer');
  const env = environmentAt(home.path);
  const cwd = `${home.path}/project`;
  mkdirSync(cwd);
  const shell = (command: string, directory: string) => {
    const done = spawnSync('sh', ['-e', '-c', command], {
      cwd: directory,
      env,
      encoding: 'utf8',
      timeout: stepLimitMs,
    });
    assert.is(done.status, 0, `${command}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };

  const programs: string[] = [];
  const installations: string[] = [];
  const done: string[] = [];
  for (const block of path()) {
    const { language, text, file, session } = block;
    if (language === 'sh') {
      // The first one is for the clone, and says so; the others are for one's own project.
      installations.push(shell(text, text.includes('npm run build') ? workspace : cwd));
    } else if (file !== undefined) {
      writeFileSync(`${cwd}/${file}`, text);
    } else if (language === 'js') {
      writeFileSync(`${cwd}/program.mjs`, text);
      programs.push(shell('node program.mjs', cwd));
    } else if (session !== undefined) {
      assert.is(await replayBlock(block, { cwd, bin: `${cwd}/node_modules/.bin`, env }), text);
    }
    done.push(session === undefined ? language : 'session');
  }

  assert.equal(done, ['sh', 'sh', 'js', 'js', 'session', 'js', 'js', 'js']);
  const [packed = '', installed] = installations;
  assert.equal(
    [...new Set(packed.match(/[\w-]+(?=-\d+\.\d+\.\d+\S*\.tgz$)/gm))].toSorted(),
    ['', '-core', '-mcp', '-recovery', '-staging', '-tasks'].map((name) => `forewrit${name}`),
  );
  assert.is(installed?.trim().replaceAll(/\d+/g, 'N'), 'added N packages in Ns');
  for (const [index, expected] of readmeOutputs.entries()) assert.match(programs[index]!, expected);
  // What npm has installed came from the tarballs, and nothing of this workspace.
  assert.ok(readdirSync(`${cwd}/node_modules/@forewrit`).includes('core'));
  assert.not.match(shell('readlink -f node_modules/forewrit node_modules/@forewrit/*', cwd), workspace);
});

test.run();
