/** Scenarios without end: small programs of transactions, each made from its number. */

import { Random } from '@forewrit/testkit';
import { applied, program, type Tree } from '../campaign-model.js';
import { files, type Scenario, type Step } from './scenarios.js';

const stepsMax = 3;
const operationsMax = 5;
const prefix = 'program ';

export function programName(number: number): string {
  return `${prefix}${number}`;
}

export function programOf(name: string): Scenario | undefined {
  const number = Number(name.slice(prefix.length));
  return name.startsWith(prefix) && Number.isInteger(number) ? makeProgram(number) : undefined;
}

function makeProgram(number: number): Scenario {
  const random = new Random(number);
  const before = random.chance(0.7) ? files : [];
  const twoWriters = random.chance(0.3);
  const directories = random.chance(0.5);
  let now: Tree = before.reduce(applied, {});
  let left = operationsMax;
  let serial = 0;
  const next = (): string => `${serial++}`;
  const step = (): Step => {
    if (random.chance(0.15)) return random.pick(['checkpoint', 'marks'] as const);
    const operations = program(random, now, { directories }, next).slice(0, Math.max(left, 1));
    left -= operations.length;
    now = applied(now, operations);
    return operations;
  };
  const steps: Step[] = [];
  const others: Step[] = [];
  const count = 1 + random.below(stepsMax);
  for (let index = 0; index < count && left > 0; index += 1) {
    steps.push(step());
    if (twoWriters && left > 0) others.push(step());
  }
  return { name: programName(number), before, steps, others, mayRefuse: true };
}
