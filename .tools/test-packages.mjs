// Whether what would be published works where it is installed: `import`, `require()`, the command, and strict TypeScript.
//
//   npm run test:packages                  Node 20.19, 22, 24 and 26, installed by npm from the tarballs; and the sizes
//   npm run test:packages -- --node=22     one of them (several: --node=20.19 --node=26)
//   npm run test:packages -- --short       this Node, unpacked beside the dependencies of this workspace: no network
//
// Tests run the short one.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build } from './build.mjs';
import { findingsIn, kilobytes, pack } from './pack.mjs';
import { workspace } from './run.mjs';

const nodeVersions = ['20.19', '22', '24', '26'];
// For the compiler of a consumer: the one of this workspace, and the last one that is written in JavaScript.
const typeScripts = ['7.0.2', '5.9.3'];
const stepLimitMs = 5 * 60_000;

const args = process.argv.slice(2);
const short = args.includes('--short');
const asked = args.filter((arg) => arg.startsWith('--node=')).map((arg) => arg.slice('--node='.length));
const unknown = args.filter((arg) => arg !== '--short' && !/^--node=[\d.]+$/.test(arg));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(' ')}. Known: --short, --node=VERSION.`);
  process.exit(2);
}

let failures = 0;

/** Runs a program quietly; `expected` is what its output must end with. Nothing may be said on the standard error. */
function step(name, command, commandArgs, { cwd, expected = '', env = {}, quiet = true }) {
  const child = spawnSync(command, commandArgs, {
    cwd,
    encoding: 'utf8',
    timeout: stepLimitMs,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, NO_COLOR: '1', ...env },
  });
  const sound =
    child.status === 0 && child.stdout.trimEnd().endsWith(expected) && (!quiet || child.stderr === '');
  console.log(`${sound ? 'ok  ' : 'FAIL'} ${name}`);
  if (!sound) {
    failures += 1;
    console.log(`${child.error ?? `exit code ${child.status}`}\n${child.stdout}${child.stderr}`);
  }
  return { sound, stdout: child.stdout.trim() };
}

function startProject(directory) {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n');
  cpSync(join(workspace, '.tools/consumer'), directory, { recursive: true });
}

function link(target, path) {
  mkdirSync(dirname(path), { recursive: true });
  if (!existsSync(path)) symlinkSync(realpathSync(target), path, 'dir');
}

/** The packages as npm would lay them out, from their tarballs; what they depend on is linked from the workspace. */
function unpackInto(project, packed) {
  for (const { name, tarball, manifest, folder } of packed) {
    const home = join(project, 'node_modules', name);
    mkdirSync(home, { recursive: true });
    const untar = spawnSync('tar', ['-xzf', tarball, '-C', home, '--strip-components=1']);
    if (untar.status !== 0) throw new Error(`${tarball} cannot be unpacked`);
    for (const dependency of Object.keys(manifest.dependencies ?? {})) {
      if (packed.some((other) => other.name === dependency)) continue;
      link(join(workspace, folder, 'node_modules', dependency), join(home, 'node_modules', dependency));
    }
  }
  link(join(workspace, 'node_modules/@types/node'), join(project, 'node_modules/@types/node'));
}

function useWith(node, title, project, cli) {
  step(`${title}: import`, node, ['use.mjs'], { cwd: project, expected: 'import: ok' });
  // Node 20 and 22 may announce that `require()` of a module is new; that is no fault of the package.
  step(`${title}: require()`, node, ['use.cjs'], { cwd: project, expected: 'require: ok', quiet: false });
  const { version } = JSON.parse(
    spawnSync(node, ['-p', 'JSON.stringify(require("forewrit/package.json"))'], {
      cwd: project,
      encoding: 'utf8',
    }).stdout,
  );
  step(`${title}: forewrit --version`, node, [cli, '--version'], { cwd: project, expected: version });
  step(`${title}: forewrit status`, node, [cli, 'status', '--root', 'esm'], {
    cwd: project,
    expected: 'clean',
  });
}

function compileWith(tsc, title, project) {
  for (const resolution of ['nodenext', 'bundler']) {
    step(`${title}: strict, ${resolution}`, process.execPath, [tsc, '-p', `tsconfig.${resolution}.json`], {
      cwd: project,
    });
  }
}

function runShort(directory, packed) {
  const project = join(directory, 'project');
  startProject(project);
  unpackInto(project, packed);
  useWith(process.execPath, `Node ${process.versions.node}`, project, 'node_modules/forewrit/dist/cli.js');
  compileWith(join(workspace, 'node_modules/typescript/bin/tsc'), 'TypeScript', project);
}

const npmCli =
  process.env.npm_execpath?.endsWith('npm-cli.js') === true
    ? process.env.npm_execpath
    : join(spawnSync('npm', ['root', '--global'], { encoding: 'utf8' }).stdout.trim(), 'npm/bin/npm-cli.js');

// What an `npm run` around this hands down would be taken for the user's own settings.
const npmEnvironment = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) => /^npm_config_(?:package|call|local_prefix|prefix)$/.test(name))
    .map((name) => [name, undefined]),
);

function npm(node, npmArgs, cwd, name) {
  return step(name, node, [npmCli, ...npmArgs, '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd,
    env: npmEnvironment,
    quiet: false,
  });
}

/** The path of the Node that npm has for this major version. */
function nodeOf(major, directory) {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const found = step(
    `Node ${major} from its package`,
    process.execPath,
    [npmCli, 'exec', '--yes', `--package=node@${major}`, '--', 'node', '-p', 'process.execPath'],
    { cwd: directory, env: npmEnvironment, quiet: false },
  );
  return found.sound ? found.stdout.split('\n').at(-1) : undefined;
}

/** Bytes and packages below `node_modules`. */
function sizeOf(path) {
  let bytes = 0;
  for (const entry of readdirSync(path, { recursive: true })) {
    const stat = lstatSync(join(path, entry));
    if (stat.isFile()) bytes += stat.size;
  }
  return bytes;
}

function installed(node, project) {
  const list = spawnSync(node, [npmCli, 'ls', '--all', '--parseable'], { cwd: project, encoding: 'utf8' });
  if (list.status !== 0) {
    failures += 1;
    console.log(`FAIL npm ls\n${list.stdout}${list.stderr}`);
  }
  return new Set(list.stdout.trim().split('\n').slice(1)).size;
}

function runLong(directory, packed, majors) {
  const cache = join(directory, 'cache');
  const closure = ['@forewrit/core', '@forewrit/recovery', '@forewrit/tasks', 'forewrit'];
  const figures = [];
  for (const major of majors) {
    const node = nodeOf(major, directory);
    if (node === undefined) continue;
    const small = join(directory, `small-${major}`);
    startProject(small);
    const tarballs = (names) =>
      packed.filter(({ name }) => names === undefined || names.includes(name)).map(({ tarball }) => tarball);
    for (const temperature of ['empty', 'warm']) {
      rmSync(join(small, 'node_modules'), { recursive: true, force: true });
      rmSync(join(small, 'package-lock.json'), { force: true });
      if (temperature === 'empty') rmSync(cache, { recursive: true, force: true });
      const startedMs = performance.now();
      npm(
        node,
        ['install', '--cache', cache, ...tarballs(closure)],
        small,
        `Node ${major}: npm install forewrit, ${temperature} cache`,
      );
      figures.push({ major, temperature, seconds: (performance.now() - startedMs) / 1000 });
    }
    figures.push({
      major,
      packages: installed(node, small),
      bytes: sizeOf(join(small, 'node_modules')),
    });

    const project = join(directory, `project-${major}`);
    startProject(project);
    const types = ['@types/node@20'];
    npm(
      node,
      ['install', '--cache', cache, ...tarballs(), ...types],
      project,
      `Node ${major}: npm install of all packages`,
    );
    useWith(node, `Node ${major}`, project, 'node_modules/.bin/forewrit');
    if (major !== majors[0]) continue;
    for (const version of typeScripts) {
      npm(
        node,
        ['install', '--cache', cache, '--no-save', `typescript@${version}`],
        project,
        `TypeScript ${version}`,
      );
      compileWith(join(project, 'node_modules/typescript/bin/tsc'), `TypeScript ${version}`, project);
    }
  }
  return figures;
}

function printSizes(packed, figures) {
  console.log(`\n${'package'.padEnd(20)} ${'packed'.padStart(9)} ${'unpacked'.padStart(9)}  dependencies`);
  for (const { name, packedBytes, unpackedBytes, manifest } of packed) {
    const sizes = [packedBytes, unpackedBytes].map((bytes) => kilobytes(bytes).padStart(9));
    console.log(`${name.padEnd(20)} ${sizes.join(' ')}  ${Object.keys(manifest.dependencies ?? {}).length}`);
  }
  for (const { major, temperature, seconds } of figures.filter((each) => each.seconds !== undefined)) {
    console.log(
      `Node ${major}: npm install forewrit took ${seconds.toFixed(1)} s with ${temperature === 'empty' ? 'an empty' : 'a warm'} cache`,
    );
  }
  for (const { major, packages, bytes } of figures.filter((each) => each.packages !== undefined)) {
    console.log(
      `Node ${major}: npm install forewrit is ${packages} packages, ${(bytes / 1e6).toFixed(1)} MB`,
    );
  }
}

build();
const directory = realpathSync(mkdtempSync(join(tmpdir(), 'forewrit-packages-')));
try {
  const tarballs = join(directory, 'tarballs');
  mkdirSync(tarballs);
  const packed = pack(tarballs);
  for (const each of packed) {
    const findings = findingsIn(each);
    console.log(`${findings.length === 0 ? 'ok  ' : 'FAIL'} ${each.name}: what is in its tarball`);
    for (const finding of findings) console.log(finding);
    failures += findings.length;
  }
  const figures = short
    ? runShort(directory, packed)
    : runLong(directory, packed, asked.length > 0 ? asked : nodeVersions);
  printSizes(packed, figures ?? []);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
console.log(failures === 0 ? '\nall is well' : `\n${failures} failed`);
if (failures > 0) process.exitCode = 1;
