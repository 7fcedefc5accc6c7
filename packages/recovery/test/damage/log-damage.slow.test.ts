/**
 * Every single bit of a log the other way round, and every length that a cut can leave of it: opening the store must
 * refuse it with a code, or carry on with what was really saved. LMDB's pages have no checksums, so that it may take
 * the process down with it: then the files must be as whole as before. What is known to end otherwise is in
 * `knownLimits`, and counted.
 *
 * `FOREWRIT_DAMAGE_SHARE=all` examines them all, `=1000` one of a thousand; ordinarily it is one of 64. Bytes that
 * nobody reads while the store is opened and read, and they are most of them, have a smaller share, unless it is all.
 */
import { existsSync, mkdirSync } from 'node:fs';
import * as assert from '@forewrit/testkit/assert';
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

/** Right: what was saved, or a refusal; or LMDB ended the process, and the files are whole. */
const allowed = /^(?:correct|older|(?:read )?ERR_\w+|died SIG\w+)$/;
/**
 * What ends otherwise: LMDB goes by its pages, and their shape is not looked at before. A change that makes one of these
 * go away takes its line away, too.
 */
const knownLimits: Readonly<Record<string, RegExp>> = {
  // Each row has a checksum, but nothing tells that one is missing.
  'entries lost': /^lost /,
  // The record of a committed transaction is missing that has changed entries, too: the files are of the one before.
  'record lost': /^parted /,
  // A page that leads LMDB in circles.
  hung: /^hung$/,
};

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

for (const [name, store] of Object.entries<ReferenceStore>(referenceStores)) {
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
    console.log(`${name}: ${cases.length} cases, ${aSecond} a second`, count(examined));
    const bad: Examined[] = [];
    for (const { damage, outcome } of examined) {
      if (bad.length === badShown || kindOf(outcome) !== undefined) continue;
      const again = await lanes.examineAlone(damage);
      if (kindOf(again.outcome) === undefined) bad.push(again);
    }
    assert.is(bad.map(({ damage, outcome }) => `${JSON.stringify(damage)}: ${outcome}`).join('\n'), '');
  });
}

/** A sample, in order: one of each so many neighbours. */
async function casesOf({ usedBytes }: Specimen, lanes: DamageLanes): Promise<Damage[]> {
  const unread = share === 1 ? new Set() : await unreadBlocks(usedBytes, lanes);
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

/** `undefined` for what must never be. */
function kindOf(outcome: string): string | undefined {
  if (allowed.test(outcome)) return outcome;
  return Object.keys(knownLimits).find((name) => knownLimits[name]!.test(outcome));
}

function count(examined: readonly Examined[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { outcome } of examined) {
    const kind = kindOf(outcome) ?? 'WRONG';
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

test.run();
