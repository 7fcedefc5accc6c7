import * as assert from '#src/assert.js';
import { suite } from '#src/suite.js';
import {
  dependencyViolations,
  importsOf,
  type Manifest,
  type SourceFile,
  undeclaredImports,
  violationsOf,
} from './import-rules.js';
import { filesBelow, packageFolders, readText } from './workspace.js';

function sourcesOf(folder: string): SourceFile[] {
  return filesBelow(`${folder}/src`)
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readText(path) }));
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readText(`${folder}/package.json`));
}

// The least that breaks no rule: one importer for each confined module.
const sound: readonly SourceFile[] = [
  { path: 'packages/core/src/files/node-file-system.ts', text: `import { openSync } from 'node:fs';\n` },
  { path: 'packages/core/src/log/lmdb-environment.ts', text: `import { open } from 'lmdb';\n` },
  { path: 'packages/core/src/record/record.ts', text: `import { Packr } from 'msgpackr';\n` },
  { path: 'packages/core/src/record/checksum.ts', text: `import xxhash from 'xxhash-wasm';\n` },
];

function violationsWith(path: string, text: string): string[] {
  return violationsOf([...sound.filter((source) => source.path !== path), { path, text }]);
}

const rules = suite('the checker of the import rules');

rules('passes sources that follow the rules', () => {
  assert.equal(violationsOf(sound), []);
  const text = [
    `import type { Log } from '@forewrit/core';`,
    `import { readFile } from './reader.js';`,
    `// import { readFileSync } from 'node:fs';`,
    `/** Never \`export default\`, and no \`export * from './x.js'\`. */`,
    `export { type Log, readFile };`,
    `const pattern = 'https://example.org';`,
    `async function load() {`,
    `  const plugin = await import('@forewrit/mcp');`,
    `}`,
  ].join('\n');
  assert.equal(violationsWith('packages/forewrit/src/index.ts', text), []);
  assert.equal(
    violationsWith('packages/forewrit/src/demo/child.ts', `import { rmSync } from 'node:fs';`),
    [],
  );
});

rules('finds imports in every form', () => {
  const text = [
    `import 'a';`,
    `import b from 'b';`,
    `import * as c from "c";`,
    `import { d,`,
    `  dd } from 'd';`,
    `import type { E } from 'e';`,
    `export { f } from 'f';`,
    `export type { G } from 'g';`,
    `const h = await import('h');`,
    `type I = import('i').I;`,
    `const j = require('j');`,
    `const k = process.getBuiltinModule('k');`,
    `// import 'no';`,
    ` * import 'no either' in a comment`,
  ].join('\n');
  assert.equal(importsOf(text).toSorted(), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k']);
});

const broken: readonly (readonly [situation: string, path: string, text: string, violation: RegExp])[] = [
  [
    'core importing recovery',
    'core/src/x.ts',
    `import { a } from '@forewrit/recovery';`,
    /may not import recovery/,
  ],
  [
    'core importing a type of recovery',
    'core/src/x.ts',
    `import type { A } from '@forewrit/recovery';`,
    /may not/,
  ],
  [
    'core importing recovery late',
    'core/src/x.ts',
    `void import('@forewrit/recovery');`,
    /may not import recovery/,
  ],
  [
    'recovery importing forewrit',
    'recovery/src/x.ts',
    `export { a } from 'forewrit';`,
    /may not import forewrit/,
  ],
  ['context importing a neighbour', 'context/src/x.ts', `import '@forewrit/tasks';`, /may not import tasks/],
  ['mcp importing forewrit', 'mcp/src/x.ts', `import { a } from 'forewrit';`, /may not import forewrit/],
  [
    'a source importing testkit',
    'forewrit/src/x.ts',
    `import '@forewrit/testkit/suite';`,
    /may not import testkit/,
  ],
  ['a sub-path of a package above', 'core/src/x.ts', `import '@forewrit/mcp/tools';`, /may not import mcp/],
  ['a package nobody placed', 'novelty/src/x.ts', `export {};`, /no place among the arrows/],
  [
    'a way into a neighbour by path',
    'core/src/a/x.ts',
    `import '../../../recovery/src/y.js';`,
    /leaves the sources/,
  ],
  ['a way into the tests by path', 'core/src/x.ts', `import '../test/y.js';`, /leaves the sources/],
  ['the name that is for tests', 'core/src/x.ts', `import '#src/y.js';`, /is for tests/],
  ['a package importing itself', 'core/src/x.ts', `import '@forewrit/core';`, /its own package/],
  ['node:fs elsewhere in core', 'core/src/x.ts', `import * as fs from 'node:fs';`, /node-file-system\.ts/],
  ['fs without its prefix', 'core/src/x.ts', `import { rmSync } from 'fs';`, /node-file-system\.ts/],
  ['fs/promises', 'context/src/x.ts', `import { rm } from 'node:fs/promises';`, /node-file-system\.ts/],
  ['fs through getBuiltinModule', 'core/src/x.ts', `process.getBuiltinModule('fs');`, /node-file-system\.ts/],
  ['lmdb elsewhere', 'recovery/src/x.ts', `import { open } from 'lmdb';`, /lmdb-environment\.ts/],
  ['a second importer of msgpackr', 'core/src/x.ts', `import { Packr } from 'msgpackr';`, /in 2 files/],
  ['msgpackr outside core', 'tasks/src/x.ts', `import { Packr } from 'msgpackr/pack';`, /one file of core/],
  ['a second importer of xxhash-wasm', 'core/src/x.ts', `import x from 'xxhash-wasm';`, /in 2 files/],
  ['nobody importing lmdb', 'core/src/log/lmdb-environment.ts', `export {};`, /imported nowhere/],
  ['a default export', 'core/src/x.ts', `export default function x() {}`, /default export/],
  ['a default export by another name', 'core/src/x.ts', `export { x as default };`, /default export/],
  ['export *', 'core/src/x.ts', `export * from './y.js';`, /export \*/],
  ['export type *', 'core/src/x.ts', `export type * from './y.js';`, /export \*/],
  ['export * as', 'core/src/x.ts', `export * as y from './y.js';`, /export \*/],
  ['await at the top level', 'core/src/x.ts', `export const hash = await load();`, /awaits at its top level/],
  ['a module by a computed name', 'core/src/x.ts', `void import(name);`, /cannot be seen/],
  ['a module by a required, computed name', 'core/src/x.ts', `require(name);`, /cannot be seen/],
];
for (const [situation, path, text, violation] of broken) {
  rules(`refuses ${situation}`, () => {
    const found = violationsWith(`packages/${path}`, `const before = 1;\n${text}\n`);
    assert.is(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', violation);
  });
}

rules('refuses an import that the manifest does not declare', () => {
  const manifest = { name: 'x', dependencies: { commander: '1' }, devDependencies: { lmdb: '1' } };
  const text = `import 'commander/extra';\nimport 'node:path';\nimport './y.js';\nimport 'lmdb';\n`;
  const found = undeclaredImports(manifest, [{ path: 'packages/x/src/x.ts', text }]);
  assert.is(found.length, 1);
  assert.match(found[0] ?? '', /imports lmdb/);
});

rules('refuses a dependency against the arrows', () => {
  const dependencies = { '@forewrit/core': '1', '@forewrit/mcp': '1', '@forewrit/testkit': '1', lmdb: '1' };
  const found = dependencyViolations({ name: '@forewrit/recovery', dependencies });
  assert.equal(found.length, 2);
  assert.match(found.join(), /mcp/);
  assert.match(found.join(), /testkit/);
});

rules.run();

const workspace = suite('the packages');
const folders = packageFolders().filter((folder) => folder !== 'packages/testkit');

workspace('import along the arrows, through the seams, and export by name', () => {
  const sources = folders.flatMap(sourcesOf);
  assert.ok(sources.length > 0);
  assert.is(violationsOf(sources).join('\n'), '');
});

workspace('depend along the arrows, and on everything that they import', () => {
  const found = folders.flatMap((folder) => [
    ...dependencyViolations(manifestOf(folder)),
    ...undeclaredImports(manifestOf(folder), sourcesOf(folder)),
  ]);
  assert.is(found.join('\n'), '');
});

workspace('publish types that do not import what is behind the seams', () => {
  const behindSeams = /^(?:lmdb|msgpackr|xxhash-wasm|node-disk-info)(?:\/|$)/;
  const declarations = folders
    .flatMap((folder) => filesBelow(`${folder}/dist`))
    .filter((path) => path.endsWith('.d.ts'));
  assert.ok(declarations.length > 0);
  const found = declarations.filter((path) =>
    importsOf(readText(path)).some((name) => behindSeams.test(name)),
  );
  assert.equal(found, []);
});

workspace.run();
