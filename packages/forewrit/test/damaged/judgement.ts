/** Checks a damaged store, mends it by nothing but the commands that the check names, and says what came of it. */

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isStoreError, type Store } from '@forewrit/core';
import { check } from '@forewrit/recovery';
import { openStore } from '#src/index.js';
import { shellLine } from '#src/remedy-report.js';
import type { Damage } from './damage.js';
import type { DamagedStore } from './damaged-store.js';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
/** No damage of ours takes more. */
const mendsMax = 5;

export interface Judgement {
  /** Of every finding but notes. */
  readonly codes: readonly string[];
  /** What the command prints, with the root as `data`. */
  readonly output: string;
  readonly exitCode: number | null;
  /** The commands that were run, as `mends` of a damage. */
  readonly mends: readonly string[];
  /** Of the last of them. */
  readonly mendExitCode: number | null;
  /** What is still found. */
  readonly left: readonly string[];
  /** What a check has changed, which must be nothing. */
  readonly changedByCheck: readonly string[];
  readonly before: Readable;
  readonly after: Readable;
  /** Contents in `conflicts/`. */
  readonly kept: readonly string[];
}

/** What can be read of a store by plain reads, and through the library if that opens it. */
export interface Readable {
  readonly files: Readonly<Record<string, string>>;
  readonly entries: Readonly<Record<string, unknown>> | undefined;
}

export async function judge(
  store: DamagedStore,
  { damage, readData = false, person }: Damage,
): Promise<Judgement> {
  await store.fill();
  await damage(store);
  const before = await readAll(store);
  const shot = stateOf(store.root);
  const words = ['check', ...(readData ? ['--read-data'] : []), '--root', store.root];
  const shown = spawnSync(process.execPath, [cli, ...words], { encoding: 'utf8' });
  const first = await findings(store, readData);
  const changedByCheck = differences(shot, stateOf(store.root));
  const mends: string[] = [];
  let mendExitCode: number | null = 0;
  let left = first;
  while (left.length > 0 && person === undefined && mends.length < mendsMax) {
    const [{ remedy } = {}] = left;
    if (remedy?.command === undefined) break;
    const line = shellLine(remedy.command);
    mendExitCode = runLine(store, line);
    mends.push(plain(store, line));
    left = await findings(store, readData);
  }
  return {
    codes: first.map(({ code }) => code),
    output: asDocument(store, shown.stdout + shown.stderr),
    exitCode: shown.status,
    mends,
    mendExitCode,
    left: left.map(({ code }) => code),
    changedByCheck,
    before,
    after: await readAll(store),
    kept: contentsBelow(`${store.own}/conflicts`).sort(),
  };
}

async function findings(store: DamagedStore, readData: boolean) {
  const report = await check(store.root, { readData });
  return report.findings.filter(({ severity }) => severity !== 'note');
}

/** With `forewrit` on the path, as somebody would run it who has copied the line. */
function runLine(store: DamagedStore, line: string): number | null {
  const bin = `${store.directory}/bin`;
  if (!existsSync(bin)) {
    mkdirSync(bin);
    writeFileSync(`${bin}/forewrit`, `#!/bin/sh\nexec "${process.execPath}" "${cli}" "$@"\n`);
    chmodSync(`${bin}/forewrit`, 0o755);
  }
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` };
  return spawnSync('sh', ['-c', line], { env, encoding: 'utf8', cwd: '/' }).status;
}

/** As a damage says it. */
function plain(store: DamagedStore, line: string): string {
  return line
    .replace(` --root ${shellLine([store.root])}`, '')
    .replaceAll(/'(?:[^']|'\\'')*'/g, (word) => inRoot(store, word))
    .replace(/^forewrit /, '');
}

/** A quoted word that begins with the root. */
function inRoot(store: DamagedStore, word: string): string {
  const text = word.slice(1, -1).replaceAll(String.raw`'\''`, "'");
  return text.startsWith(`${store.root}/`) ? shellLine([text.slice(store.root.length + 1)]) : word;
}

/** What differs from run to run has a name. */
function asDocument(store: DamagedStore, text: string): string {
  return text
    .replaceAll(shellLine([store.root]), 'data')
    .replaceAll(shellLine([store.root]).slice(0, -1), "'data")
    .replaceAll(store.root, 'data')
    .replaceAll(/'data\/([\w@%+=:,.-]+(?:\/[\w@%+=:,.-]*)*)'/g, 'data/$1')
    .replaceAll(/process \d+/g, 'process 4711')
    .replaceAll(/\b[0-9a-f]{32}\b/g, '<id>')
    .replaceAll(/\bpage \d+/g, 'page 7')
    .replaceAll(/\b\d{4,} bytes, and should have \d+/g, '12288 bytes, and should have 65536')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>');
}

async function readAll(store: DamagedStore): Promise<Readable> {
  return { files: filesBelow(store.root), entries: await readEntries(store.root) };
}

async function readEntries(root: string): Promise<Readable['entries']> {
  let store: Store;
  try {
    store = await openStore(root, { readOnly: true });
  } catch (error) {
    if (isStoreError(error)) return undefined;
    throw error;
  }
  try {
    return Object.fromEntries(await store.collection('notes').range());
  } finally {
    await store.close();
  }
}

/** By plain reads, the store's own left out; links are followed. */
function filesBelow(root: string): Record<string, string> {
  const files: Record<string, string> = {};
  const read = (directory: string): void => {
    for (const name of readdirSync(`${root}/${directory}`)) {
      const path = `${directory}${name}`;
      if (path === '.forewrit') continue;
      try {
        files[path] = readFileSync(`${root}/${path}`, 'utf8');
      } catch {
        read(`${path}/`);
      }
    }
  };
  read('');
  return files;
}

function contentsBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => `${directory}/${name}`)
    .filter((file) => lstatSync(file).isFile())
    .map((file) => readFileSync(file, 'utf8'));
}

/** Of everything that there is. LMDB's table of readers is the one thing that looking may write to. */
function stateOf(root: string): Map<string, string> {
  const state = new Map<string, string>();
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('lock.mdb')) continue;
    const { mode, size, mtimeNs, ino } = lstatSync(`${root}/${name}`, { bigint: true });
    state.set(name, [mode, size, mtimeNs, ino].join(' '));
  }
  return state;
}

function differences(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): string[] {
  const names = new Set([...one.keys(), ...other.keys()]);
  return [...names].filter((name) => one.get(name) !== other.get(name));
}
