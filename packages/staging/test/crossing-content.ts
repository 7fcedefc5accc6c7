/** Larger than what travels in the log. */
export function linesOf(lines: number): string {
  return 'content of some size.\n'.repeat(lines);
}
