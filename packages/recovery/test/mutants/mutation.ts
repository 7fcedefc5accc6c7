/**
 * How a mutant gets into the code: the compiled module that holds its snippet is changed as it is loaded, and nothing on
 * the disk is. A snippet is searched in the whole package, so that code may be moved from file to file; white space
 * counts as one blank. One that is not found exactly once is an error: code and list have to go together.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Edit, Mutant } from './mutant.js';

/** What `mutant-hooks` is told: a change of one module. */
export interface ModuleChange {
  readonly url: string;
  readonly edits: readonly Edit[];
}

const packages = new URL('../../../', import.meta.url);

/** The changes that a mutant makes, by module. Throws where its snippets are not found exactly once. */
export function changesOf({ name, package: inPackage, edits }: Mutant): ModuleChange[] {
  const byModule = new Map<string, Edit[]>();
  for (const edit of edits) {
    const found = modulesOf(inPackage).flatMap(({ url, source }) =>
      [...source.matchAll(patternOf(edit.snippet))].map(() => url),
    );
    const [url] = found;
    if (url === undefined || found.length > 1) {
      throw new Error(
        `the mutant '${name}' needs one place in ${inPackage}, and has ${found.length}: ${edit.snippet}`,
      );
    }
    byModule.set(url, [...(byModule.get(url) ?? []), edit]);
  }
  return [...byModule].map(([url, ofModule]) => ({ url, edits: ofModule }));
}

export function mutated(source: string, edits: readonly Edit[]): string {
  let changed = source;
  for (const { snippet, replacement } of edits) {
    const pattern = patternOf(snippet);
    if (changed.search(pattern) === -1) throw new Error(`not found: ${snippet}`);
    // A function, as the replacement may hold what `replace` takes for a pattern.
    changed = changed.replace(pattern, () => replacement);
  }
  return changed;
}

function patternOf(snippet: string): RegExp {
  const words = snippet.trim().split(/\s+/);
  return new RegExp(words.map((word) => word.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('\\s+'), 'g');
}

interface Module {
  readonly url: string;
  readonly source: string;
}

const modules = new Map<string, readonly Module[]>();

function modulesOf(name: string): readonly Module[] {
  let known = modules.get(name);
  if (known === undefined) {
    const dist = new URL(`${name}/dist/`, packages);
    known = readdirSync(dist, { recursive: true, encoding: 'utf8' })
      .filter((entry) => entry.endsWith('.js'))
      .map((entry) => new URL(entry.replaceAll('\\', '/'), dist))
      .map((url) => ({ url: url.href, source: readFileSync(url, 'utf8') }));
    modules.set(name, known);
  }
  return known;
}

/** The compiled file of a test, from `<package>/<name>`. */
export function testFile(test: string): string {
  const [inPackage = '', ...name] = test.split('/');
  return fileURLToPath(new URL(`${inPackage}/dist-test/${name.join('/')}.test.js`, packages));
}
