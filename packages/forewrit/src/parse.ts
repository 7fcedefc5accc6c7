/** Values of options, from text. */

import { InvalidArgumentError } from 'commander';

export function wholeNumber({
  min,
  max,
}: {
  readonly min: number;
  readonly max: number;
}): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

export const parseLimit = wholeNumber({ min: 1, max: 1_000_000_000 });

/** Seconds, perhaps with a fraction; as milliseconds. */
export function parseSecondsAsMs(text: string): number {
  const value = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && value <= 9_000_000_000) return Math.round(value * 1000);
  throw new InvalidArgumentError('It must be a number of seconds.');
}

/** An option that may be given several times. */
export function collected(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, text];
}
