/** What any program would find in the directory after a kill: plain reads, without the store. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { contextAt, contextFiles } from './context-set.js';

export interface Observation {
  /** Files of different versions, or a file that is not whole. */
  readonly mixed: boolean;
  /** Files that are empty, cut off, missing beside others, or hold something else than their version did. */
  readonly torn: number;
  /** For at least one file neither the acknowledged version nor a newer one is there. */
  readonly lost: boolean;
  /** The newest version of which there is a whole file; 0 when there is none. */
  readonly newest: number;
}

type Found = number | 'torn' | 'missing';

/** `acknowledged`: the newest version whose save had resolved, 0 for none. */
export function observe(directory: string, acknowledged: number): Observation {
  const found = contextFiles.map((path): Found => {
    let text: string;
    try {
      text = readFileSync(join(directory, path), 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'missing';
      throw error;
    }
    return versionIn(text, path);
  });
  return judge(found, acknowledged);
}

export function judge(found: readonly Found[], acknowledged: number): Observation {
  const nothing = found.every((each) => each === 'missing');
  const versions = found.filter((each) => typeof each === 'number');
  const torn = nothing ? 0 : found.length - versions.length;
  return {
    mixed: torn > 0 || new Set(versions).size > 1,
    torn,
    lost:
      acknowledged > 0 &&
      (versions.length < found.length || versions.some((version) => version < acknowledged)),
    newest: Math.max(0, ...versions),
  };
}

function versionIn(text: string, path: (typeof contextFiles)[number]): Found {
  let version: unknown;
  try {
    ({ version } = JSON.parse(text) as { version?: unknown });
  } catch {
    return 'torn';
  }
  if (typeof version !== 'number') return 'torn';
  // It parses and names a version: then it must be that version, to the byte.
  return contextAt(version)[path] === text ? version : 'torn';
}
