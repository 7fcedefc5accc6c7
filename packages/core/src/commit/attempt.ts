/** Cleaning up as far as it goes: each caller says why it does not matter that something stays. */

/** What fails here must not hide the error that led to it, nor stop what comes after. */
export function attempt(action: () => void): boolean {
  try {
    action();
    return true;
  } catch {
    // What stays is swept later.
    return false;
  }
}
