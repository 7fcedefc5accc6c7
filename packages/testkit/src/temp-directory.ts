import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryDirectory extends Disposable, AsyncDisposable {
  /** Absolute, and free of symlinks. */
  readonly path: string;
  /** Removes it with all that is in it; more than once is fine. */
  remove(): void;
}

const living = new Set<TemporaryDirectory>();

/**
 * A new, empty directory. It goes when it is removed or disposed of (`using directory = temporaryDirectory()`),
 * at the latest when the process exits. Directories are made below `FOREWRIT_TEST_DIR`, so that a suite can be run
 * on another file system; by default below the system's place for temporary files. `FOREWRIT_TEST_KEEP=1` leaves
 * them there, for a look.
 */
export function temporaryDirectory(name = 'test'): TemporaryDirectory {
  const base = process.env['FOREWRIT_TEST_DIR'] ?? tmpdir();
  mkdirSync(base, { recursive: true });
  const path = realpathSync(mkdtempSync(join(base, `forewrit-${name}-`)));
  const remove = (): void => {
    living.delete(directory);
    if (process.env['FOREWRIT_TEST_KEEP']) return;
    rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  };
  const directory: TemporaryDirectory = {
    path,
    remove,
    [Symbol.dispose]: remove,
    [Symbol.asyncDispose]: async () => remove(),
  };
  living.add(directory);
  return directory;
}

process.on('exit', () => {
  for (const directory of living) {
    try {
      directory.remove();
    } catch (error) {
      console.error(`${directory.path} could not be removed:`, error);
    }
  }
});
