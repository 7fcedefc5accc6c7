/**
 * A page of the documentation as tests see it: its fenced blocks, and what is to be done with each.
 *
 * | block | is |
 * | --- | --- |
 * | `js`, `ts` | run, one after the other in one directory |
 * | `js` whose first line is `// name.mjs` | a file, for the sessions of the page |
 * | `console`, after `<!-- session -->` or `<!-- session: NAME -->` | run, and compared with what it prints |
 * | `json` | parsed |
 * | `sh`, `ini` | parsed; what it runs of this project must be there |
 * | none | a diagram, a layout, or output |
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const workspace = fileURLToPath(new URL('../../../..', import.meta.url));

export interface Block {
  readonly language: string;
  readonly text: string;
  /** The line of its opening fence, from 1. */
  readonly line: number;
  /** The name that a block of JavaScript gives itself. */
  readonly file?: string;
  /** The situation that a session begins in; `empty` where it names none. */
  readonly session?: string;
}

/** What the blocks of the README print, one after the other. */
export const readmeOutputs: readonly RegExp[] = [
  /^1\n$/,
  /'archive\/messages-1\.json'.*\{ archived: true \}/s,
  /^0 12\n$/,
  /elsewhere/,
];

export const isRun = ({ language, file }: Block): boolean =>
  ['js', 'ts'].includes(language) && file === undefined;

const fence = /^(?:<!-- session(?:: ([a-z-]+))? -->\n+)?```([a-z]*)[^\n]*\n(.*?)^```$/gms;

export function blocksOf(text: string): Block[] {
  return [...text.matchAll(fence)].map((match) => {
    const [whole, situation, language, code] = match;
    const before = text.slice(0, match.index + whole.indexOf('```'));
    const file = language === 'js' ? /^\/\/ ([\w-]+\.(?:mjs|cjs))\n/.exec(code!)?.[1] : undefined;
    return {
      language: language!,
      text: code!,
      line: before.split('\n').length,
      ...(file === undefined ? {} : { file }),
      ...(whole.startsWith('<!-- session') ? { session: situation ?? 'empty' } : {}),
    };
  });
}

/** Every page that people read, from the top of the workspace. */
export function pages(): string[] {
  const below = (folder: string): string[] =>
    readdirSync(`${workspace}/${folder}`)
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`);
  const packages = readdirSync(`${workspace}/packages`).map((name) => `packages/${name}/README.md`);
  return [
    'README.md',
    'CONTRIBUTING.md',
    'bench/README.md',
    ...below('docs'),
    ...packages.filter((path) => existsSync(`${workspace}/${path}`)),
  ];
}

export function readPage(path: string): string {
  return readFileSync(`${workspace}/${path}`, 'utf8');
}
