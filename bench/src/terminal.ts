/** Results to the standard output; what goes on meanwhile to the standard error, and only where somebody is looking. */

export interface Terminal {
  write(text: string): void;
  /** A line that stays. */
  say(text: string): void;
  /** Replaces the line that is being shown; '' takes it away. */
  progress(text: string): void;
}

interface Stream {
  write(text: string): unknown;
  /** Absent, whatever its type says, where there is no terminal. */
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const eraseLine = '\r\u001B[2K';
const columnsDefault = 80;

export function openTerminal({
  stdout,
  stderr,
}: {
  readonly stdout: Stream;
  readonly stderr: Stream;
}): Terminal {
  const showsProgress = stderr.isTTY === true;
  let shown = '';
  const progress = (text: string): void => {
    if (!showsProgress || text === shown) return;
    shown = text;
    stderr.write(eraseLine + text.slice(0, (stderr.columns ?? columnsDefault) - 1));
  };
  return {
    write: (text) => void stdout.write(text),
    say: (text) => {
      progress('');
      stderr.write(`${text}\n`);
    },
    progress,
  };
}
