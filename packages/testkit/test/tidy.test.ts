import * as assert from '#src/assert.js';
import { suite } from '#src/suite.js';
import { readText, workspaceFiles } from './workspace.js';

interface Rule {
  readonly name: string;
  readonly pattern: RegExp;
  /** All files, unless given. */
  readonly files?: RegExp;
}

const rules: readonly Rule[] = [
  // A path of one machine means nothing on another. (The classes keep this file from matching itself.)
  { name: 'a path of one machine', pattern: /(?<![\w.~@:/-])\/(?:wor[k]|roo[t]|hom[e])\// },
  {
    name: 'a package registry',
    pattern: /\b(?:registry|npm)\.[a-z\d-]+(?:\.[a-z\d-]+)*\.(?:org|com|net|io|dev|local|internal)\b/,
  },
  {
    name: 'a place to download from',
    pattern: /https?:|\btarball:|\bresolved\b/,
    files: /(?:^|\/)pnpm-lock\.yaml$/,
  },
  { name: 'a registry or its password', pattern: /registry\s*=|_auth/, files: /(?:^|\/)\.npmrc$/ },
  { name: 'a conflict marker', pattern: /^(?:<{7}|>{7}) /m },
];

function findingsIn(path: string, text: string): string[] {
  if (text.includes('\0')) return [];
  return rules
    .filter(({ files }) => files === undefined || files.test(path))
    .filter(({ pattern }) => pattern.test(text))
    .map(({ name }) => `${path}: names ${name}`);
}

const test = suite('tidiness');

test('the check finds what it looks for', () => {
  const lockfile = 'bench/peers/pnpm-lock.yaml';
  const untidy: readonly (readonly [string, string])[] = [
    ['a.md', `see ${'/hom'}e/someone/x`],
    ['a.ts', `const root = '${'/roo'}t/x';`],
    ['.ci/run', `cd ${'/wor'}k/x`],
    ['a.json', `"${'regis'}try.example.org"`],
    ['a.yaml', `https://${'np'}m.example.com/x`],
    [lockfile, `resolution: {tarball: x}`],
    [lockfile, `https://example.org/x.tgz`],
    ['.npmrc', `@x:${'regis'}try=x`],
    ['a.ts', `${'<'.repeat(7)} HEAD\n`],
  ];
  for (const [path, text] of untidy) assert.is(findingsIn(path, text).length, 1, `${path}: ${text}`);

  const tidy = [
    `packages${'/hom'}e/x`,
    `https://example.org${'/hom'}e/x`,
    'registry.entries.get(x)',
    'homework/x',
  ];
  for (const text of tidy) assert.equal(findingsIn('a.ts', text), [], text);
});

test('no file names a path of one machine or a package registry', () => {
  const files = workspaceFiles();
  assert.ok(files.includes('pnpm-lock.yaml'));
  const findings = files.flatMap((path) => findingsIn(path, readText(path)));
  assert.is(findings.join('\n'), '');
});

test.run();
