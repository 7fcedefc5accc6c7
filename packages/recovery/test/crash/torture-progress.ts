/** How far a long run has come: one line that changes on a terminal; elsewhere a line each half a minute. */

const lineEveryMs = 30_000;

export class Progress {
  #lastMs = performance.now();
  #isShown = false;

  show(line: string): void {
    const { isTTY, columns } = process.stdout;
    if (isTTY) {
      process.stdout.write(`\r\u001b[K${line.slice(0, columns - 1)}`);
      this.#isShown = true;
      return;
    }
    if (performance.now() - this.#lastMs < lineEveryMs) return;
    this.#lastMs = performance.now();
    process.stdout.write(`${line}\n`);
  }

  /** What is to stay. */
  tell(text: string): void {
    process.stdout.write(`${this.#isShown ? '\r\u001b[K' : ''}${text}\n`);
    this.#isShown = false;
  }
}
