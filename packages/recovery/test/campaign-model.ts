/** What random programs do, and what the tree is to be after them: a plain map from paths to contents. */

import type { Content, Operation } from '@forewrit/core';
import type { Random } from '@forewrit/testkit';
import { mkdir, move, remove, write } from './world.js';

/** Directories end with a slash. */
export type Tree = Record<string, string>;

export const names = ['a', 'b', 'c', 'd/a', 'd/b', 'e/a'];
const directoryNames = ['d', 'e', 'f', 'd/g', 'e/g'];

export interface ProgramOptions {
  /** Directories are made, moved and removed, too. */
  readonly directories: boolean;
}

/** Operations that are possible one after the other on what is there. */
export function program(
  random: Random,
  before: Tree,
  { directories }: ProgramOptions,
  next: () => string,
): Operation[] {
  const operations: Operation[] = [];
  let now = before;
  const count = 1 + random.below(4);
  for (let tries = 0; operations.length < count && tries < 40; tries += 1) {
    const operation =
      directories && random.chance(0.4) ? directoryOperation(random, now) : fileOperation(random, now, next);
    if (operation === undefined) continue;
    try {
      now = applied(now, [operation]);
    } catch {
      continue;
    }
    operations.push(operation);
  }
  return operations;
}

function fileOperation(random: Random, now: Tree, next: () => string): Operation | undefined {
  const path = random.pick(names);
  const files = Object.keys(now).filter((each) => !each.endsWith('/'));
  const content = `${next()} `.repeat(random.chance(0.6) ? 2 : 12);
  switch (random.below(files.length > 0 ? 4 : 1)) {
    case 2:
      return remove(random.pick(files));
    case 3:
      return move(random.pick(files), path);
    default:
      return write(path, content);
  }
}

function directoryOperation(random: Random, now: Tree): Operation | undefined {
  const found = Object.keys(now)
    .filter((each) => each.endsWith('/'))
    .map((each) => each.slice(0, -1));
  const path = random.pick(directoryNames);
  switch (random.below(found.length > 0 ? 3 : 1)) {
    case 1:
      return remove(random.pick(found));
    case 2:
      return move(random.pick(found), path);
    default:
      return mkdir(path);
  }
}

/** What the tree is to be after these operations; throws where one of them is impossible. */
export function applied(before: Tree, operations: readonly Operation[]): Tree {
  const now: Tree = { ...before };
  for (const operation of operations) {
    switch (operation.type) {
      case 'write':
        if (`${operation.path}/` in now) throw new Error('is a directory');
        addParents(now, operation.path);
        now[operation.path] = textOf(operation.content);
        break;
      case 'make-directory':
        if (operation.path in now || `${operation.path}/` in now) throw new Error('exists');
        requireParent(now, operation.path);
        now[`${operation.path}/`] = '';
        break;
      case 'remove':
        for (const path of below(now, operation.path)) delete now[path];
        break;
      case 'rename':
        renamed(now, operation.from, operation.path);
        break;
      case 'copy':
        addParents(now, operation.path);
        now[operation.path] = now[operation.from] ?? '';
        break;
      case 'append':
        addParents(now, operation.path);
        now[operation.path] = (now[operation.path] ?? '') + textOf(operation.content);
        break;
      default:
        throw new Error('not in this model');
    }
  }
  return now;
}

function textOf(content: Content): string {
  if (content.kind === 'bytes') return Buffer.from(content.bytes).toString();
  throw new Error('not in this model');
}

function renamed(now: Tree, from: string, to: string): void {
  if (from === to || to.startsWith(`${from}/`) || from.startsWith(`${to}/`)) throw new Error('into itself');
  const isDirectory = `${from}/` in now;
  if (`${to}/` in now || (isDirectory && to in now)) throw new Error('exists');
  addParents(now, to);
  for (const path of below(now, from)) {
    const content = now[path] ?? '';
    delete now[path];
    now[`${to}${path.slice(from.length)}`] = content;
  }
}

function below(now: Tree, path: string): string[] {
  const found = Object.keys(now).filter((each) => each === path || each.startsWith(`${path}/`));
  if (found.length === 0) throw new Error('nothing there');
  return found;
}

function addParents(now: Tree, path: string): void {
  const parts = path.split('/').slice(0, -1);
  for (const [index] of parts.entries()) {
    const parent = parts.slice(0, index + 1).join('/');
    if (parent in now) throw new Error('not a directory');
    now[`${parent}/`] = '';
  }
}

function requireParent(now: Tree, path: string): void {
  const parent = path.split('/').slice(0, -1).join('/');
  if (parent !== '' && !(`${parent}/` in now)) throw new Error('no parent');
}

export function showTree(shown: Tree): string {
  return JSON.stringify(Object.fromEntries(Object.entries(shown).sort(([a], [b]) => (a < b ? -1 : 1))));
}

export function withoutDirectories(whole: Tree): Tree {
  return Object.fromEntries(Object.entries(whole).filter(([path]) => !path.endsWith('/')));
}
