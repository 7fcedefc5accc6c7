// What the other scripts share: where the workspace is, and how a program is run in it.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const workspace = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a program with the terminal handed through; returns its exit code (1 when a signal ended it). */
export function run(command, args, options = {}) {
  const { cwd = workspace, env = {}, shell = false } = options;
  const result = spawnSync(command, args, { cwd, env: { ...process.env, ...env }, shell, stdio: 'inherit' });
  if (result.error) throw result.error;
  return result.status ?? 1;
}

/** Runs a JavaScript program with this Node. */
export function runNode(script, args = [], options = {}) {
  return run(process.execPath, [join(workspace, script), ...args], options);
}

/** Runs a program that the workspace has installed, by the name of its package and the path of its script. */
export function runTool(script, args = [], options = {}) {
  return runNode(join('node_modules', script), args, options);
}
