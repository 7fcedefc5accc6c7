/** What is saved: the four files of an agent's context, 24 KB together. */

import type { FileSet } from '../contenders/contender.js';

export const contextNames = ['messages.json', 'metadata.json', 'state.json', 'global_context.json'] as const;
export const contextFileBytes = 6000;

/** The set in a directory (of itself by default), with a content that differs from one version to the next. */
export function contextSet(version: number, directory?: string): FileSet {
  const content = contentOf(version, contextFileBytes);
  return contextPaths(directory).map((name) => [name, content]);
}

export function contextPaths(directory?: string): readonly string[] {
  return directory === undefined ? contextNames : contextNames.map((name) => `${directory}/${name}`);
}

export function contentOf(version: number, bytes: number): string {
  return `${version} `.padEnd(bytes, String.fromCharCode(97 + (version % 26)));
}
