/** A directory in which the packages are installed, as far as a program there can tell. */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { workspace } from './page.js';

const installed = ['context', 'mcp', 'staging', 'tasks', 'forewrit'];

export function install(directory: string): void {
  mkdirSync(`${directory}/node_modules/@forewrit`, { recursive: true });
  for (const name of installed) {
    const place = name === 'forewrit' ? name : `@forewrit/${name}`;
    symlinkSync(`${workspace}/packages/${name}`, `${directory}/node_modules/${place}`, 'dir');
  }
}

/** A directory of programs for `PATH`: the command by its name, and through npx, and this Node. */
export function installCommands(directory: string): string {
  const bin = `${directory}/bin`;
  mkdirSync(bin, { recursive: true });
  const node = `'${process.execPath}'`;
  const scripts = {
    node: `exec ${node} "$@"`,
    forewrit: `exec ${node} '${workspace}/packages/forewrit/dist/cli.js' "$@"`,
    npx: `[ "$1" = forewrit ] || { echo "npx $1 is not for tests" >&2; exit 1; }\nexec "$@"`,
  };
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(`${bin}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return bin;
}
