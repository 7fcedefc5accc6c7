import path from 'node:path';
import { TestProcess } from '@forewrit/testkit/child-process';
import type { RememberingMessage, RememberingRequest } from '../children/remembering.js';
import { writeFileAtomic } from '../contenders/atomic-files.js';
import { betterSqlite3, classicLevel, lmdbSync } from '../contenders/databases.js';
import { forewrit } from '../contenders/forewrit.js';
import { writeFileAtOnce } from '../contenders/plain-files.js';
import type { Series } from '../measurement.js';
import type { Scenario } from '../scenario.js';

const script = new URL('../children/remembering.js', import.meta.url);
const timeoutMs = 10 * 60_000;
const measured = [forewrit, writeFileAtOnce, writeFileAtomic, betterSqlite3, lmdbSync, classicLevel];

export const onceOpen = 'open';
export const afterSaves = (saves: number): string => `after ${saves.toLocaleString('en-US')} saves`;
const moreThanBare = 'more than before';

export const memory: Scenario = {
  name: 'memory',
  title: 'Memory',
  about:
    'A process of its own for each: resident memory beyond what it has before it opens, after a garbage collection; once ' +
    'open, and after so many saves of four files of 6 KB. The code that is loaded counts. MiB.',
  runs: 3,
  everywhere: false,
  plot: 'bars',
  measure: async (world) => {
    const saves = world.quick ? [20, 100] : [1000, 20_000];
    const series: Series[] = [];
    for (const { name } of world.random.shuffle(measured)) {
      world.progress(name);
      const request: RememberingRequest = {
        contender: name,
        directory: path.join(world.directory, name),
        saves,
      };
      const child = new TestProcess<RememberingMessage>(script, { request });
      try {
        const { code } = await child.end(timeoutMs);
        const message = child.messages.at(-1);
        if (code !== 0 || message === undefined) throw new Error(`${name}: the process ended with ${code}`);
        if (message.type === 'unavailable') {
          world.miss(name, message.reason);
          continue;
        }
        const add = (title: string, mebibytes: number): void => {
          series.push({
            case: title,
            contender: name,
            measure: moreThanBare,
            unit: 'MiB',
            samples: [mebibytes],
          });
        };
        add(onceOpen, message.openMiB);
        for (const [index, count] of saves.entries()) add(afterSaves(count), message.afterMiB[index]!);
      } finally {
        await child[Symbol.asyncDispose]();
      }
    }
    return series;
  },
};
