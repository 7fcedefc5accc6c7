/** The files of one save, however the caller names them. */

import { InvalidArgumentError, StoreError } from '../errors.js';
import { type Data, isStream } from './content-staging.js';

export function pairsOf(files: unknown): Iterable<readonly [string, Data]> {
  const isPlain = typeof files === 'object' && files !== null && !(files instanceof Uint8Array);
  if (!isPlain)
    throw new InvalidArgumentError('writeFiles', 'files must be an object or an iterable of pairs');
  if (!(Symbol.iterator in files)) {
    if (isStream(files))
      throw new InvalidArgumentError('writeFiles', 'files cannot be an asynchronous iterable');
    return Object.entries(files as Record<string, Data>);
  }
  return [...(files as Iterable<unknown>)].map((pair) => {
    if (Array.isArray(pair) && pair.length === 2) return [pair[0] as string, pair[1] as Data];
    throw new InvalidArgumentError('writeFiles', 'each file must be a pair of path and data');
  });
}

export function alias(path: string, other: string): StoreError {
  return new StoreError('ERR_PATH_ALIAS', `'${path}' and '${other}' are the same file`, {
    op: 'writeFiles',
    path,
    hint: 'Name each file once.',
  });
}
