// Installs the dependencies when they are missing or older than the lockfile. Needs Node and npm, nothing else:
// pnpm comes through npx, in the version that package.json pins.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { run, workspace } from './run.mjs';

const stampFile = join(workspace, 'node_modules', '.installed-for');

// What an installation depends on: a change in any of these makes the stamp stale.
function stampWanted() {
  const hash = createHash('sha256');
  for (const name of ['pnpm-lock.yaml', 'pnpm-workspace.yaml'])
    hash.update(readFileSync(join(workspace, name)));
  return `${hash.digest('hex')} ${process.platform} ${process.arch}\n`;
}

/** Runs the pnpm that package.json pins; returns its exit code. */
export function pnpm(args) {
  const { packageManager } = JSON.parse(readFileSync(join(workspace, 'package.json'), 'utf8'));
  // CI=true: it must never stop to ask. The package is what an `npx -p` around this command would pass down.
  const env = { CI: 'true', npm_config_package: undefined, npm_config_call: undefined };
  const npmCli = process.env.npm_execpath;
  return npmCli?.endsWith('npm-cli.js')
    ? run(process.execPath, [npmCli, 'exec', '--yes', '--', packageManager, ...args], { env })
    : run('npx', ['--yes', packageManager, ...args], { env, shell: process.platform === 'win32' });
}

export function bootstrap() {
  const wanted = stampWanted();
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === wanted) return;

  const code = pnpm(['install', '--frozen-lockfile']);
  if (code !== 0) {
    console.error('The dependencies could not be installed; see above.');
    process.exit(code);
  }
  writeFileSync(stampFile, wanted);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) bootstrap();
