import { failpointNames } from '@forewrit/core';
import { announceSeed, assert, publishFigures, Random, suite, temporaryDirectory } from '@forewrit/testkit';
import { failpointScenarios, killAtFailpoint, killAtRandom } from './kill-scenarios.js';
import { SetWorld } from './set-world.js';

/** More of them, for a long night: FOREWRIT_KILLS=10000. */
const killsMax = Number(process.env['FOREWRIT_KILLS'] ?? 200);

const test = suite('a saving process that is killed', { timeoutMs: 120_000 + killsMax * 3_000 });

/** Stores that are worked on at once. */
const lanes = 3;

test('many times at random: every set is of one version, no acknowledged save is lost, nothing is left', async () => {
  const random = new Random(announceSeed('kill'));
  const count = { kills: 0, looks: 0, redone: 0, undone: 0 };
  const lane = async (own: Random): Promise<void> => {
    using directory = temporaryDirectory('kill');
    await killAtRandom(new SetWorld(directory.path, { seed: own.next32() }), own, count, killsMax);
  };
  await Promise.all(Array.from({ length: lanes }, () => lane(random.fork())));
  publishFigures({ campaign: 'kill', subject: `${lanes} stores at once`, counts: { ...count } });
  assert.is(count.kills, killsMax);
});

for (const name of Object.keys(failpointScenarios) as (keyof typeof failpointScenarios)[]) {
  test(`at ${name}: the same holds`, async () => {
    const pending = [...(failpointScenarios[name].skips ?? [0])];
    const work = async (): Promise<void> => {
      for (let skip = pending.shift(); skip !== undefined; skip = pending.shift())
        await killAtFailpoint(name, skip);
    };
    await Promise.all([work(), work()]);
  });
}

test('every failpoint has its test', () => {
  const elsewhere = failpointNames.filter((name) => /^(?:roll-back|staging)\./.test(name));
  assert.equal([...Object.keys(failpointScenarios), ...elsewhere].sort(), [...failpointNames].sort());
});

test.run();
