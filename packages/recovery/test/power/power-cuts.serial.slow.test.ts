/**
 * Power cuts on real file systems: a disk is recorded while sets are saved on it, images of what it may hold after a cut
 * are made from the record, mounted, recovered by the file system and then by the store on what it must take for another
 * boot, and judged. `FOREWRIT_POWER_CUTS` is how many images there are of the store, over all file systems; others that
 * save the same sets are beside it for comparison, with fewer. `FOREWRIT_POWER_KEEP` names a directory for the images that
 * are not well.
 */
import {
  announceSeed,
  assert,
  publishFigures,
  Random,
  suite,
  temporaryDirectory,
  TestProcess,
} from '@forewrit/testkit';
import type { CampaignMessage, CampaignRequest, Judgement } from './campaign-child.js';
import { type Configuration, configurations, whyNoPowerCut } from './configurations.js';
import type { Outcome } from './judge-child.js';
import { underOwnMounts } from './namespaces.js';
import { forewrit, savers } from './workload.js';

const cutsAll = Number(process.env['FOREWRIT_POWER_CUTS'] ?? 100);
const cuts = Math.ceil(cutsAll / configurations.length);
/** What becomes of their sets is seen soon. */
const peerCuts = Math.min(Math.ceil(cuts / 4), 100);
/** Mounting and flushing is waiting, for the most part; but a few images are made sooner one by one. */
const allAtOnce = cuts > 100;
const timeoutMs = 60_000 + cuts * 2000;
const random = new Random(announceSeed('power cuts'));

const test = suite('a power cut on', { timeoutMs });

const rows: string[][] = [];
const columns = [
  'whole',
  'torn',
  'mixed',
  'lost',
  'wrong',
  'unmountable',
] as const satisfies readonly Outcome[];

for (const configuration of configurations) {
  const seed = random.next32();
  const why = whyNoPowerCut(configuration);
  const begun = allAtOnce && why === undefined ? campaign(configuration, seed) : undefined;
  // Its test tells.
  begun?.catch(() => undefined);
  test.skipIf(why, `${configuration.name}: each set whole, none lost`, async () => {
    const judgements = await (begun ?? campaign(configuration, seed));
    const own = judgements.filter(({ saver }) => saver === forewrit);
    addRows(configuration, judgements);
    assert.ok(own.length >= cuts, `${own.length} images of ${cuts}`);
    const bad = own.filter(({ verdict }) => !['whole', 'unmountable'].includes(verdict.outcome));
    assert.equal(bad.map(describe), []);
    // The file system's own loss says nothing of the store, but many of them would leave nothing tested.
    const unmountable = own.filter(({ verdict }) => verdict.outcome === 'unmountable');
    assert.ok(unmountable.length * 20 <= own.length, unmountable.map(describe).join('\n'));
  });
}

async function campaign(configuration: Configuration, seed: number): Promise<Judgement[]> {
  using directory = temporaryDirectory('power');
  const request: CampaignRequest = { directory: directory.path, configuration, seed, cuts, peerCuts };
  await using child = new TestProcess<CampaignMessage>(new URL('./campaign-child.js', import.meta.url), {
    request,
    under: underOwnMounts(directory.path),
  });
  await child.end(timeoutMs - 5000);
  const recorded = child.messages.filter((each) => each.type === 'recorded');
  for (const { saver, saves, entries, flushes } of recorded) {
    console.log(
      `${configuration.name}: ${saver} made ${saves} saves, ${entries} writes and flushes, ${flushes} flushes`,
    );
  }
  for (const message of child.messages) if (message.type === 'failed') throw new Error(message.error);
  assert.is(child.messages.at(-1)?.type, 'done');
  return child.messages.filter((each) => each.type === 'judged');
}

function addRows({ name }: Configuration, judgements: readonly Judgement[]): void {
  for (const saver of savers) {
    const own = judgements.filter((judgement) => judgement.saver === saver);
    const of = (outcome: Outcome): string =>
      String(own.filter(({ verdict }) => verdict.outcome === outcome).length);
    rows.push([name, saver, String(own.length), ...columns.map(of)]);
    const outcomes = Object.fromEntries(columns.map((outcome) => [outcome, Number(of(outcome))]));
    publishFigures({
      campaign: 'power',
      subject: `${name}: ${saver}`,
      counts: { images: own.length, ...outcomes },
    });
  }
  const own = judgements.filter(({ saver }) => saver === forewrit);
  const sum = (count: (judgement: Judgement) => number): number =>
    own.reduce((all, each) => all + count(each), 0);
  console.log(
    `${name}: ${sum(({ cutAgain }) => Number(cutAgain))} of the images are of a cut in the recovery; ` +
      `${sum(({ image }) => Number(image.pending > 0))} had writes pending, ${sum(({ image }) => image.torn)} writes torn; ` +
      `${sum(({ verdict }) => verdict.redone)} transactions redone, ${sum(({ verdict }) => verdict.undone)} undone, ` +
      `${sum(({ verdict }) => verdict.conflicts)} torn files kept aside`,
  );
}

function describe({ cut, image, cutAgain, verdict }: Judgement): string {
  return JSON.stringify({ ...cut, image, cutAgain, ...verdict }).replaceAll('\\n', '\n');
}

test.after(() => {
  const table = [['file system', 'saved by', 'images', ...columns], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  for (const row of table) console.log(row.map((cell, column) => cell.padEnd(widths[column]!)).join('  '));
});

test.run();
