/** The list of mutants as `docs/testing.md` shows it, between two marks. */

import { readFileSync, writeFileSync } from 'node:fs';
import { mutants } from './mutants.js';

const page = new URL('../../../../docs/testing.md', import.meta.url);
const begin = '<!-- mutants -->';
const end = '<!-- /mutants -->';

export function listIsUpToDate(): boolean {
  const text = readFileSync(page, 'utf8');
  return text === withList(text);
}

export function writeList(): void {
  writeFileSync(page, withList(readFileSync(page, 'utf8')));
}

function withList(text: string): string {
  const [before, rest, ...more] = text.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`docs/testing.md needs one '${begin}' and one '${end}'`);
  }
  return `${before}${begin}\n\n${listed()}\n${end}${after}`;
}

function listed(): string {
  const rows = mutants.map(
    ({ name, breaks, killer }) => `| \`${name}\` | ${breaks} | \`${killer.file}\`: ${killer.test} |\n`,
  );
  return `${mutants.length} of them:\n\n| mutant | what goes wrong | noticed by |\n| --- | --- | --- |\n${rows.join('')}`;
}
