/**
 * The four files of a context, and where they are.
 *
 *     <directory>/messages.json         an array
 *     <directory>/metadata.json         an object; each save writes `last_updated` and `message_count` there
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

export type PartsOf<Value> = Readonly<Record<ContextPart, Value>>;

export const contextParts: readonly ContextPart[] = ['messages', 'metadata', 'state', 'globalContext'];

/** The names of the files. That of the global context only where `globalContextPath` gives no other. */
export const contextFileNames: PartsOf<string> = {
  messages: 'messages.json',
  metadata: 'metadata.json',
  state: 'state.json',
  globalContext: 'global_context.json',
};

/**
 * A place in the store, written like every path of it: relative to the root, absolute inside one of its
 * roots, `name:path`, or a `file:` URL.
 */
export type ContextPath = string | URL;

export class ContextFiles {
  readonly paths: PartsOf<string>;
  /** The global context has a place of its own: whether it is there says nothing about the other three. */
  readonly isGlobalElsewhere: boolean;

  /**
   * Looks at the text alone: whether the paths are inside the store, the store says when they are used.
   *
   * @throws InvalidArgumentError for an empty path, a wrong type, or two parts in one file.
   */
  constructor(places: {
    readonly directory: ContextPath;
    readonly globalContextPath: ContextPath | undefined;
    /** For what a mistake is reported. */
    readonly op: string;
  }) {
    const { directory, globalContextPath: global, op } = places;
    const parent = asParent(textOf(directory, 'directory', op));
    const within = mapParts((part) => joinPath(parent, contextFileNames[part]));
    const globalContext =
      global === undefined ? within.globalContext : textOf(global, 'globalContextPath', op);
    this.paths = { ...within, globalContext };
    const spelled = contextParts.map((part) => posix.normalize(this.paths[part]));
    if (new Set(spelled).size < contextParts.length) {
      throw new InvalidArgumentError(op, `globalContextPath is the file of another part: ${globalContext}`);
    }
    this.isGlobalElsewhere = posix.normalize(globalContext) !== posix.normalize(within.globalContext);
  }
}

export function mapParts<Value>(of: (part: ContextPart) => Value): PartsOf<Value> {
  return {
    messages: of('messages'),
    metadata: of('metadata'),
    state: of('state'),
    globalContext: of('globalContext'),
  };
}

function textOf(path: unknown, name: string, op: string): string {
  if (path instanceof URL && path.protocol === 'file:') return fileURLToPath(path);
  if (typeof path !== 'string' || path === '') {
    throw new InvalidArgumentError(op, `${name} must be a path or a file: URL, not empty`);
  }
  return path;
}

/** As `joinPath` takes it. */
function asParent(directory: string): string {
  if (directory === '.') return '';
  return directory.length > 1 && directory.endsWith('/') ? asParent(directory.slice(0, -1)) : directory;
}
