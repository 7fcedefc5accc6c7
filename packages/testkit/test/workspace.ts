/** The workspace as files, for tests that look at its sources. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const workspaceRoot = fileURLToPath(new URL('../../..', import.meta.url));

const notOurs = new Set(['.git', 'node_modules', 'dist', 'dist-test']);

/** Files that are tracked or could be added, from the top; everything but build output where there is no git. */
export function workspaceFiles(): string[] {
  if (existsSync(join(workspaceRoot, '.git'))) {
    const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: workspaceRoot,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    // A file that was deleted but not yet removed from the index is still listed.
    return list.split('\0').filter((path) => path !== '' && existsSync(join(workspaceRoot, path)));
  }
  return walk('');
}

function walk(folder: string): string[] {
  return readdirSync(join(workspaceRoot, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (notOurs.has(entry.name)) return [];
    return entry.isDirectory() ? walk(path) : [path];
  });
}

/** All files below a folder, build output included, from the top of the workspace. */
export function filesBelow(folder: string): string[] {
  const absolute = join(workspaceRoot, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { recursive: true, encoding: 'utf8' }).map(
    (entry) => `${folder}/${entry.replaceAll(sep, '/')}`,
  );
}

export function readText(path: string): string {
  return readFileSync(join(workspaceRoot, path), 'utf8');
}

export function packageFolders(): string[] {
  return readdirSync(join(workspaceRoot, 'packages'))
    .map((name) => `packages/${name}`)
    .filter((folder) => existsSync(join(workspaceRoot, folder, 'package.json')));
}
