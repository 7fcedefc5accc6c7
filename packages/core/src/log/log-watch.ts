/** Tells when the log's file was written, by whomever: by the system's notice, and by looking once a second. */
import { watchDirectory } from '../files/node-file-system.js';

/** One commit writes the file several times. */
const settleMs = 1;
/** Where the system does not watch, or loses a notice. */
export const watchFallbackMs = 1000;

export interface LogWatchOptions {
  readonly directory: string;
  readonly fileName: string;
  /** A number that changes with each commit. */
  readonly version: () => number;
  readonly listener: () => void;
}

/** Never keeps the process alive. Returns what ends it. */
export function watchLog({ directory, fileName, version, listener }: LogWatchOptions): () => void {
  let seen = version();
  let settling: NodeJS.Timeout | undefined;
  let unwatch: (() => void) | undefined;

  const tell = (): void => {
    settling = undefined;
    seen = version();
    listener();
  };
  try {
    unwatch = watchDirectory(directory, {
      listener: (name) => {
        if (name !== null && name !== fileName) return;
        settling ??= setTimeout(tell, settleMs).unref();
      },
      // The fallback goes on.
      onFailure: () => {},
    });
  } catch {
    // Too many watches, or a file system without: the fallback has to do.
  }
  const fallback = setInterval(() => {
    if (settling === undefined && version() !== seen) tell();
  }, watchFallbackMs).unref();

  return () => {
    clearInterval(fallback);
    clearTimeout(settling);
    unwatch?.();
  };
}
