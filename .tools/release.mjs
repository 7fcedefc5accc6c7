// One version for all packages.
//
//   npm run release:dry                    the release that would be made: versions, notes, tarballs, publint and attw.
//   npm run release:dry -- major           ... Of a copy; nothing here is changed, and nothing is published
//   npm run release:plan -- patch          only versions and notes, at once
//   npm run release -- minor               writes them: manifests, `version.ts`, CHANGELOG.md. Publishing is up to a person
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { published } from './pack.mjs';
import { planRelease } from './release-plan.mjs';
import { run, workspace } from './run.mjs';

const args = process.argv.slice(2);
const [bump, ...rest] = args.filter((arg) => !arg.startsWith('--'));
const modes = args.filter((arg) => arg.startsWith('--'));
if (rest.length > 0 || modes.length > 1 || modes.some((mode) => !['--dry', '--plan'].includes(mode))) {
  console.error('Usage: release.mjs [--dry | --plan] [patch | minor | major | VERSION]');
  process.exit(2);
}

function write(directory, files) {
  for (const [path, text] of files) writeFileSync(join(directory, path), text);
}

function printPlan({ current, version, notes }) {
  console.log(`${current} -> ${version}`);
  for (const { name } of published()) console.log(`  ${name}@${version}`);
  console.log(`\n${notes}\n`);
}

/** What git knows of, or would, as it is now. */
function copyTo(directory) {
  const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: workspace,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  for (const path of list.split('\0').filter((each) => each !== '')) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    cpSync(join(workspace, path), join(directory, path));
  }
}

function rehearse(plan) {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'forewrit-release-')));
  try {
    copyTo(directory);
    write(directory, plan.files);
    // The copy installs, builds, packs and checks by itself, as the commit of the release would.
    const own = (script, ...scriptArgs) =>
      run(process.execPath, [join(directory, '.tools', script), ...scriptArgs], { cwd: directory });
    console.log('== publint and attw');
    const code = own('lint-packages.mjs');
    if (code !== 0) return code;
    console.log('== the packages where they are installed');
    return own('test-packages.mjs', '--short');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function printPublishing({ version }) {
  const { packageManager } = JSON.parse(readFileSync(join(workspace, 'package.json'), 'utf8'));
  console.log(`\nTo publish it:
  npm run release -- ${version}
  git commit -am 'Release ${version}' && git tag v${version}
  npx ${packageManager} -r publish     # in this order; what is private is left out:
${published()
  .map(({ name }) => `    ${name}@${version}`)
  .join('\n')}`);
}

try {
  const plan = planRelease(workspace, { bump, day: new Date().toISOString().slice(0, 10) });
  printPlan(plan);
  if (modes.includes('--dry')) {
    process.exitCode = rehearse(plan);
    if (process.exitCode === 0) printPublishing(plan);
    console.log(process.exitCode === 0 ? '\nNothing was published.' : '\nIt would not be released.');
  } else if (modes.length === 0) {
    write(workspace, plan.files);
    console.log(`Written: ${[...plan.files.keys()].join(', ')}`);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
