/** Module hooks, in the thread where Node runs them: one module, or a few, are changed as they are loaded. */

import type { LoadHook } from 'node:module';
import { type ModuleChange, mutated } from './mutation.js';

let changes: readonly ModuleChange[] = [];

export function initialize(given: readonly ModuleChange[]): void {
  changes = given;
}

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  const change = changes.find((each) => each.url === url);
  if (change === undefined) return loaded;
  return { ...loaded, source: mutated(String(loaded.source), change.edits) };
};
