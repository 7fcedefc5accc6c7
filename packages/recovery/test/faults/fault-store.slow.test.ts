/** Faults while a store is opened, read and closed by those who use it. */

import { isStoreError, type StagedContent, type Store } from '@forewrit/core';
import { announceSeed, assert, suite } from '@forewrit/testkit';
import { callSites } from './call-sites.js';
import { FaultCampaign } from './fault-campaign.js';
import { faultsInUse, openOn, type StoreScenario, type Use } from './store-use.js';
import { campaigns, reachableOf, unreachable } from './unreachable.js';
import { edit, root, World, write } from '../world.js';

const test = suite('faults at the surface', { timeoutMs: 600_000 });
const seed = announceSeed('faults at the surface');
const campaign = new FaultCampaign({ seed, everything: false });
const sites = reachableOf(callSites((file) => campaigns.surface.test(file)));

const large = 'LARGE '.repeat(8);
/** More than is read at once. */
const huge = 'HUGE'.repeat(1 << 17);
const files = { a: 'a0.', b: large, 'd/': '', 'd/c': 'c0.', huge };

async function saved(): Promise<World> {
  const world = new World();
  const { store, kill } = await openOn(world, {});
  await store.writeFiles({ a: files.a, b: large, 'd/c': 'c0.', huge });
  await store.collection('notes').put('k', { text: 'v' });
  await store.close();
  kill();
  edit(world.outside, '.forewrit/spare/1-0', 'of somebody who is gone', 'new');
  world.disk.settle();
  return world.fork();
}

/** Committed, and not applied: the owner is dead. */
async function halfDone(): Promise<World> {
  const world = await saved();
  const dying = await world.open({ inlineLimitBytes: 24, failpoint: { name: 'log.after', action: 'throw' } });
  assert.instance(dying.attempt(write('a', 'a1.'), write('b', `${large}1`)), Error);
  dying.kill();
  world.disk.settle();
  return world.fork();
}

/** In the log alone: the owner is dead. */
async function deferredByTheDead(): Promise<World> {
  const world = await saved();
  const dying = await world.open();
  assert.not.instance(dying.attemptDeferred(write('a', 'a1.'), write('d/c', 'c1.')), Error);
  dying.kill();
  world.disk.settle();
  return world.fork();
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

const reads: readonly Use[] = [
  async (store) => text(await store.readFile('a')),
  async (store) =>
    [...(await store.readFiles(['a', 'b', 'd/c']))].map(([path, bytes]) => [path, text(bytes)]),
  async (store) => (await store.readFile('huge')).byteLength,
  async (store) => (await store.stat('b')).size,
  async (store) => [await store.exists('a'), await store.exists('nowhere')],
  async (store) => (await store.readdir('.')).sort(),
  async (store) => [await store.collection('notes').get('k'), await store.collection('notes').range()],
  async (store) =>
    await store.snapshot(async (view) => [
      text(await view.readFile('b')),
      await view.exists('d/c'),
      ...(await view.readdir('.')),
    ]),
];

async function* streamed(): AsyncGenerator<Buffer> {
  yield Buffer.from(large);
  yield Buffer.from(large);
}

/** Asked for, read again, and given up. */
async function stages(store: Store): Promise<unknown> {
  const transaction = await store.begin();
  try {
    await transaction.writeFile('n', streamed());
    const own = text(await transaction.readFile('n'));
    const names = await transaction.readdir('.');
    return [own, names.sort(), text(await transaction.readFile('b')), await transaction.range('notes')];
  } finally {
    await transaction.abort();
  }
}

/** A file that cannot be read is a finding, and not a different one. */
async function verifies(store: Store): Promise<unknown> {
  const { findings } = await store.verify();
  return findings.filter(({ problem }) => problem !== 'unreadable');
}

async function stagedFindings(store: Store): Promise<unknown> {
  const { findings } = await store.verify();
  return findings.map(({ path }) => path).filter((path) => path.startsWith('.forewrit/'));
}

async function discardAll(store: Store): Promise<void> {
  for (const { id } of await store.staged()) await store.discardStaged(id);
}

async function contentOf(staged: StagedContent): Promise<string> {
  const pieces: string[] = [];
  for await (const piece of staged.pieces()) pieces.push(text(piece));
  return pieces.join('');
}

/** Begun anew, let go of and taken up again, and given up. */
async function arrives(store: Store): Promise<unknown> {
  await store.discardStaged('slow');
  const staged = await store.stage('slow', { metadata: { of: 'b' } });
  try {
    await staged.append(large);
    await staged.sync();
    await staged.append('and more');
  } finally {
    await staged.close();
  }
  const listed = (await store.staged()).map(({ id, durableBytes, heldBy }) => [id, durableBytes, heldBy]);
  const again = await store.stage('slow');
  try {
    return [listed, again.resumed, again.offset, again.metadata, await contentOf(again)];
  } finally {
    await again.discard();
  }
}

/** What a process has staged that is dead by now, and whose commit had set the mode already. */
async function stagedByTheDead(): Promise<World> {
  const world = await saved();
  const { store, kill } = await openOn(world, {});
  const staged = await store.stage('left');
  await staged.append(large);
  await staged.sync();
  const area = `${root}/.forewrit/staged`;
  for (const name of world.outside.list(area)) world.outside.chmodPath(`${area}/${name}`, 0o444);
  kill();
  world.disk.settle();
  return world.fork();
}

async function damagedOfTheDead(): Promise<World> {
  const world = await stagedByTheDead();
  const area = `${root}/.forewrit/staged`;
  for (const name of world.outside.list(area)) {
    world.outside.chmodPath(`${area}/${name}`, 0o600);
    edit(world.outside, `.forewrit/staged/${name}`, large.toLowerCase());
  }
  world.disk.settle();
  return world.fork();
}

async function takesUp(store: Store): Promise<unknown> {
  const staged = await store.stage('left');
  try {
    return [staged.resumed, staged.offset, await contentOf(staged)];
  } finally {
    await staged.close();
  }
}

/** As a transaction has left it that can be undone. */
async function withHistory(): Promise<World> {
  const world = await saved();
  world.outside.symlink('a', `${root}/l`);
  const { store, kill } = await openOn(world, { options: { history: {} } });
  await store.mkdir('e');
  const tx = await store.begin();
  tx.rename('l', 'p/l');
  tx.put('notes', 'k', 'newer');
  await tx.writeFile('a', 'a1.');
  await tx.writeFile('b', 'b1.');
  await tx.writeFile('p/n', 'n1.');
  await tx.commit();
  await store.close();
  kill();
  world.disk.settle();
  return world.fork();
}

async function listed(store: Store): Promise<unknown> {
  const found: unknown[] = [];
  for await (const { revision, paths } of store.history()) found.push([revision, paths]);
  return found;
}

/** All that it has replaced is staged, and then refused. */
async function undoesInVain(store: Store): Promise<unknown> {
  const ids: string[] = [];
  for await (const { transaction } of store.history('b')) ids.push(transaction);
  const outcome = await store.undo(ids[0]!).catch((error: unknown) => error);
  if (isStoreError(outcome, 'ERR_TOO_LARGE')) return outcome.code;
  throw outcome;
}

const scenarios: readonly StoreScenario[] = [
  {
    name: 'a store that is made, where there is not even a directory',
    prepare: () => Promise.resolve(new World()),
    at: '/elsewhere/store',
    uses: [(store) => store.exists('a')],
    makes: {},
  },
  {
    name: 'a store that is read and written',
    prepare: saved,
    uses: [...reads, stages, verifies],
    makes: files,
  },
  {
    name: 'content that arrives over time',
    prepare: saved,
    uses: [arrives, async (store) => Promise.resolve(store.space('d/new').availableBytes > 0)],
    tidies: discardAll,
    makes: files,
  },
  {
    name: 'content that a dead process has staged',
    prepare: stagedByTheDead,
    uses: [verifies, takesUp],
    tidies: discardAll,
    makes: files,
  },
  {
    name: 'content that a dead process has staged, and that is damaged',
    prepare: damagedOfTheDead,
    uses: [stagedFindings],
    tidies: discardAll,
    makes: files,
  },
  {
    name: 'history that is looked through, and an undo that fails at its end',
    prepare: withHistory,
    options: { maxTransactionBytes: 10 },
    uses: [listed, undoesInVain, verifies],
    makes: { ...files, a: 'a1.', b: 'b1.', 'p/': '', 'p/l': '<symlink>', 'p/n': 'n1.', 'e/': '' },
  },
  {
    name: 'a store that is only read',
    prepare: saved,
    options: { readOnly: true },
    uses: [...reads, verifies],
    makes: files,
  },
  {
    name: 'a store that is only read, and half done',
    prepare: halfDone,
    options: { readOnly: true },
    uses: reads,
    makes: { ...files, a: 'a1.', b: `${large}1` },
  },
  {
    name: 'a store that is only read, where the log alone has a save',
    prepare: deferredByTheDead,
    options: { readOnly: true },
    uses: [...reads, verifies],
    makes: { ...files, a: 'a1.', 'd/c': 'c1.' },
  },
];

for (const scenario of scenarios) {
  test(`a fault at every call of: ${scenario.name}`, () => faultsInUse(scenario, (run) => campaign.of(run)));
}

if (process.env['FOREWRIT_TEST_ONLY'] === undefined) {
  test('every call site has failed in every way, or is known for why it cannot', () => {
    assert.equal(campaign.tally.missing(sites), []);
  });
  test('every call site belongs to one campaign, and what is said to be out of reach is there', () => {
    const all = callSites(() => true);
    for (const { place } of all) {
      const theirs = Object.values(campaigns).filter((each) => each.test(place));
      assert.is(theirs.length, 1, place);
    }
    for (const { file, text: part } of unreachable) {
      const isThere = all.some(
        ({ place, text: line }) => place.startsWith(`${file}:`) && line.includes(part),
      );
      assert.ok(isThere, `${file}: ${part}`);
    }
  });
}

test.after(() => console.log(`\n${campaign.tally.table(sites)}`));
test.run();
