/** What else `npm run torture` can run for long: tests of their own, which are told how much is wanted of them. */

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Figures, figuresIn } from '@forewrit/testkit';

export type CampaignName = 'kill' | 'power' | 'damage';

interface Campaign {
  readonly test: string;
  /** So much can be done in these minutes on two cores, more or less. */
  readonly environment: (minutes: number) => Record<string, string>;
  /** Of the minutes of a run of everything. The rest is for the enumeration. */
  readonly share: number;
}

const killsPerMinute = 150;
const imagesPerMinute = 300;
const casesPerMinute = 9_000;
/** Every bit and every length of the three stores. */
const casesAll = 416_000;

export const campaigns: Readonly<Record<CampaignName, Campaign>> = {
  kill: {
    test: '../process/kill.slow.test.js',
    environment: (minutes) => ({ FOREWRIT_KILLS: String(Math.ceil(minutes * killsPerMinute)) }),
    share: 0.1,
  },
  power: {
    test: '../power/power-cuts.serial.slow.test.js',
    environment: (minutes) => ({ FOREWRIT_POWER_CUTS: String(Math.ceil(minutes * imagesPerMinute)) }),
    share: 0.25,
  },
  damage: {
    test: '../damage/log-damage.slow.test.js',
    environment: (minutes) => {
      const share = Math.ceil(casesAll / (minutes * casesPerMinute));
      return { FOREWRIT_DAMAGE_SHARE: share === 1 ? 'all' : String(share) };
    },
    share: 0.15,
  },
};

export const campaignNames = Object.keys(campaigns) as readonly CampaignName[];

export interface CampaignResult {
  readonly figures: readonly Figures[];
  readonly seed: number | undefined;
  /** The end of what was printed, where not all was well. */
  readonly failure: string | undefined;
}

const failureCharsMax = 4_000;

/** All that is printed goes to a file of the directory. */
export function runCampaign(
  name: CampaignName,
  { minutes, directory }: { readonly minutes: number; readonly directory: string },
): Promise<CampaignResult> {
  const { test, environment } = campaigns[name];
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', fileURLToPath(new URL(test, import.meta.url))],
    {
      env: { FOREWRIT_TEST_SEED: 'random', ...process.env, ...environment(minutes) },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const log = createWriteStream(path.join(directory, `${name}.log`));
  let output = '';
  const keep = (text: string): void => {
    output += text;
    log.write(text);
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      log.end();
      const seed = /FOREWRIT_TEST_SEED=(\d+)/.exec(output)?.[1];
      resolve({
        figures: figuresIn(output),
        seed: seed === undefined ? undefined : Number(seed),
        failure:
          code === 0 ? undefined : `${name} ended with ${code ?? signal}\n${output.slice(-failureCharsMax)}`,
      });
    });
  });
}
