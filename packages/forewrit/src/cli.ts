#!/usr/bin/env node
/** The `forewrit` command as a process: signals, streams, exit code. */

import { exitCodes } from './exit-code.js';
import { type Run, runProgram } from './program.js';
import { openTerminal } from './terminal.js';

/** What is under way when Ctrl-C comes gets so long to clean up. */
const interruptTimeoutMs = 3000;

function main(): void {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The second time there is no patience left.
      if (interrupted.signal.aborted) process.exit(exitCodes.interrupted);
      interrupted.abort();
      setTimeout(() => process.exit(exitCodes.interrupted), interruptTimeoutMs).unref();
    });
  }
  // Whoever reads us has seen enough (`| head`).
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(exitCodes.clean);
  });

  const { stdout, stderr, stdin, env } = process;
  const terminal = openTerminal({ stdout, stderr, stdin, env });
  const { signal } = interrupted;
  run({ args: process.argv.slice(2), terminal, signal }).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = exitCodes.findings;
  });
}

async function run(options: Run): Promise<void> {
  const exitCode = await runProgram(options);
  process.exitCode = options.signal.aborted ? exitCodes.interrupted : exitCode;
}

main();
