/** What `docs/testing.md` says of coverage, each part between two marks: the figures, and what is not counted and why. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesBelow, packageFolders, readText, workspaceRoot } from './workspace.js';

export interface Exclusion {
  readonly path: string;
  readonly lineCount: number;
  readonly reason: string;
}

export interface Figures {
  readonly name: string;
  readonly lines: string;
  readonly branches: string;
}

const page = 'docs/testing.md';
const reasonCharsMin = 15;

// Whatever the tool would heed. (The class keeps this file from matching itself.)
const anyHint = /(?:[cv]8|istanbul) ignor[e]|node:coverag[e]/;
const hintWithReason = /^\s*\/\* c8 ignor[e] next (\d+) -- (.+) \*\/$/;

/** The exclusions of a source, and the lines that exclude something without saying how much or why. */
export function exclusionsIn(
  path: string,
  text: string,
): { readonly exclusions: readonly Exclusion[]; readonly violations: readonly string[] } {
  const exclusions: Exclusion[] = [];
  const violations: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (!anyHint.test(line)) continue;
    const [, count, reason = ''] = hintWithReason.exec(line) ?? [];
    if (count !== undefined && reason.length >= reasonCharsMin) {
      exclusions.push({ path, lineCount: Number(count), reason });
    } else {
      violations.push(`${path}:${index + 1}: not '/* c8 ignore next <lines> -- <reason> */': ${line.trim()}`);
    }
  }
  return { exclusions, violations };
}

export function allExclusions(): ReturnType<typeof exclusionsIn> {
  const found = packageFolders()
    .flatMap((folder) => filesBelow(`${folder}/src`))
    .filter((path) => path.endsWith('.ts'))
    .toSorted()
    .map((path) => exclusionsIn(path, readText(path)));
  return {
    exclusions: found.flatMap(({ exclusions }) => exclusions),
    violations: found.flatMap(({ violations }) => violations),
  };
}

export function exclusionListIsUpToDate(): boolean {
  const text = readText(page);
  return text === withPart(text, 'exclusions', exclusionList());
}

/** Behind `npm run coverage -- --write`. */
export function writeCoverage(figures: readonly Figures[]): void {
  const rows = figures.map(({ name, lines, branches }) => `| \`${name}\` | ${lines} | ${branches} |\n`);
  const table = `| package | lines | branches |\n| --- | --- | --- |\n${rows.join('')}`;
  const text = withPart(withPart(readText(page), 'coverage', table), 'exclusions', exclusionList());
  writeFileSync(join(workspaceRoot, page), text);
}

function exclusionList(): string {
  const { exclusions } = allExclusions();
  if (exclusions.length === 0) return 'None.\n';
  const rows = exclusions.map(
    ({ path, lineCount, reason }) =>
      `| \`${path.replace(/^packages\//, '')}\` | ${lineCount} | ${reason} |\n`,
  );
  return `| file | lines | not counted because |\n| --- | --- | --- |\n${rows.join('')}`;
}

function withPart(text: string, name: string, part: string): string {
  const begin = `<!-- ${name} -->`;
  const end = `<!-- /${name} -->`;
  const [before, rest, ...more] = text.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`${page} needs one '${begin}' and one '${end}'`);
  }
  return `${before}${begin}\n\n${part}\n${end}${after}`;
}
