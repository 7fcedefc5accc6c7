/**
 * Where the command writes. Results go to the standard output, everything else to the standard error; colour and
 * progress only where a person is looking. NO_COLOR is honoured (https://no-color.org).
 */

import { createInterface } from 'node:readline';
import Table from 'cli-table3';
import picocolors from 'picocolors';

export type Colors = ReturnType<typeof picocolors.createColors>;

export interface Terminal {
  readonly colors: Colors;
  /** Text for the standard output; ends its own lines. Bytes as they are. */
  write(text: string | Uint8Array): void;
  writeError(text: string): void;
  /** Replaces the line that is being shown, on a terminal; nothing anywhere else. '' takes it away. */
  progress(text: string): void;
  /** Asks a person; `undefined` where there is none. */
  confirm(question: string, signal: AbortSignal): Promise<boolean | undefined>;
}

interface Stream {
  write(text: string | Uint8Array): unknown;
  /** Absent, whatever its type says, where there is no terminal. */
  readonly isTTY?: boolean;
}

export interface TerminalStreams {
  readonly stdout: Stream;
  readonly stderr: Stream;
  /** Of whoever can be asked. */
  readonly stdin?: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function openTerminal({ stdout, stderr, stdin, env }: TerminalStreams): Terminal {
  const eraseLine = '\r\u001B[2K';
  const showsProgress = stderr.isTTY === true && env['TERM'] !== 'dumb';
  let shown = '';
  return {
    colors: picocolors.createColors(usesColor(stdout.isTTY === true, env)),
    write: (text) => void stdout.write(text),
    writeError: (text) => void stderr.write(text),
    progress: (text) => {
      if (!showsProgress || text === shown) return;
      shown = text;
      stderr.write(eraseLine + text);
    },
    confirm: async (question, signal) => {
      if (stdin?.isTTY !== true || stderr.isTTY !== true) return undefined;
      stderr.write(`${question} [y/N] `);
      return /^\s*y(?:es)?\s*$/i.test(await firstLine(stdin, signal));
    },
  };
}

/** '' if it ends, or nobody wants the answer any more. */
function firstLine(input: NodeJS.ReadableStream, signal: AbortSignal): Promise<string> {
  const lines = createInterface({ input });
  return new Promise((resolve) => {
    lines.once('line', resolve);
    lines.once('close', () => resolve(''));
    signal.addEventListener('abort', () => lines.close(), { once: true });
  }).then((line) => {
    lines.close();
    return String(line);
  });
}

/** Not picocolors' own answer: that one colours pipes in CI. */
export function usesColor(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return isTerminal && env['TERM'] !== 'dumb';
}

/** Text that may come from anywhere, and how it is coloured. */
export type Cell = string | { readonly text: string; readonly color: (text: string) => string };

export interface TableOptions {
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** Positions of the columns that hold numbers. */
  readonly right?: readonly number[];
}

const noLines = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Columns and blanks, no lines: what is easy to read is easy to cut, too. */
export function table(colors: Colors, { head, rows, right = [] }: TableOptions): string {
  const printed = new Table({
    head: head.map((title) => colors.bold(title)),
    chars: noLines,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: head.map((_, index) => (right.includes(index) ? 'right' : 'left')),
  });
  printed.push(...rows.map((row) => row.map(shown)));
  const lines = printed.toString().split('\n');
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

function shown(cell: Cell): string {
  return typeof cell === 'string' ? printable(cell) : cell.color(printable(cell.text));
}

/** A name may hold anything but a slash: nothing in one may steer the terminal or break a line. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\u0000-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    return escaped === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : escaped;
  });
}
