/** Resident memory, with what the garbage collector could take back taken back first. */

const mebibyte = 2 ** 20;

/** Needs `--expose-gc`, without which rubbish would be counted. */
export function collectGarbage(): void {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('run with --expose-gc');
  gc();
}

export function residentMiB(): number {
  return process.memoryUsage.rss() / mebibyte;
}

/** The most that was resident while the action ran, beyond what was before. */
export async function moreMemoryMiB(action: () => Promise<void>): Promise<number> {
  collectGarbage();
  const atRest = residentMiB();
  let most = atRest;
  const look = (): void => {
    most = Math.max(most, residentMiB());
  };
  const watch = setInterval(look, 10);
  try {
    await action();
    look();
  } finally {
    clearInterval(watch);
  }
  return most - atRest;
}
