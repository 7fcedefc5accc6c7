/**
 * From what a caller wrote to a store path, by the text alone: links are the resolver's matter. Each refusal says why,
 * and what to write instead.
 */

import { fileURLToPath } from 'node:url';
import { type ErrorCode, InvalidArgumentError, StoreError, toError } from '../errors.js';
import {
  absolutePath,
  componentsBelow,
  isReservedPath,
  joinPath,
  locate,
  pathNames,
  rootEntries,
  type Roots,
  splitAbsolute,
  type StorePath,
} from './path.js';
import {
  currentPathPlatform,
  isStagedDirectoryName,
  isStoreDirectoryName,
  type PathPlatform,
  pathBytesMax,
  type Refusal,
  refusedName,
  refusedText,
  separators,
} from './path-name.js';

/** Longer input is refused before it is taken apart. Leaves room for './', '..' and doubled slashes. */
const inputLengthMax = 16 * pathBytesMax;
const shownLengthMax = 200;

/**
 * The store path of a path that is relative to the main root, absolute inside one of the roots (text or `file:` URL),
 * or `name:path` with the name of a root. `a/../b` is `b`, as for a URL; a slash at the end means nothing. The result
 * may be a root itself ('.', 'name:'): whether that will do is the caller's matter.
 *
 * @throws InvalidArgumentError for what is neither a string nor a URL, and for ''.
 * @throws StoreError ERR_PATH_ESCAPE outside the roots; ERR_PATH_RESERVED inside the store's own directories;
 * ERR_INVALID_PATH for what no file can be called.
 */
export function parsePath(
  input: string | URL,
  roots: Roots,
  op: string,
  platform: PathPlatform = currentPathPlatform,
): StorePath {
  const text = textOf(input, op, platform);
  const refuse: Refuse = (code, { reason, hint }) => {
    throw new StoreError(code, `${op} ${shown(text)}: ${reason}`, { op, path: cut(text), hint });
  };
  if (text.length > inputLengthMax) refuse('ERR_INVALID_PATH', tooLong);
  const impossible = refusedText(text);
  if (impossible !== undefined) refuse('ERR_INVALID_PATH', impossible);

  const path = placeOf(text, { roots, platform, refuse });
  for (const name of pathNames(path)) {
    const refused = refusedName(name, platform);
    if (refused !== undefined) refuse('ERR_INVALID_PATH', refused);
  }
  if (isReservedPath(path)) refuse('ERR_PATH_RESERVED', reserved);
  if (Buffer.byteLength(absolutePath(path, roots)) > pathBytesMax) refuse('ERR_INVALID_PATH', tooLong);
  return path;
}

/**
 * Refuses roots by which one file would have two store paths, or the store could be moved away under itself: a root
 * around the main one, or two further roots of which one holds the other (outside the main root, where they are only
 * other ways to write). Refuses names that a path cannot begin with.
 *
 * @throws StoreError ERR_INVALID_PATH, ERR_PATH_RESERVED
 */
export function checkRoots(roots: Roots, op: string, platform: PathPlatform = currentPathPlatform): void {
  const main = splitAbsolute(roots.root, platform);
  const outside: (readonly [name: string, components: readonly string[]])[] = [];
  for (const [name, directory] of roots.named) {
    const refuse: Refuse = (code, { reason, hint }) => {
      throw new StoreError(code, `${op}: the root '${name}' ${reason}`, { op, path: directory, hint });
    };
    checkRootName(name, refuse);
    const components = splitAbsolute(directory, platform);
    if (main === undefined || components === undefined) {
      refuse('ERR_INVALID_PATH', {
        reason: 'is no absolute path',
        hint: 'Give the root as an absolute path.',
      });
    }
    const inside = componentsBelow(components, main, platform);
    if (inside !== undefined) {
      if (isStoreDirectoryName(inside[0] ?? '') || inside.some(isStagedDirectoryName)) {
        refuse('ERR_PATH_RESERVED', reserved);
      }
      continue;
    }
    const hint =
      'Give roots that do not hold each other; what is inside the main root needs none of its own.';
    if (componentsBelow(main, components, platform) !== undefined) {
      refuse('ERR_INVALID_PATH', { reason: 'holds the main root', hint });
    }
    for (const [other, above] of outside) {
      const nested =
        componentsBelow(components, above, platform) ?? componentsBelow(above, components, platform);
      if (nested !== undefined) refuse('ERR_INVALID_PATH', { reason: `overlaps the root '${other}'`, hint });
    }
    outside.push([name, components]);
  }
}

type Refuse = (code: ErrorCode, refusal: Refusal) => never;

const tooLong: Refusal = {
  reason: `the path is longer than ${pathBytesMax} bytes`,
  hint: 'Shorten the path: the system refuses longer ones.',
};
const reserved: Refusal = {
  reason: "this is where the store keeps its own files ('.forewrit', '.forewrit-staged')",
  hint: 'Choose another name; the store is read with `forewrit status` and `forewrit dump`.',
};
const leaves: Refusal = {
  reason: "it leaves the store by '..'",
  hint: 'Give a path inside the root, or open the store with { roots: { name: directory } }.',
};

function textOf(input: unknown, op: string, platform: PathPlatform): string {
  if (typeof input === 'string') {
    if (input === '') throw new InvalidArgumentError(op, "the path is empty; the root itself is '.'");
    return input;
  }
  if (!isUrl(input)) {
    const what = input === null ? 'null' : Array.isArray(input) ? 'an array' : typeof input;
    throw new InvalidArgumentError(op, `the path must be a string or a URL, not ${what}`);
  }
  const refuse: Refuse = (code, { reason, hint }) => {
    throw new StoreError(code, `${op} ${shown(input.href)}: ${reason}`, { op, path: cut(input.href), hint });
  };
  if (input.protocol !== 'file:') {
    refuse('ERR_INVALID_PATH', { reason: 'only file: URLs name files', hint: 'Give a path or a file: URL.' });
  }
  if (input.search !== '' || input.hash !== '') {
    refuse('ERR_INVALID_PATH', {
      reason: "a file: URL has no part after '?' or '#'",
      hint: "Build the URL with url.pathToFileURL(path), which writes '?' and '#' in names as %3F and %23.",
    });
  }
  try {
    return fileURLToPath(input.href, { windows: platform === 'win32' });
  } catch (cause) {
    const reason = toError(cause).message;
    return refuse('ERR_INVALID_PATH', { reason, hint: 'Build the URL with url.pathToFileURL(path).' });
  }
}

/** Also a URL of another realm or from a polyfill, as `node:fs` accepts them. */
function isUrl(input: unknown): input is URL {
  if (input instanceof URL) return true;
  return (
    typeof input === 'object' &&
    input !== null &&
    'href' in input &&
    typeof input.href === 'string' &&
    'protocol' in input &&
    typeof input.protocol === 'string' &&
    URL.canParse(input.href)
  );
}

interface Parsing {
  readonly roots: Roots;
  readonly platform: PathPlatform;
  readonly refuse: Refuse;
}

function placeOf(text: string, parsing: Parsing): StorePath {
  const { roots, platform, refuse } = parsing;
  const absolute = splitAbsolute(text, platform);
  if (absolute !== undefined) return placeOfAbsolute(absolute, parsing);

  const named = /^([^:/\\]+):(.*)$/s.exec(text);
  const directory = roots.named.get(named?.[1] ?? '');
  if (named !== null && directory !== undefined) {
    const rest = named[2]!;
    if (startsAtRoot(rest, platform)) {
      refuse('ERR_INVALID_PATH', {
        reason: `what follows '${named[1]}:' is relative to that root, and does not begin with a slash`,
        hint: `Write '${named[1]}:path', without the slash.`,
      });
    }
    const names = namesOf(rest, parsing);
    // Inside the main root it has a shorter name.
    return locate([...splitAbsolute(directory, platform)!, ...names], roots, platform)!;
  }
  if (/^[a-z][a-z\d+.-]+:[\\/]{2}/i.test(text)) {
    refuse('ERR_INVALID_PATH', {
      reason: 'this is the text of a URL',
      hint: 'Pass a URL object for a file: URL; begin a path that looks like one with ./',
    });
  }
  if (platform === 'win32' && (/^[a-z]:/i.test(text) || startsAtRoot(text, platform))) {
    refuse('ERR_INVALID_PATH', {
      reason: 'it depends on the current drive or directory',
      hint: 'Give an absolute path with its drive, or a path relative to the root.',
    });
  }
  return joinPath('', namesOf(text, parsing).join('/'));
}

function placeOfAbsolute(components: readonly string[], { roots, platform, refuse }: Parsing): StorePath {
  const names: string[] = [];
  for (const name of components) {
    if (name === '..') names.pop();
    else if (name !== '.') names.push(name);
  }
  const place = locate(names, roots, platform);
  if (place !== undefined) return place;
  for (const [spelling, root] of roots.aliases ?? []) {
    const below = componentsBelow(names, splitAbsolute(spelling, platform), platform);
    if (below !== undefined) {
      const directory = rootEntries(roots).find(([known]) => known === root)?.[1];
      if (directory === undefined) continue;
      return locate([...splitAbsolute(directory, platform)!, ...below], roots, platform)!;
    }
  }
  return refuse('ERR_PATH_ESCAPE', {
    reason: 'it is outside the roots of the store',
    hint: 'Give a path inside the root, or open the store with { roots: { name: directory } }.',
  });
}

/** Names of a relative path. That it may not leave its root holds at every step: 'a/../../root/b' leaves. */
function namesOf(text: string, { platform, refuse }: Parsing): string[] {
  const names: string[] = [];
  for (const name of text.split(separators(platform))) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.pop() === undefined) refuse('ERR_PATH_ESCAPE', leaves);
  }
  return names;
}

function startsAtRoot(text: string, platform: PathPlatform): boolean {
  return separators(platform).test(text.slice(0, 1));
}

function checkRootName(name: string, refuse: Refuse): void {
  // One letter looks like a drive, a first dot like './'.
  if (/^[\p{L}\p{N}_][\p{L}\p{N}_.-]+$/u.test(name) && !isStoreDirectoryName(name)) return;
  refuse('ERR_INVALID_PATH', {
    reason: 'has a name that paths cannot begin with',
    hint: "Choose a name of two or more letters, digits, '_', '-' and '.', beginning with a letter or digit.",
  });
}

function cut(text: string): string {
  return text.length <= pathBytesMax ? text : `${text.slice(0, pathBytesMax)}…`;
}

/** Quoted, so that a message cannot be broken up by what is in a path. */
function shown(text: string): string {
  return JSON.stringify(text.length <= shownLengthMax ? text : `${text.slice(0, shownLengthMax)}…`);
}
