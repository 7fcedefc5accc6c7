import { setTimeout as sleep } from 'node:timers/promises';
import { type FailpointName, failpointNames, type StoreOptions } from '@forewrit/core';
import { announceSeed, assert, Random, suite, temporaryDirectory } from '@forewrit/testkit';
import type { SetRequest } from './set-child.js';
import { type SetProcess, SetWorld } from './set-world.js';

const test = suite('a saving process that is killed', { timeoutMs: 120_000 });

const killsAtRandom = 200;
/** Stores that are worked on at once. */
const lanes = 3;

test('200 times at random: every set is of one version, no acknowledged save is lost, nothing is left', async () => {
  const random = new Random(announceSeed('kill'));
  let kills = 0;
  let opens = 0;
  const lane = async (own: Random): Promise<void> => {
    using directory = temporaryDirectory('kill');
    const world = new SetWorld(directory.path, own.next32());
    let next = world.start({ waits: true, options: optionsFrom(own) });
    while (kills < killsAtRandom) {
      kills += 1;
      const child = next;
      child.tell({ type: 'go' });
      // While it works, the one after it gets ready.
      next = world.start({ waits: true, options: optionsFrom(own) });
      const inRecovery = own.chance(0.2);
      await (inRecovery ? sleep(own.below(120)) : untilSomeSaves(child, own));
      child.signal('SIGKILL');
      assert.is((await world.heed(child)).signal, 'SIGKILL');
      // What is left then is for the process after it, which may be killed at that in turn.
      if (own.chance(0.2)) continue;
      await world.verify();
      opens += 1;
    }
    await next.kill();
    await world.verify();
  };
  await Promise.all(Array.from({ length: lanes }, () => lane(random.fork())));
  console.log(`${kills} kills, ${opens} times recovered and looked at in between`);
});

async function untilSomeSaves(child: SetProcess, random: Random): Promise<void> {
  await child.next('open');
  for (let saves = random.below(8); saves > 0; saves -= 1) await child.next('saved');
  await sleep(random.below(12));
}

function optionsFrom(random: Random): StoreOptions {
  return { checkpointIntervalMs: random.pick([5, 40, 1000]) };
}

interface Scenario extends Pick<SetRequest, 'options' | 'restMs'> {
  /** How many times the failpoint lets pass before it kills. */
  readonly skips?: readonly number[];
  /** A process is killed here first, so that there is something to recover. */
  readonly after?: FailpointName;
  readonly closes?: true;
}

const atRest: Scenario = { restMs: 15, options: { checkpointIntervalMs: 30 } };
const inRecovery: Scenario = { after: 'apply.target' };

/** How each failpoint is reached; those of a roll-back need somebody who edits, and are elsewhere. */
const scenarios: Record<Exclude<FailpointName, `roll-back.${string}`>, Scenario> = {
  'stage.before': { skips: [0, 7] },
  'stage.after': { skips: [0, 7] },
  'log.inside': { skips: [0, 7] },
  'log.after': { skips: [0, 7] },
  'apply.target': { skips: [0, 1, 3, 4, 5, 22] },
  'apply.after': { skips: [0, 7] },
  'applied.after': { ...atRest, skips: [0, 2] },
  'checkpoint.sync': { ...atRest, skips: [0, 2, 9] },
  'checkpoint.sync-directory': { ...atRest, skips: [0, 3] },
  'checkpoint.trim': { ...atRest, skips: [0, 2] },
  'checkpoint.sweep': { ...atRest, skips: [0, 2] },
  'recover.before': inRecovery,
  'recover.target': { ...inRecovery, skips: [0, 1] },
  'recover.complete': inRecovery,
  'recover.sweep': inRecovery,
  'close.before': { closes: true },
};

for (const [name, scenario] of Object.entries(scenarios)) {
  test(`at ${name}: the same holds`, async () => {
    for (const skip of scenario.skips ?? [0]) await killAt(name, skip, scenario);
  });
}

test('every failpoint has its test', () => {
  const elsewhere = failpointNames.filter((name) => name.startsWith('roll-back.'));
  assert.equal([...Object.keys(scenarios), ...elsewhere].sort(), [...failpointNames].sort());
});

async function killAt(name: string, skip: number, scenario: Scenario): Promise<void> {
  using directory = temporaryDirectory('kill');
  const world = new SetWorld(directory.path, 1);
  const { options, restMs, after, closes } = scenario;
  if (after !== undefined) {
    // After some saves, and after one target of the next.
    const first = world.start({ options: { failpoint: { name: after, action: 'kill', skip: 9 } } });
    assert.is((await world.heed(first)).signal, 'SIGKILL');
  }
  const child = world.start({
    options: { ...options, failpoint: { name, action: 'kill', skip } },
    ...(restMs === undefined ? {} : { restMs }),
  });
  if (closes) {
    await child.next('saved');
    child.tell({ type: 'close' });
  }
  const end = await child.end();
  // Nobody but the failpoint sends that signal here.
  assert.is(end.signal, 'SIGKILL', `${name} was not reached`);
  await world.heed(child);
  const report = await world.verify();
  if (name === 'log.after' || name === 'apply.target') assert.is(report.redone.length, 1, 'one transaction is redone');
  if (name === 'stage.after' || name === 'log.inside') assert.is(report.redone.length, 0, 'nothing is redone');
}

test.run();
