/** The list of mutants is sound: whoever changes the code that one of them breaks, changes it with it. */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { assert, suite } from '@forewrit/testkit';
import { listIsUpToDate } from './mutant-list.js';
import { mutants } from './mutants.js';
import { changesOf, mutated, testFile } from './mutation.js';

const test = suite('mutants');

test('every mutant finds its place in the code, and there is one', () => {
  for (const mutant of mutants) assert.ok(changesOf(mutant).length > 0);
});

/** What the parser has against it. From a `data:` URL nothing of what it imports is found, and so none of it runs. */
async function syntaxErrorOf(source: string): Promise<SyntaxError | undefined> {
  const module = `import './nothing.js';\n${source}`;
  try {
    await import(`data:text/javascript;base64,${Buffer.from(module).toString('base64')}`);
  } catch (error) {
    if (error instanceof SyntaxError) return error;
  }
  return undefined;
}

test('every mutant can be parsed: code that cannot be loaded proves nothing', async () => {
  assert.ok((await syntaxErrorOf('const one = ;')) instanceof SyntaxError);
  for (const mutant of mutants) {
    for (const { url, edits } of changesOf(mutant)) {
      const error = await syntaxErrorOf(mutated(readFileSync(fileURLToPath(url), 'utf8'), edits));
      assert.is(error, undefined, `the mutant '${mutant.name}': ${error?.message}`);
    }
  }
});

test('every mutant has a name of its own, and a killer that is there', () => {
  assert.is(new Set(mutants.map(({ name }) => name)).size, mutants.length);
  for (const { name, killer } of mutants) {
    assert.ok(existsSync(testFile(killer.file)), `the killer of '${name}'`);
  }
});

test('a snippet that is not found, or found twice, is an error', () => {
  const [first] = mutants;
  assert.ok(first !== undefined);
  for (const snippet of ['no such code', 'const']) {
    assert.throws(() => changesOf({ ...first, edits: [{ snippet, replacement: '' }] }), /needs one place/);
  }
});

test('white space in a snippet stands for any, and a replacement is taken as it is', () => {
  const edits = [{ snippet: 'sync(a); return [$b];', replacement: '$& $1' }];
  assert.is(mutated('{\n  sync(a);\n  return [$b];\n}', edits), '{\n  $& $1\n}');
});

test('docs/testing.md lists them: npm run mutants -- --write-list', () => {
  assert.ok(listIsUpToDate());
});

test.run();
