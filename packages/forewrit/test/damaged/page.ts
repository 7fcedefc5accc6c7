/** docs/damaged-stores.md: a table of all damages, and what `check` prints of each. */

import type { Damage } from './damage.js';
import type { Judgement } from './judgement.js';

export interface Judged {
  readonly damage: Damage;
  readonly judgement: Judgement;
}

const opening = `# Damaged stores

Stores that were damaged on purpose, what \`forewrit check\` says of each, and the command it names. All of this is the output of a
test (\`packages/forewrit/test/damaged-stores.slow.test.ts\`), which runs exactly these commands, one after the other, until nothing is
found any more, and sees that nothing that could be read before cannot be read afterwards. The store is in \`data\`. It held three
files and two entries of a collection.

| | damage | \`check\` finds | what mends it | afterwards |
| --- | --- | --- | --- | --- |
`;

export function damagedStoresPage(judged: readonly Judged[]): string {
  const rows = judged.map(({ damage, judgement }, index) =>
    [
      String(index + 1),
      `[${damage.name}](#${index + 1})`,
      [...new Set(judgement.codes)].map(code).join(', ') || 'nothing',
      mendOf(damage, judgement),
      afterwardsOf(damage, judgement),
    ].join(' | '),
  );
  const details = judged.map(
    ({ damage, judgement }, index) =>
      `<a id="${index + 1}"></a>\n\n## ${index + 1}. ${upper(damage.name)}\n\n\`\`\`\n$ forewrit check ${
        damage.readData === true ? '--read-data ' : ''
      }--root data\n${judgement.output.trimEnd()}\n\`\`\`\n`,
  );
  return `${opening}${rows.map((row) => `| ${row} |\n`).join('')}\n${details.join('\n')}`;
}

function mendOf({ person }: Damage, { codes, mends }: Judgement): string {
  if (person !== undefined) return `a person ${person}`;
  if (codes.length === 0) return 'nothing to mend';
  return mends.map((line) => code(isSystems(line) ? line : `forewrit ${line}`)).join(', then ');
}

function isSystems(line: string): boolean {
  return /^(?:mv|chmod|chown) /.test(line);
}

function afterwardsOf(damage: Damage, { after, kept }: Judgement): string {
  if (damage.person !== undefined) return 'unchanged';
  const lost = Object.keys({ one: 1, two: 2 }).filter((key) => after.entries?.[key] === undefined).length;
  return [
    damage.files === undefined ? 'files as they were' : 'files as the saves and edits left them',
    lost === 0 ? undefined : `${lost} of 2 entries lost`,
    kept.length === 0 ? undefined : `${kept.length} kept in \`conflicts/\``,
  ]
    .filter((each) => each !== undefined)
    .join('; ');
}

function code(text: string): string {
  return `\`${text}\``;
}

function upper(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
