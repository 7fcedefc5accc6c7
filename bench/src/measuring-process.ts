/** The measuring process, from the outside. */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { MeasureMessage, MeasureRequest } from './measure.js';
import type { RunOfScenario } from './measurement.js';

const program = fileURLToPath(new URL('./measure.js', import.meta.url));
const errorsKept = 4000;

export interface MeasuringOptions {
  readonly request: MeasureRequest;
  /** The command line that it is run under, for a mount of its own. */
  readonly under: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

/** Rejects if the process fails; killed with the signal. */
export async function measureInProcess(options: MeasuringOptions): Promise<RunOfScenario> {
  const { request, under, env, signal, onProgress } = options;
  signal.throwIfAborted();
  const [command, ...args] = [...under, process.execPath, '--expose-gc', program, JSON.stringify(request)];
  const child = spawn(command, args, {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  });
  let run: RunOfScenario | undefined;
  let errors = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as MeasureMessage;
    if (message.type === 'done') run = message.run;
    else onProgress(message.text);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-errorsKept);
  });
  const end = await new Promise<string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, killedBy) => resolve(killedBy ?? `code ${code}`));
  });
  signal.throwIfAborted();
  if (end === 'code 0' && run !== undefined) return run;
  throw new Error(`${request.scenario} ended with ${end}${errors === '' ? '' : `:\n${errors.trimEnd()}`}`);
}
