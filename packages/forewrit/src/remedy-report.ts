/** The command that mends something, as it can be pasted into a shell. */

import type { Remedy } from '@forewrit/recovery';
import type { Json } from './command.js';
import { type Colors, printable } from './terminal.js';

export function shellLine(words: readonly string[]): string {
  return words.map(shellWord).join(' ');
}

function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (printable(word) === word) return `'${word.replaceAll("'", String.raw`'\''`)}'`;
  // What would steer the terminal or break the line.
  const bytes = [...Buffer.from(word)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`);
  return `$'${bytes.join('')}'`;
}

export function remedyAsJson({ command, alternatives = [], advice }: Remedy): Json {
  return {
    command: command === undefined ? null : shellLine(command),
    alternatives: alternatives.map(shellLine),
    advice: advice ?? null,
  };
}

/** Lines that follow what was seen and what it means. */
export function remedyAsText({ command, alternatives = [], advice }: Remedy, colors: Colors): string {
  const lines: string[] = [];
  if (advice !== undefined) lines.push(`  ${printable(advice)}`);
  if (command !== undefined) lines.push(`  ${colors.cyan('mend:')} ${shellLine(command)}`);
  for (const words of alternatives) lines.push(`    ${colors.dim('or:')} ${shellLine(words)}`);
  return lines.map((line) => `${line}\n`).join('');
}
