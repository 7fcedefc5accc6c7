// Packs every published package as it would be published, and has publint and attw look at the tarballs.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { build } from './build.mjs';
import { findingsIn, pack } from './pack.mjs';
import { workspace } from './run.mjs';

const known = ['publint', 'attw'];
const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length);
if (only !== undefined && !known.includes(only)) {
  console.error(`--only=${only} is unknown: ${known.join(' or ')}.`);
  process.exit(2);
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

function check(packed) {
  const findings = findingsIn(packed);
  for (const finding of findings) console.error(`FAIL ${finding}`);
  const results = [findings.length === 0];
  for (const name of known) {
    if (only === undefined || only === name) results.push(passes(name, packed.tarball));
  }
  return !results.includes(false);
}

build();
const directory = mkdtempSync(join(tmpdir(), 'forewrit-pack-'));
try {
  const sound = pack(directory).map(check);
  if (sound.includes(false)) process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
