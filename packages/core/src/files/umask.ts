/** The mode bits that new files of this process do not get. */
export function currentUmask(): number {
  // Deprecated, for it sets the mask for a moment; but there is no other way to ask, and it is asked while opening only.
  // oxlint-disable-next-line typescript/no-deprecated
  return process.umask();
}
