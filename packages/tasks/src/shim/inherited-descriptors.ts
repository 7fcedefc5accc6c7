/**
 * Whoever runs the engine may have left it descriptors that are inherited on and on: ends of pipes, say, whose other
 * ends wait until all who hold one are gone. The shim lives long, so it closes them, and its command never has them.
 * Node's own are marked to be closed on exec; these are not. Linux only: elsewhere they cannot be told apart.
 */

import * as fs from 'node:fs';

const closeOnExec = 0o2000000;
const standardMax = 2;

export function closeInheritedDescriptors(): void {
  for (const name of namesIn('/proc/self/fd')) {
    const descriptor = Number(name);
    if (descriptor <= standardMax) continue;
    try {
      const info = fs.readFileSync(`/proc/self/fdinfo/${name}`, 'latin1');
      const flags = Number.parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '', 8);
      if (!Number.isNaN(flags) && (flags & closeOnExec) === 0) fs.closeSync(descriptor);
    } catch {
      // The one that the names were read through.
    }
  }
}

function namesIn(path: string): readonly string[] {
  try {
    return fs.readdirSync(path);
  } catch {
    return [];
  }
}
