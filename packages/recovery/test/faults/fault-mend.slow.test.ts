/** Faults while a person has a store mended: whatever is answered has the right code, and nothing is half done or lost. */

import { isStoreError, metaKeys, pathKey, lockRow, type StoreOptions } from '@forewrit/core';
import { announceSeed, assert, suite } from '@forewrit/testkit';
import { accept } from '#src/mend/accept.js';
import { discardStaged } from '#src/mend/discard.js';
import { recover } from '#src/mend/recover.js';
import { showTree } from '../campaign-model.js';
import { conflictContents, edit, root, tree, World } from '../world.js';
import { callSites } from './call-sites.js';
import { FaultCampaign } from './fault-campaign.js';
import { isRightCode } from './fault-kinds.js';
import { describeInjection, Injector } from './injector.js';
import { openOn } from './store-use.js';
import { campaigns, reachableOf } from './unreachable.js';

const test = suite('faults while a store is mended', { timeoutMs: 600_000 });
const campaign = new FaultCampaign({ seed: announceSeed('faults while mending'), everything: false });
const sites = reachableOf(callSites((file) => campaigns.mend.test(file)));

const large = 'LARGE '.repeat(8);
const files = { a: 'a0.', b: large, 'd/c': 'c0.' };

interface Mend {
  readonly name: string;
  readonly prepare: () => Promise<World>;
  readonly act: (options: StoreOptions) => Promise<unknown>;
  /** Throws what is wrong. `done`: it has answered without an error. */
  readonly judge: (world: World, done: boolean) => Promise<void>;
}

async function saved(): Promise<World> {
  const world = new World();
  const { store, kill } = await openOn(world, {});
  await store.writeFiles(files);
  await store.close();
  kill();
  return world;
}

function settled(world: World): World {
  world.disk.settle();
  return world.fork();
}

async function findingsOf(world: World): Promise<string[]> {
  const { store, kill } = await openOn(world.fork(), {});
  const { findings } = await store.verify();
  await store.close();
  kill();
  return findings.map(({ path }) => path).sort();
}

async function editedByOthers(): Promise<World> {
  const world = await saved();
  edit(world.outside, 'a', 'somebody');
  world.outside.unlink(`${root}/d/c`);
  return settled(world);
}

async function stagedByTheDead(): Promise<World> {
  const world = await saved();
  const { store, kill } = await openOn(world, {});
  const staged = await store.stage('left');
  await staged.append(large);
  await staged.sync();
  kill();
  return settled(world);
}

/** A first open that died, and a lock of a transaction that there is not. */
async function withRemains(): Promise<World> {
  const world = await saved();
  edit(world.outside, '.forewrit/id.0123abcd', 'of nobody', 'new');
  const { store, kill } = await openOn(world, {});
  await store.close();
  kill();
  const process = await world.start();
  const { log, folding } = process.context;
  const key = pathKey('a', folding);
  log.commit((batch) => {
    const lock = { what: 'a', transaction: { owner: 99, counter: 1 }, blocked: true };
    batch.put('locks', key, lockRow.encode(key, lock));
    batch.delete('meta', metaKeys.recovery);
  });
  process.kill();
  return settled(world);
}

const mends: readonly Mend[] = [
  {
    name: 'what others have changed and removed is accepted',
    prepare: editedByOthers,
    act: (options) => accept(root, ['a', 'd/c'], options),
    async judge(world, done) {
      assert.is(showTree(tree(world.outside)), showTree({ a: 'somebody', b: large, 'd/': '' }));
      const left = await findingsOf(world);
      if (done || left.length === 0) assert.equal(left, []);
      else assert.equal(left, ['a', 'd/c']);
    },
  },
  {
    name: 'what a dead process has staged is given up',
    prepare: stagedByTheDead,
    act: (options) => discardStaged(root, 'left', options),
    async judge(world, done) {
      const here = world.fork();
      const { store, kill } = await openOn(here, {});
      const staged = await store.staged();
      await store.close();
      kill();
      if (done) assert.equal(staged, []);
      // Given up or not: it is somewhere.
      if (staged.length === 0) assert.ok(conflictContents(here.outside).includes(large));
    },
  },
  {
    name: 'what nobody has a use for is swept, and unlocked',
    prepare: withRemains,
    act: (options) => recover(root, options),
    async judge(world, done) {
      const here = world.fork();
      if (done) assert.not(here.outside.list(`${root}/.forewrit`).includes('id.0123abcd'));
      const { store, kill } = await openOn(here, {});
      const saving = await store.writeFile('a', 'a1.').catch((error: unknown) => error);
      if (done) assert.not.instance(saving, Error);
      await store.close();
      kill();
    },
  },
];

async function mendWith(mend: Mend, world: World, injector: Injector): Promise<boolean> {
  const { kill, ...seams } = world.seams(injector.options({}));
  try {
    await mend.act({ clock: world.disk.clock, ...seams });
    return true;
  } catch (error) {
    if (isStoreError(error) && injector.happened.some(({ kind }) => isRightCode(kind, error))) return false;
    throw error;
  } finally {
    kill();
  }
}

for (const mend of mends) {
  test(`a fault at every call while ${mend.name}`, async () => {
    const start = await mend.prepare();
    await campaign.of(async (plan, notes) => {
      const injector = new Injector(plan, notes);
      const world = start.fork();
      try {
        const done = await mendWith(mend, world, injector);
        if (!injector.done) throw new Error('a fault was not met: the run was another one');
        await mend.judge(world, done);
        // Once more, without a fault: what is done already is not there, and nothing else keeps it from its end.
        const again = await mendWith(mend, world, new Injector([], 'nothing')).catch(
          (error: unknown) => error,
        );
        if (again instanceof Error && !isStoreError(again, 'ERR_NOT_FOUND')) throw again;
        await mend.judge(world, true);
      } catch (error) {
        const where = [mend.name, ...plan.map(describeInjection)].join('\n  ');
        throw new Error(`${where}\n${error instanceof Error ? error.stack : String(error)}`, {
          cause: error,
        });
      }
      return injector.seen;
    });
  });
}

if (process.env['FOREWRIT_TEST_ONLY'] === undefined) {
  test('every call site has failed in every way, or is known for why it cannot', () => {
    assert.equal(campaign.tally.missing(sites), []);
  });
}

test.after(() => console.log(`\n${campaign.tally.table(sites)}`));
test.run();
