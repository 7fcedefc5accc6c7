/**
 * The packages that Forewrit is compared with. They live outside the workspace, in `bench/peers` with a lockfile of their
 * own, and are installed when the benchmarks first run. Each is optional: one that cannot be built here is missing, and
 * shown as such.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Unavailable } from './contenders/contender.js';

const folder = fileURLToPath(new URL('../peers', import.meta.url));
const reasonCharsMax = 200;
const stampFile = path.join(folder, 'node_modules', '.installed-for');
/**
 * Not `npm ci`: it refuses a lockfile that lacks an optional package of another platform, as one has that was written where
 * the registry does not offer it. Without saving, the lockfile is kept to all the same, and stays as it is.
 */
const install = ['install', '--no-save'];
/** better-sqlite3 compiles for a minute or two where there is no binary of it. */
const installTimeoutMs = 15 * 60_000;

export const peersOff = 'FOREWRIT_BENCH_NO_PEERS';

/** Why nothing could be installed; `undefined` if npm was content (single packages may be missing all the same). */
export function installPeers(say: (text: string) => void): string | undefined {
  const wanted = stampWanted();
  if (fs.existsSync(stampFile) && fs.readFileSync(stampFile, 'utf8') === wanted) return undefined;
  say(
    'Installing what Forewrit is compared with, in bench/peers; where a package must be compiled, that takes minutes.',
  );
  // npm would leave a package as it is that was built for another Node.
  fs.rmSync(path.join(folder, 'node_modules'), { recursive: true, force: true });
  const npmCli = process.env['npm_execpath'];
  const [command, ...args] = npmCli?.endsWith('npm-cli.js')
    ? [process.execPath, npmCli, ...install]
    : [process.platform === 'win32' ? 'npm.cmd' : 'npm', ...install];
  const { status, error, stderr } = spawnSync(command, args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: installTimeoutMs,
    env: environmentOfNpm(),
    stdio: ['ignore', 'ignore', 'pipe'],
    shell: process.platform === 'win32',
  });
  if (status !== 0) return `npm failed: ${error?.message ?? reasonIn(stderr)}`;
  fs.writeFileSync(stampFile, wanted);
  return undefined;
}

function environmentOfNpm(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    // What is compiled is for this Node, and not for whichever comes first.
    PATH: [path.dirname(process.execPath), process.env['PATH']].join(path.delimiter),
    // What an `npm run` around this passes down is about the workspace.
    npm_config_workspace: undefined,
    npm_config_workspaces: undefined,
  };
}

function stampWanted(): string {
  const lockfile = fs.readFileSync(path.join(folder, 'package-lock.json'));
  const hash = createHash('sha256').update(lockfile).digest('hex');
  return `${hash} ${process.platform} ${process.arch} ${process.versions.modules}\n`;
}

/** Its last lines only say where the log is. */
function reasonIn(text: string): string {
  return /^npm error (?!code )(.+)$/m.exec(text)?.[1] ?? 'it gave no reason';
}

/**
 * A peer's module; `Module` is the part of it that is used. `probe` uses it once, for a package that looks for its binary only
 * then.
 */
export async function loadPeer<Module>(
  name: string,
  probe: (module: Module) => void = () => undefined,
): Promise<Module> {
  if (process.env[peersOff] === '1') throw new Unavailable('peers were left out');
  if (!fs.existsSync(path.join(folder, 'node_modules', name))) {
    throw new Unavailable(
      `${name} could not be installed here; to try again, remove bench/peers/node_modules`,
    );
  }
  try {
    const { load } = (await import(pathToFileURL(path.join(folder, 'load.js')).href)) as {
      load: (name: string) => Promise<Module>;
    };
    const module = await load(name);
    probe(module);
    return module;
  } catch (error) {
    throw new Unavailable(`${name} does not load: ${shortReason(error)}`);
  }
}

/** Results are for others to read: where things are on this machine means nothing to them. */
function shortReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replaceAll(folder, 'bench/peers').replaceAll(/\s+/g, ' ').slice(0, reasonCharsMax);
}

/** What is installed. */
export function peerVersions(): Record<string, string> {
  const { optionalDependencies } = manifestAt(folder) as { optionalDependencies: Record<string, string> };
  const versions: Record<string, string> = {};
  for (const name of Object.keys(optionalDependencies)) {
    const installed = path.join(folder, 'node_modules', name);
    if (fs.existsSync(installed)) versions[name] = manifestAt(installed)['version'] as string;
  }
  return versions;
}

function manifestAt(directory: string): Record<string, unknown> {
  return JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8')) as Record<string, unknown>;
}
