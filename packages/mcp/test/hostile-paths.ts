/** Paths that lead out of a store, into what is its own, or nowhere: as a client may send them. */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';

export const secret = 'not for clients';

/** A root with a neighbour that must stay as it is, and links between the two. */
export function layOut(directory: string): { readonly root: string; readonly outside: string } {
  const root = `${directory}/store`;
  const outside = `${directory}/outside`;
  mkdirSync(`${root}/inside`, { recursive: true });
  mkdirSync(`${outside}/deep`, { recursive: true });
  mkdirSync(`${directory}/store2`);
  writeFileSync(`${root}/inside/file`, 'inside');
  writeFileSync(`${outside}/secret`, secret);
  writeFileSync(`${outside}/deep/secret`, secret);
  writeFileSync(`${directory}/store2/secret`, secret);
  symlinkSync(outside, `${root}/link`);
  symlinkSync('../outside', `${root}/relative-link`);
  symlinkSync(`${outside}/secret`, `${root}/file-link`);
  symlinkSync(`${outside}/not-there`, `${root}/dangling-link`);
  symlinkSync('/', `${root}/top`);
  symlinkSync('loop', `${root}/loop`);
  symlinkSync('../link', `${root}/inside/link-to-link`);
  return { root, outside };
}

/** Every one of them must be refused, whatever is asked to be done with it. */
export function hostilePaths({
  root,
  outside,
}: {
  readonly root: string;
  readonly outside: string;
}): string[] {
  return [
    '..',
    '../',
    '../outside/secret',
    './../outside/secret',
    'inside/../../outside/secret',
    'inside//..//../outside/secret',
    '../store/inside/file',
    '../store2/secret',
    `${'../'.repeat(50)}etc/passwd`,
    '/',
    '/etc/passwd',
    '//etc/passwd',
    `${outside}/secret`,
    `${root}/../outside/secret`,
    `${root}2/secret`,
    `${root}/inside/../../store2/secret`,
    'link/secret',
    'link/deep/secret',
    'link/new',
    'link/deep/../secret',
    'relative-link/secret',
    'inside/link-to-link/secret',
    'top/etc/passwd',
    `top${outside}/secret`,
    'loop/x',
    'file:///etc/passwd',
    `file://${outside}/secret`,
    'https://example.org/x',
    'a\0b',
    '../outside/secret\0.txt',
    '\0',
    '\ud800',
    'x'.repeat(256),
    `${'x/'.repeat(3000)}x`,
    '.forewrit',
    '.forewrit/log/data.mdb',
    './.forewrit/x',
    'inside/../.forewrit/x',
    '.FOREWRIT/x',
    '.Forewrit/x',
    '.fore\u200cwrit/x',
    '.forewrit /x',
    '.forewrit./x',
    '.forewrıt/x',
    `${root}/.forewrit/x`,
    'inside/.forewrit-staged/x',
  ];
}
