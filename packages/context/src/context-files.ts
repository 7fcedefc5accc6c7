/**
 * The four files of a context, and where they are.
 *
 *     <directory>/messages.json         an array
 *     <directory>/metadata.json         an object; `last_updated` and `message_count` are written by every save
 *     <directory>/state.json            an object
 *     <directory>/global_context.json   an object; this one may be elsewhere, shared by several contexts
 *
 * Each is UTF-8 JSON with an indent of two spaces and a newline at the end.
 */

import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, joinPath } from '@forewrit/core';

/** The parts of a context, by the names of the properties of `ContextManager`. */
export type ContextPart = 'messages' | 'metadata' | 'state' | 'globalContext';

export const contextParts: readonly ContextPart[] = ['messages', 'metadata', 'state', 'globalContext'];

/** The names of the files; that of the global context only where `globalContextPath` does not give another. */
export const contextFileNames: Readonly<Record<ContextPart, string>> = {
  messages: 'messages.json',
  metadata: 'metadata.json',
  state: 'state.json',
  globalContext: 'global_context.json',
};

/** A place in the store, as every path of it: relative, absolute inside one of its roots, or `name:path`. */
export type ContextPath = string | URL;

export class ContextFiles {
  readonly paths: Readonly<Record<ContextPart, string>>;
  /** The global context has a place of its own: whether it is there says nothing about the other three. */
  readonly isGlobalElsewhere: boolean;

  /**
   * `op` is what a mistake is reported for. Whether the paths are inside the store, the store says when they are used.
   *
   * @throws InvalidArgumentError for an empty path, a wrong type, or two parts in one file.
   */
  constructor(places: { directory: ContextPath; globalContextPath?: ContextPath | undefined }, op: string) {
    const directory = withoutSlash(textOf(places.directory, 'directory', op));
    const within = (part: ContextPart): string => joinPath(directory, contextFileNames[part]);
    const global = places.globalContextPath;
    this.paths = {
      messages: within('messages'),
      metadata: within('metadata'),
      state: within('state'),
      globalContext: global === undefined ? within('globalContext') : textOf(global, 'globalContextPath', op),
    };
    const spelled = (path: string): string => posix.normalize(path);
    this.isGlobalElsewhere = spelled(this.paths.globalContext) !== spelled(within('globalContext'));
    const different = new Set(Object.values(this.paths).map(spelled));
    if (different.size < contextParts.length) {
      throw new InvalidArgumentError(op, `globalContextPath is that of another part: ${this.paths.globalContext}`);
    }
  }
}

function textOf(path: unknown, name: string, op: string): string {
  if (path instanceof URL && path.protocol === 'file:') return fileURLToPath(path);
  if (typeof path !== 'string' || path === '') {
    throw new InvalidArgumentError(op, `${name} must be a path or a file: URL, not empty`);
  }
  return path;
}

function withoutSlash(directory: string): string {
  return directory.length > 1 && directory.endsWith('/') ? withoutSlash(directory.slice(0, -1)) : directory;
}
