/**
 * Every single bit of a log the other way round, and every length that a cut can leave of it: opening the store must
 * refuse it with a code, or carry on with what was really saved, all of it. LMDB's pages have no checksums, so that it
 * would take the process down with it, or hang, or not find rows, if they were not looked at before.
 *
 * `FOREWRIT_DAMAGE_SHARE=1000` examines one of a thousand; ordinarily it is one of 64. Of blocks that nobody reads while
 * the store is opened and read (all of their bits can be the other way round at once), and they are most of them, it is
 * one of 32 times as many. `=1` examines all but those, `=all` all of them.
 * `FOREWRIT_DAMAGE_STORE=clean` takes only the store of this name.
 */
import { existsSync, mkdirSync } from 'node:fs';
import * as assert from '@forewrit/testkit/assert';
import { publishFigures } from '@forewrit/testkit/figures';
import { announceSeed, Random } from '@forewrit/testkit/random';
import { suite } from '@forewrit/testkit/suite';
import { temporaryDirectory } from '@forewrit/testkit/temp-directory';
import { DamageLanes, type Examined } from './damage-lane.js';
import { makeReference, type ReferenceStore, referenceStores, versionsOf } from './reference-stores.js';
import { type Damage, Specimen } from './specimen.js';

const shareDefault = 64;
const shareOfUnread = 32;
const blockBytes = 256;
const bitsOfByte = 8;
const badShown = 20;
const rareMax = 3;

const allowed = /^(?:correct|(?:read )?ERR_\w+)$/;

const given = process.env['FOREWRIT_DAMAGE_SHARE'] ?? `${shareDefault}`;
const share = given === 'all' ? 1 : Number(given);
assert.ok(
  Number.isInteger(share) && share > 0,
  `FOREWRIT_DAMAGE_SHARE=${given}: a number or 'all' is wanted`,
);

const test = suite('log damage', { timeoutMs: share < shareDefault ? 24 * 3600_000 : 240_000 });
const random = new Random(announceSeed('log damage'));
// In memory, where there is such a place: nothing here is about what a disk keeps.
if (existsSync('/dev/shm')) process.env['FOREWRIT_TEST_DIR'] = '/dev/shm';
const directory = temporaryDirectory('damage');

const chosen = process.env['FOREWRIT_DAMAGE_STORE'];
const stores = Object.entries<ReferenceStore>(referenceStores).filter(([name]) => name === (chosen ?? name));
assert.ok(stores.length > 0, `FOREWRIT_DAMAGE_STORE=${chosen}: there is no such store`);

for (const [name, store] of stores) {
  test(`a damaged log of the store '${name}' is refused, or read as it was`, async () => {
    const reference = `${directory.path}/${name}`;
    mkdirSync(reference);
    await makeReference(reference, store);
    const specimen = new Specimen(reference);
    await using lanes = new DamageLanes({
      reference,
      root: `${reference}-copy`,
      versions: versionsOf(store),
    });
    const [undamaged] = await lanes.examine([{ lengthBytes: specimen.usedBytes }]);
    assert.is(undamaged?.outcome, 'correct');
    const cases = await casesOf(specimen, lanes);
    const startedMs = performance.now();
    const examined = await lanes.examine(cases);
    const aSecond = Math.round(cases.length / ((performance.now() - startedMs) / 1000));
    console.log(`${name}: ${cases.length} cases, ${aSecond} a second`, count(examined), ...rare(examined));
    publishFigures({
      campaign: 'damage',
      subject: name,
      counts: { cases: cases.length, ...count(examined) },
    });
    const bad: Examined[] = [];
    for (const { damage, outcome } of examined) {
      if (bad.length === badShown || allowed.test(outcome)) continue;
      const again = await lanes.examineAlone(damage);
      if (!allowed.test(again.outcome)) bad.push(again);
    }
    assert.is(bad.map(({ damage, outcome }) => `${JSON.stringify(damage)}: ${outcome}`).join('\n'), '');
  });
}

/** A sample, in order: one of each so many neighbours. */
async function casesOf({ usedBytes }: Specimen, lanes: DamageLanes): Promise<Damage[]> {
  const unread = given === 'all' ? new Set() : await unreadBlocks(usedBytes, lanes);
  const cases: Damage[] = [];
  const sample = (begin: number, length: number, step: number, add: (at: number) => void): void => {
    for (let at = 0; at < length; at += step) add(begin + at + random.below(Math.min(step, length - at)));
  };
  for (let begin = 0; begin < usedBytes; begin += blockBytes) {
    const step = unread.has(begin) ? share * shareOfUnread : share;
    sample(begin * bitsOfByte, blockBytes * bitsOfByte, step, (bit) => cases.push({ bit }));
  }
  sample(0, usedBytes, share, (lengthBytes) => cases.push({ lengthBytes }));
  return cases;
}

/** Where all bits can be the other way round and nothing comes of it. */
async function unreadBlocks(usedBytes: number, lanes: DamageLanes): Promise<Set<number>> {
  const blocks: { begin: number; end: number }[] = [];
  for (let begin = 0; begin < usedBytes; begin += blockBytes) blocks.push({ begin, end: begin + blockBytes });
  const examined = await lanes.examine(blocks);
  return new Set(blocks.filter((_, at) => examined[at]?.outcome === 'correct').map(({ begin }) => begin));
}

/** What hardly ever happens is worth a look. */
function rare(examined: readonly Examined[]): Examined[] {
  const counts = count(examined);
  return examined.filter(({ outcome }) => (counts[kindOf(outcome)] ?? 0) <= rareMax);
}

function kindOf(outcome: string): string {
  return allowed.test(outcome) ? outcome : `WRONG: ${outcome.split(' ', 1)[0]}`;
}

function count(examined: readonly Examined[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { outcome } of examined) {
    const kind = kindOf(outcome);
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

test.run();
