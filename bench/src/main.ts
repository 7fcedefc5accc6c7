import { fileURLToPath } from 'node:url';
import { runProgram } from './program.js';
import { openTerminal } from './terminal.js';

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort());

process.exitCode = await runProgram({
  args: process.argv.slice(2),
  terminal: openTerminal(process),
  signal: interruption.signal,
  workspace: fileURLToPath(new URL('../..', import.meta.url)),
});
