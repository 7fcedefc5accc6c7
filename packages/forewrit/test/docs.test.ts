import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodeTransaction, formatVersion, loadChecksum, metaKeys, numberRow, tables } from '@forewrit/core';
import { decisionTable, findingKinds } from '@forewrit/recovery';
import { assert, suite } from '@forewrit/testkit';

const test = suite('the documentation against the code');

const workspace = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string): string => readFileSync(`${workspace}/${path}`, 'utf8');

test('every error code has a section in docs/errors.md, and every section a code', () => {
  const codes = new Set(read('packages/core/src/errors.ts').match(/(?<=')ERR_[A-Z_]+(?=')/g));
  const headings = [...read('docs/errors.md').matchAll(/^## `(ERR_[A-Z_]+)`$/gm)].map((match) => match[1]!);
  assert.equal(headings, [...codes].sort());
});

test('every section of docs/errors.md says what the code means and what to do', () => {
  const sections = read('docs/errors.md').split(/^## /m).slice(1);
  for (const section of sections) {
    assert.match(section, /^\*Means:\* \S/m, section);
    assert.match(section, /^\*Do:\* \S/m, section);
  }
});

test('docs/recovery.md has every row of the decision table, with its verdict', () => {
  const verdicts = new Map<number, Set<string>>();
  for (const { row, verdict } of decisionTable)
    verdicts.set(row, (verdicts.get(row) ?? new Set()).add(verdict));
  const text = read('docs/recovery.md');
  const lines = new Map(
    [...text.matchAll(/^\| (\d+) \|.*\| ([^|]+) \|$/gm)].map((match) => [Number(match[1]), match[2]!]),
  );
  assert.equal([...lines.keys()], [...verdicts.keys(), 14]);
  for (const [row, expected] of verdicts) {
    const bold = [...lines.get(row)!.matchAll(/\*\*(\w+)s?\*\*/g)].map((match) =>
      match[1]!.replace(/s$/, ''),
    );
    assert.equal(bold.sort(), [...expected].sort(), `row ${row}`);
  }
  const reasons = text.slice(text.indexOf('Why each row'), text.indexOf('Two rules that follow'));
  assert.equal(
    [...reasons.matchAll(/^(\d+)\. /gm)].map((match) => Number(match[1])),
    Array.from({ length: 14 }, (_, index) => index + 1),
  );
});

test('docs/check.md has every kind of finding, with what it means', () => {
  const rows = [...read('docs/check.md').matchAll(/^\| `([\w-]+)` \| (\w+) \| (.+) \|$/gm)].map((match) =>
    match.slice(1),
  );
  const kinds = Object.entries(findingKinds).map(([code, { severity, meaning }]) => [
    code,
    severity,
    meaning,
  ]);
  assert.equal(rows, kinds);
});

test('docs/format.md has every key of the database `meta`', () => {
  const text = read('docs/format.md');
  // A range is where keys of one kind are.
  const keys = Object.entries(metaKeys).filter(([name, key]) => !('start' in key) && !name.endsWith('Of'));
  assert.ok(keys.length >= 6);
  for (const [name] of keys) assert.match(text, new RegExp(`^\\| \`${name}\`.* \\| 2[0-3] \\|`, 'm'), name);
});

test('docs/format.md names every database and the version', () => {
  const text = read('docs/format.md');
  for (const name of tables) assert.match(text, new RegExp(`^\\| \`${name}\` \\|`, 'm'), name);
  assert.match(text, new RegExp(`^Format version ${formatVersion}\\.`, 'm'));
});

test('the example of a frame in docs/format.md is what is written', async () => {
  await loadChecksum();
  const example = /example: meta revision 1 -->\n```\n([^\n]+)\n/.exec(read('docs/format.md'))?.[1];
  const bytes = Buffer.from(numberRow.encode(metaKeys.revision, 1));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0'));
  assert.is(example?.replaceAll('??', '').trim(), hex.slice(0, -8).join(' '));
  assert.is(example?.split(' ').length, bytes.length);
  // A record under another key is damaged, as the page says.
  assert.throwsWithCode(() => numberRow.decode(metaKeys.owner, bytes), 'ERR_LOG_CORRUPT');
  assert.throwsWithCode(
    () => decodeTransaction({ owner: 1, counter: 1 }, [[Buffer.alloc(12), Buffer.of(2)]]),
    'ERR_UNSUPPORTED_FORMAT',
  );
});

test('docs/format.md names every kind of frame', () => {
  const kinds = [...read('packages/core/src/record/codec.ts').matchAll(/const kinds = \{([^}]+)\}/g)]
    .concat([...read('packages/core/src/record/rows.ts').matchAll(/const kinds = \{([^}]+)\}/g)])
    .flatMap((match) => [...match[1]!.matchAll(/\w+: (\d+)/g)].map((kind) => Number(kind[1])));
  const documented = [...read('docs/format.md').matchAll(/^\| (\d+) \| `/gm)].map((match) =>
    Number(match[1]),
  );
  assert.equal(documented, kinds);
});

test.run();
