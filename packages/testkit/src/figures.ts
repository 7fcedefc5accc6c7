/** What a test has counted, on a line of its output, for whoever started it. */

export const figuresPrefix = '#forewrit-figures ';

export interface Figures {
  /** Which campaign it is of. */
  readonly campaign: string;
  /** Of what: a file system, a store. */
  readonly subject: string;
  readonly counts: Readonly<Record<string, number>>;
}

export function publishFigures(figures: Figures): void {
  console.log(`${figuresPrefix}${JSON.stringify(figures)}`);
}

export function figuresIn(output: string): Figures[] {
  return output
    .split('\n')
    .map((line) => (line.indexOf(figuresPrefix) < 0 ? '' : line.slice(line.indexOf(figuresPrefix))))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line.slice(figuresPrefix.length)) as Figures);
}
