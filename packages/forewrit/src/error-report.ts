/** An error as the command shows it: what happened, and what to do about it. The stack only when it is asked for. */

import { isStoreError, systemCode } from '@forewrit/core';
import type { Explanation } from '@forewrit/recovery';
import type { Json } from './command.js';
import { remedyAsJson, remedyAsText } from './remedy-report.js';
import { type Colors, printable } from './terminal.js';

export interface ErrorReportOptions {
  readonly debug: boolean;
  /** In place of the error's own. */
  readonly hint?: string;
  /** What the error means for the store, and what mends it. */
  readonly explanation?: Explanation | undefined;
}

export function errorAsText(
  error: unknown,
  { colors, debug, hint = hintOf(error), explanation }: ErrorReportOptions & { readonly colors: Colors },
): string {
  const code = systemCode(error);
  const suffix = code === undefined ? '' : ` ${colors.dim(`(${code})`)}`;
  const lines = [`${colors.red('error:')} ${printableLines(messageOf(error))}${suffix}`];
  if (hint !== undefined) lines.push(`${colors.cyan('hint:')}  ${printableLines(hint)}`);
  const said = `${lines.join('\n')}\n`;
  const more = explanation === undefined ? '' : explanationAsText(explanation, colors);
  return said + more + (debug ? `${stackOf(error)}\n` : '');
}

function explanationAsText({ meaning, remedy }: Explanation, colors: Colors): string {
  return `${colors.cyan('means:')} ${printableLines(meaning)}\n${remedyAsText(remedy, colors)}`;
}

export function errorAsJson(
  error: unknown,
  { debug, hint = hintOf(error), explanation }: ErrorReportOptions,
): Json {
  const store = isStoreError(error) ? error : undefined;
  return {
    error: {
      code: systemCode(error) ?? 'ERR_INTERNAL',
      message: messageOf(error),
      ...(store === undefined ? {} : { op: store.op }),
      ...(store?.path === undefined ? {} : { path: store.path }),
      ...(store?.transaction === undefined ? {} : { transaction: store.transaction }),
      ...(hint === undefined ? {} : { hint }),
      ...(explanation === undefined
        ? {}
        : { meaning: explanation.meaning, remedy: remedyAsJson(explanation.remedy) }),
      ...(debug ? { stack: stackOf(error) } : {}),
    },
  };
}

function hintOf(error: unknown): string | undefined {
  return error instanceof Error && 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined;
}

function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** With the causes, down to what the system answered. */
function stackOf(error: unknown): string {
  const stacks: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) stacks.push(at.stack ?? at.message);
  return stacks.join('\ncaused by ');
}
