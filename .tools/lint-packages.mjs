// Packs every published package as it would be published, and has publint and attw look at the tarballs.
// (pnpm packs: it turns `workspace:^` into a version, which `npm pack` would leave in.)
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pnpm } from './bootstrap.mjs';
import { build } from './build.mjs';
import { workspace } from './run.mjs';

const known = ['publint', 'attw'];
const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length);
if (only !== undefined && !known.includes(only)) {
  console.error(`--only=${only} is unknown: ${known.join(' or ')}.`);
  process.exit(2);
}

function published() {
  return readdirSync(join(workspace, 'packages'))
    .map((name) => JSON.parse(readFileSync(join(workspace, 'packages', name, 'package.json'), 'utf8')))
    .filter((manifest) => manifest.private !== true)
    .map((manifest) => manifest.name);
}

const checks = {
  publint: { script: 'publint/src/cli.js', args: ['--strict'], before: ['run'] },
  attw: {
    script: '@arethetypeswrong/cli/dist/index.js',
    args: ['--profile', 'esm-only', '--no-definitely-typed', '--format', 'ascii', '--no-emoji'],
    before: [],
  },
};

// Quiet when all is well.
function passes(name, tarball) {
  const { script, args, before } = checks[name];
  const path = join(workspace, 'node_modules', script);
  const child = spawnSync(process.execPath, [path, ...before, tarball, ...args], { encoding: 'utf8' });
  console.log(`${child.status === 0 ? 'ok  ' : 'FAIL'} ${name} ${basename(tarball)}`);
  if (child.status !== 0) console.log(child.stdout + child.stderr);
  return child.status === 0;
}

// A tarball that still says `workspace:` cannot be installed by anybody.
function isInstallable(tarball) {
  const manifest = spawnSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' });
  const sound = manifest.status === 0 && !manifest.stdout.includes('"workspace:');
  if (!sound) console.error(`FAIL ${basename(tarball)}: its package.json is missing or names a workspace`);
  return sound;
}

function check(tarball) {
  const results = [isInstallable(tarball)];
  for (const name of Object.keys(checks)) {
    if (only === undefined || only === name) results.push(passes(name, tarball));
  }
  return !results.includes(false);
}

build();
const directory = mkdtempSync(join(tmpdir(), 'forewrit-pack-'));
try {
  const names = published();
  const filters = names.flatMap((name) => ['--filter', name]);
  const code = pnpm(['--silent', ...filters, 'pack', '--pack-destination', directory]);
  const tarballs = readdirSync(directory).map((name) => join(directory, name));
  const sound = tarballs.map(check);
  if (code !== 0 || tarballs.length !== names.length || sound.includes(false)) process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
