/** What an inspection found damaged, as text and as JSON. */

import { StoreError } from '@forewrit/core';
import { explain, type Explanation, type Inspection } from '@forewrit/recovery';
import type { Json } from './command.js';
import { remedyAsJson, remedyAsText } from './remedy-report.js';
import { type Colors, printable } from './terminal.js';

type Problem = Inspection['problems'][number];

export function problemsAsJson(inspection: Pick<Inspection, 'root' | 'problems'>): Json {
  return inspection.problems.map((problem) => {
    const { code, message, hint } = problem;
    const explanation = explained(inspection, problem);
    return {
      code,
      message,
      hint: hint ?? null,
      meaning: explanation?.meaning ?? null,
      remedy: explanation === undefined ? null : remedyAsJson(explanation.remedy),
    };
  });
}

export function problemsAsText(inspection: Pick<Inspection, 'root' | 'problems'>, colors: Colors): string {
  return inspection.problems
    .map((problem) => {
      const { code, message, hint } = problem;
      const said = `${colors.red(code)}: ${printable(message)}\n`;
      const explanation = explained(inspection, problem);
      if (explanation === undefined) return hint === undefined ? said : `${said}  ${printable(hint)}\n`;
      return `${said}  ${explanation.meaning}\n${remedyAsText(explanation.remedy, colors)}`;
    })
    .join('');
}

function explained({ root }: Pick<Inspection, 'root'>, { code, message }: Problem): Explanation | undefined {
  return explain(new StoreError(code as StoreError['code'], message, { op: 'inspect' }), { root });
}
