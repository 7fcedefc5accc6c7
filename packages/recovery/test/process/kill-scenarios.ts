/** Ways in which a saving process is killed; after each death `SetWorld` looks at what it left. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FailpointName, RecoveryReport, StoreOptions } from '@forewrit/core';
import * as assert from '@forewrit/testkit/assert';
import type { Random } from '@forewrit/testkit/random';
import { temporaryDirectory } from '@forewrit/testkit/temp-directory';
import type { SetRequest } from './set-child.js';
import { type SetProcess, SetWorld } from './set-world.js';

/** What was seen in between: to know that the kills hit something. */
export interface KillCount {
  kills: number;
  looks: number;
  redone: number;
  undone: number;
}

/** Kills one process after the other at random moments, until there were so many kills. */
export async function killAtRandom(
  world: SetWorld,
  random: Random,
  count: KillCount,
  killsMax: number,
): Promise<void> {
  let next = world.start({ waits: true, options: optionsFrom(random) });
  while (count.kills < killsMax) {
    count.kills += 1;
    const child = next;
    child.tell({ type: 'go' });
    // While it works, the one after it gets ready.
    next = world.start({ waits: true, options: optionsFrom(random) });
    const isInRecovery = random.chance(0.2);
    await (isInRecovery ? sleep(random.below(100)) : untilSomeSaves(child, random));
    child.signal('SIGKILL');
    assert.is((await world.heed(child)).signal, 'SIGKILL');
    for (const message of child.messages) if (message.type === 'open') add(count, message.recovery);
    // What is left then is for the process after it, which may be killed at that in turn.
    if (random.chance(0.2)) continue;
    add(count, await world.verify());
    count.looks += 1;
  }
  await next.kill();
  await world.verify();
}

function add(count: KillCount, report: RecoveryReport): void {
  count.redone += report.redone.length;
  count.undone += report.undone.length;
}

async function untilSomeSaves(child: SetProcess, random: Random): Promise<void> {
  await child.next('open');
  for (let saves = random.below(8); saves > 0; saves -= 1) await child.next('saved');
  await sleep(random.below(12));
}

function optionsFrom(random: Random): StoreOptions {
  const history = random.pick([undefined, {}, { maxBytes: 1 << 18 }]);
  return {
    ...(history === undefined ? {} : { history }),
    checkpointIntervalMs: random.pick([5, 40, 1000]),
    materialize: random.pick(['immediate', 'immediate', 'deferred'] as const),
    materializeWithinMs: random.pick([0, 10, 100]),
    // The same code without a thread: it starts in half the time.
    committer: random.pick(['worker', 'inline', 'inline'] as const),
  };
}

export interface FailpointScenario extends Pick<SetRequest, 'options' | 'restMs'> {
  /** How many times the failpoint lets pass before it kills. */
  readonly skips?: readonly number[];
  /** A process is killed here first, so that there is something to recover. */
  readonly after?: FailpointName;
  readonly closes?: true;
}

const atRest: FailpointScenario = { restMs: 15, options: { checkpointIntervalMs: 30 } };
const deferred: FailpointScenario = {
  restMs: 15,
  options: { materialize: 'deferred', materializeWithinMs: 5, checkpointIntervalMs: 30 },
};
const withHistory: FailpointScenario = {
  restMs: 15,
  options: { history: { maxBytes: 1 << 20 }, checkpointIntervalMs: 30 },
};
const inRecovery: FailpointScenario = { after: 'apply.target' };

/** How each failpoint is reached; those of a roll-back need somebody who edits: `roll-back.slow.test.ts`, those of staging somebody who stages. */
export const failpointScenarios: Record<
  Exclude<FailpointName, `roll-back.${string}` | `staging.${string}`>,
  FailpointScenario
> = {
  'stage.before': { skips: [0, 7] },
  'stage.after': { skips: [0, 7] },
  'log.inside': { skips: [0, 7] },
  'log.after': { skips: [0, 7] },
  'apply.target': { skips: [0, 1, 3, 4, 5, 22] },
  'apply.after': { skips: [0, 7] },
  'applied.after': { ...atRest, skips: [0, 2] },
  'materialize.before': { ...deferred, skips: [0, 2] },
  'materialize.staged': { ...deferred, skips: [0, 2] },
  'materialize.after': { ...deferred, skips: [0, 2] },
  'checkpoint.sync': { ...atRest, skips: [0, 2, 9] },
  'checkpoint.sync-directory': { ...atRest, skips: [0, 3] },
  'checkpoint.keep': { ...withHistory, skips: [0, 2] },
  'checkpoint.trim': { ...atRest, skips: [0, 2] },
  'checkpoint.sweep': { ...atRest, skips: [0, 2] },
  'recover.before': inRecovery,
  'recover.target': { ...inRecovery, skips: [0, 1] },
  'recover.complete': inRecovery,
  'recover.sweep': inRecovery,
  'close.before': { closes: true },
};

export async function killAtFailpoint(name: keyof typeof failpointScenarios, skip: number): Promise<void> {
  using directory = temporaryDirectory('kill');
  const world = new SetWorld(directory.path, { seed: 1 });
  const { options, restMs, after, closes } = failpointScenarios[name];
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
  if (name === 'log.after' || name === 'apply.target')
    assert.is(report.redone.length, 1, 'one transaction is redone');
  if (name === 'stage.after' || name === 'log.inside')
    assert.is(report.redone.length, 0, 'nothing is redone');
}
