/** Directories full of links, for the tests of the resolver. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import type { FileStat } from '#src/files/file-system.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import type { Roots } from '#src/path/path.js';
import { PathResolver, type ResolvedPath } from '#src/path/path-resolver.js';
import { temporaryDirectory } from '@forewrit/testkit';

/** Counts the looks, and can show one directory at a second place, as a bind mount does. */
export class WatchedFileSystem extends NodeFileSystem {
  readonly looks: string[] = [];
  readonly mounted = new Map<string, string>();

  override lstat(path: string): FileStat | undefined {
    this.looks.push(path);
    return super.lstat(this.mounted.get(path) ?? path);
  }
}

/**
 * A world of one store, one named root beside it and one inside it, and secrets outside. `@` in the target of a link
 * stands for the directory that holds them all.
 */
const links: Readonly<Record<string, string>> = {
  'store/to-file': 'dir/file',
  'store/to-file-slash': 'dir/file/',
  'store/to-dir': 'dir',
  'store/to-dir-absolute': '@/store/dir',
  'store/to-self-dir': '.',
  'store/to-root': '../store',
  'store/to-root-absolute': '@/store',
  'store/out-and-in': '../store/dir/file',
  'store/far-out-and-in': '../../../../../../../../../..@/store/dir',
  'store/dir/up': '..',
  'store/dir/up-file': '../dir/./file',
  'store/chain-1': 'chain-2',
  'store/chain-2': 'dir/chain-3',
  'store/dir/chain-3': '../to-file',
  'store/dangling': 'dir/nothing',
  'store/dangling-deep': 'no/such/place',
  'store/dangling-up': 'no/../file',
  'store/through-file': 'file/../file',
  'store/through-file-up': 'file/x',
  'store/to-named': '@/named/inside',
  'store/to-alias': '@/alias/dir/file',
  'store/to-alias-up': '@/alias/../store/dir/file',
  'store/loop': 'loop',
  'store/loop-1': 'loop-2',
  'store/loop-2': 'dir/loop-3',
  'store/dir/loop-3': '../loop-1',
  'store/loop-grows': 'loop-grows/x',
  'store/escape': '../outside',
  'store/escape-file': '../outside/secret',
  'store/escape-absolute': '@/outside',
  'store/escape-etc': '/etc/passwd',
  'store/escape-top': '/',
  'store/escape-parent': '..',
  'store/escape-sibling': '../store-beside/file',
  'store/escape-missing': '../outside/nothing',
  'store/escape-chain': 'escape-chain-2',
  'store/escape-chain-2': 'dir/escape-3',
  'store/dir/escape-3': '../../outside/secret',
  'store/escape-by-dir': 'to-dir/../../outside/secret',
  'store/escape-and-back': '../outside/back/dir/file',
  'store/escape-nothing-and-back': '../nothing/../store/file',
  'store/escape-proc': '/proc/self/cwd',
  'store/log': '.forewrit/log',
  'store/log-absolute': '@/store/.forewrit',
  'store/log-up': 'dir/../.FOREWRIT',
  'store/log-chain': 'log-chain-2',
  'store/log-chain-2': 'to-root/.forewrit',
  'store/log-and-back': '.forewrit/../dir/file',
  'store/staged': '@/named/.forewrit-staged',
  'outside/back': '@/store',
  alias: 'store',
};
const directories = [
  'store/.forewrit/log',
  'store/dir/sub',
  'store/inner',
  'named/inside',
  'named/.forewrit-staged',
  'store-beside',
  'outside',
];
const files = [
  'store/file',
  'store/dir/file',
  'store/inner/file',
  'named/file',
  'named/inside/file',
  'outside/secret',
];

export interface World extends Disposable {
  readonly base: string;
  readonly roots: Roots;
  readonly fileSystem: WatchedFileSystem;
  readonly resolver: PathResolver;
  resolve(path: string, followLast?: boolean): ResolvedPath;
}

export function makeWorld(symlinks: 'follow' | 'refuse' = 'follow'): World {
  const directory = temporaryDirectory('resolver');
  const base = directory.path;
  for (const name of directories) mkdirSync(`${base}/${name}`, { recursive: true });
  for (const name of [...files, 'store-beside/file']) writeFileSync(`${base}/${name}`, name);
  for (const [name, target] of Object.entries(links))
    symlinkSync(target.replace('@', base), `${base}/${name}`);
  const roots: Roots = {
    root: `${base}/store`,
    named: new Map([
      ['named', `${base}/named`],
      ['inner', `${base}/store/inner`],
    ]),
    aliases: new Map([[`${base}/alias`, '']]),
  };
  const fileSystem = new WatchedFileSystem();
  const resolver = new PathResolver(fileSystem, roots, { symlinks });
  return {
    base,
    roots,
    fileSystem,
    resolver,
    resolve: (path, followLast = true) => {
      resolver.forget();
      return resolver.resolve(path, { followLast, op: 'writeFile' });
    },
    [Symbol.dispose]: () => directory.remove(),
  };
}

/** A made-up store `C:\\Store` with a directory `dir\\sub` and these links. */
export function windowsWorld(targets: Readonly<Record<string, string>>): PathResolver {
  const root = 'C:\\Store';
  const link = (path: string): string | undefined => targets[path.slice(root.length + 1)];
  class WindowsFileSystem extends NodeFileSystem {
    override lstat(path: string): FileStat | undefined {
      const isDirectory = [root, `${root}/dir`, `${root}/dir/sub`].includes(path);
      if (!isDirectory && link(path) === undefined) return undefined;
      const some = super.lstat('.');
      return some && { ...some, type: isDirectory ? 'directory' : 'symlink' };
    }
    override readlink(path: string): string {
      return link(path) ?? '';
    }
  }
  return new PathResolver(
    new WindowsFileSystem(),
    { root, named: new Map() },
    { symlinks: 'follow', platform: 'win32' },
  );
}
