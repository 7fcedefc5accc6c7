/**
 * Call sites of the two seams: every place in the compiled code that calls the file system or the log. Those there are
 * come from the text of the modules; those that are reached, from the stack of each call.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** `core/commit/apply.js:64:28`. */
export type Place = string;

export interface CallSite {
  readonly place: Place;
  readonly seam: 'file system' | 'log';
  readonly method: string;
  /** The line it is on. */
  readonly text: string;
}

const packages = fileURLToPath(new URL('../../../', import.meta.url));
const calls =
  /(?:(?:\b|#)fileSystem\s*\.\s*(?<file>create|openRead|read|write|truncate|chmod|chown|stat|sync|close|syncDirectory|lstat|readlink|list|link|rename|unlink|makeDirectory|removeDirectory|chmodPath|symlink|space|mountId)|(?:\b|#)log\s*\.\s*(?<log>commit|view))\s*\(/g;

/** The two implementations of the file system that pass calls on, and the log of simulated worlds. */
const implementations = /^core\/(?:files\/(?:node|async)-file-system|log\/memory-log)\.js$/;

/** Of both packages, but for the folders that never run in the engine or in recovery. */
export function callSites(isWanted: (file: string) => boolean): CallSite[] {
  return ['core', 'recovery'].flatMap((name) => {
    const dist = `${packages}${name}/dist/`;
    return readdirSync(dist, { recursive: true, encoding: 'utf8' })
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => file.endsWith('.js') && !implementations.test(`${name}/${file}`))
      .filter((file) => isWanted(`${name}/${file}`))
      .sort()
      .flatMap((file) => sitesIn(`${name}/${file}`, readFileSync(`${dist}${file}`, 'utf8')));
  });
}

function sitesIn(file: string, source: string): CallSite[] {
  // Not in comments; what is blanked keeps its length, and so the positions.
  const code = source.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, (comment) =>
    comment.replaceAll(/[^\n]/g, ' '),
  );
  return [...code.matchAll(calls)].map((match) => {
    const method = match.groups?.['file'] ?? match.groups?.['log'] ?? '';
    const at = match.index + match[0].lastIndexOf(method);
    const before = code.slice(0, at).split('\n');
    const line = before.length;
    const column = (before.at(-1)?.length ?? 0) + 1;
    const text = source.split('\n')[line - 1]?.trim() ?? '';
    const seam = match.groups?.['log'] === undefined ? 'file system' : 'log';
    return { place: `${file}:${line}:${column}`, seam, method, text };
  });
}

const framesMax = 60;

/** The product's frames of the running call, from the seam outwards. */
export function stackHere(): Place[] {
  const { stackTraceLimit, prepareStackTrace } = Error;
  const holder: { stack?: Place[] } = {};
  Error.stackTraceLimit = framesMax;
  Error.prepareStackTrace = (_, frames) => frames.map(placeOf).filter((place) => place !== undefined);
  try {
    Error.captureStackTrace(holder, stackHere);
    return [...(holder.stack ?? [])];
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    if (prepareStackTrace === undefined) delete (Error as { prepareStackTrace?: unknown }).prepareStackTrace;
    else Error.prepareStackTrace = prepareStackTrace;
  }
}

function placeOf(frame: NodeJS.CallSite): Place | undefined {
  const file = frame.getFileName() ?? '';
  const match = /\/(core|recovery)\/dist\/(.+)$/.exec(file);
  if (match === null) return undefined;
  const place = `${match[1]}/${match[2]}`;
  return implementations.test(place)
    ? undefined
    : `${place}:${frame.getLineNumber()}:${frame.getColumnNumber()}`;
}
