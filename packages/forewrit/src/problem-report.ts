/** What an inspection found damaged, as text and as JSON. */

import type { Inspection } from '@forewrit/recovery';
import type { Json } from './command.js';
import { type Colors, printable } from './terminal.js';

type Problems = Inspection['problems'];

export function problemsAsJson(problems: Problems): Json {
  return problems.map(({ code, message, hint }) => ({ code, message, hint: hint ?? null }));
}

export function problemsAsText(problems: Problems, colors: Colors): string {
  return problems
    .map(({ code, message, hint }) => {
      const advice = hint === undefined ? '' : `  ${printable(hint)}\n`;
      return `${colors.red(code)}: ${printable(message)}\n${advice}`;
    })
    .join('');
}
