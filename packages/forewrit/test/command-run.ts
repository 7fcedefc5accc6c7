/** The command as a user runs it: a process of its own, with pipes. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

export interface CommandRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Sent to the process as soon as this holds. */
  /** Hears of the standard output as it comes. */
  readonly onOutput?: (text: string) => void;
  /** The user it runs as. */
  readonly uid?: number;
  /** The command line that it runs under. */
  readonly under?: readonly string[];
  readonly signal?: { readonly name: NodeJS.Signals; readonly when: () => boolean };
}

export function runCommand(args: readonly string[], options: CommandOptions = {}): Promise<CommandRun> {
  const { cwd, env, signal, uid, under = [] } = options;
  // What the tests run under says nothing about colours here.
  const { NO_COLOR: _1, FORCE_COLOR: _2, ...inherited } = process.env;
  const [program = process.execPath, ...words] = [...under, process.execPath, cli, ...args];
  const child = spawn(program, words, {
    ...(uid === undefined ? {} : { uid, gid: uid }),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...inherited, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    options.onOutput?.(text);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const timer = setInterval(() => {
    if (signal?.when() !== true) return;
    child.kill(signal.name);
    clearInterval(timer);
  }, 20);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => {
      clearInterval(timer);
      resolve({ exitCode, stdout, stderr });
    });
  });
}

/** The result of a verb with --json; fails if it is not one JSON document, or anything else was printed. */
export async function runJson<Result>(
  args: readonly string[],
  options?: CommandOptions,
): Promise<{ readonly exitCode: number | null; readonly json: Result }> {
  const { exitCode, stdout, stderr } = await runCommand(['--json', ...args], options);
  if (stderr !== '') throw new Error(`unexpected on stderr: ${stderr}`);
  return { exitCode, json: JSON.parse(stdout) as Result };
}

export interface JsonError {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly stack?: string;
  };
}
