/**
 * A process that records a disk while sets are saved on it, cuts its power again and again on paper, and has every image
 * judged. It is to run in a mount namespace of its own, whose mounts are shared with the namespaces below it, in a
 * directory that may fill with images: everything is gone with it, loop devices included.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs, onCommand, requestOf, say, TestProcess } from '@forewrit/testkit/child-process';
import { Random } from '@forewrit/testkit/random';
import { type Configuration, imageBytes, mountImage, run, unmount } from './configurations.js';
import { copySparse, type CrashImage, CrashImages } from './crash-images.js';
import { chooseCuts, type Cut, cutAt } from './cuts.js';
import type { DeviceEntry } from './device-journal.js';
import type { JudgeCommand, Verdict } from './judge-child.js';
import { underAnotherBoot } from './namespaces.js';
import { Recording } from './recording.js';
import type { WorkloadMessage, WorkloadRequest } from './workload-child.js';
import { forewrit, type SaverName, savers } from './workload.js';

export interface CampaignRequest {
  readonly directory: string;
  readonly configuration: Configuration;
  readonly seed: number;
  /** For the store, and for each of the peers. */
  readonly cuts: number;
  readonly peerCuts: number;
}

export interface Judgement {
  readonly type: 'judged';
  readonly saver: SaverName;
  readonly cut: Cut;
  readonly image: CrashImage;
  /** The recovery was cut, too, and this is what was found after the second one. */
  readonly cutAgain: boolean;
  readonly verdict: Verdict;
}

export type CampaignMessage =
  | Judgement
  | {
      readonly type: 'recorded';
      readonly saver: SaverName;
      readonly saves: number;
      readonly entries: number;
      readonly flushes: number;
    }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly error: string };

interface Recorded {
  readonly saver: SaverName;
  readonly seed: number;
  readonly base: string;
  readonly entries: readonly DeviceEntry[];
  readonly fromMs: number;
  readonly messages: readonly WorkloadMessage[];
}

type Judge = TestProcess<Verdict>;

const { directory, configuration, seed: campaignSeed, cuts, peerCuts } = requestOf<CampaignRequest>();
const random = new Random(campaignSeed);
/** Where to leave the images that are not well: no seed brings them back, for they depend on when each write came. */
const keepIn = process.env['FOREWRIT_POWER_KEEP'];
/** A new disk and another history after so many cuts. */
const cutsOfRecordMax = 50;
const recordedMs = 1800;
const recordedMsOfPeer = 500;
/** On a machine that is busy it takes longer to have as many. */
const savesMin = 15;
const recordedMsMax = 10_000;
const cutAgainShare = 0.2;
/** Nothing else flushes what plain `writeFile` has written, for seconds: somebody on the machine must. */
const syncEveryMs = 100;

async function runCampaign(): Promise<void> {
  await using first = judgeOn('22222222-2222-4222-8222-222222222222');
  await using second = judgeOn('33333333-3333-4333-8333-333333333333');
  for (const saver of savers) {
    for (let left = saver === forewrit ? cuts : peerCuts; left > 0; left -= cutsOfRecordMax) {
      const recorded = await record(saver, random.next32());
      await cutPower(recorded, { count: Math.min(left, cutsOfRecordMax), judges: [first, second] });
      rmSync(recorded.base);
    }
  }
}

function judgeOn(bootId: string): Judge {
  const own = `${directory}/boot-${bootId}`;
  mkdirSync(own);
  return new TestProcess<Verdict>(new URL('./judge-child.js', import.meta.url), {
    request: { directory: own },
    under: underAnotherBoot(own, bootId),
  });
}

/** Each saver has a disk of its own: the flushes of one would make durable what another has forgotten to flush. */
async function record(saver: SaverName, seed: number): Promise<Recorded> {
  const image = `${directory}/disk`;
  const base = `${directory}/base`;
  const point = `${directory}/mounted`;
  const root = `${point}/${saver}`;
  mkdirSync(point, { recursive: true });
  makeImage(image);
  mountImage(image, point, configuration);
  mkdirSync(saver === forewrit ? root : `${root}/set`, { recursive: true });
  unmount(point);
  copySparse(image, base);
  await using recording = await Recording.of(image);
  mountImage(recording.path, point, configuration);
  try {
    const fromMs = monotonicMs();
    const messages = await save({ saver, root, seed }, point);
    const entries = recording.entries();
    const flushes = entries.filter(({ type }) => type === 'flush').length;
    const saves = messages.filter(({ type }) => type === 'saved').length;
    say({ type: 'recorded', saver, saves, entries: entries.length, flushes } satisfies CampaignMessage);
    return { saver, seed, base, entries, fromMs, messages };
  } finally {
    unmount(point);
  }
}

async function save(request: WorkloadRequest, point: string): Promise<readonly WorkloadMessage[]> {
  await using child = new TestProcess<WorkloadMessage>(new URL('./workload-child.js', import.meta.url), {
    request,
  });
  await child.next('begun');
  const fromMs = monotonicMs();
  const wantedMs = request.saver === forewrit ? recordedMs : recordedMsOfPeer;
  const isEnough = (): boolean => {
    const passedMs = monotonicMs() - fromMs;
    const saves = child.messages.filter(({ type }) => type === 'saved').length;
    return child.hasEnded || passedMs > recordedMsMax || (passedMs > wantedMs && saves >= savesMin);
  };
  while (!isEnough()) {
    await sleep(syncEveryMs);
    if (request.saver === 'fs.writeFile') run(['sync', '-f', point]);
  }
  await child.kill();
  for (const message of child.messages) if (message.type === 'failed') throw new Error(message.error);
  return child.messages;
}

function makeImage(path: string): void {
  rmSync(path, { force: true });
  const descriptor = openSync(path, 'wx');
  ftruncateSync(descriptor, imageBytes);
  closeSync(descriptor);
  run([...configuration.make, path]);
}

async function cutPower(
  recorded: Recorded,
  { count, judges }: { count: number; judges: readonly [Judge, Judge] },
): Promise<void> {
  const { saver, seed, base, entries, fromMs, messages } = recorded;
  const images = new CrashImages({ base, entries, superblock: configuration.superblock });
  const path = `${directory}/image`;
  for (const position of chooseCuts(entries, { fromMs, count, random })) {
    const cut = cutAt(position, entries, messages);
    const image = images.make(path, { position, random });
    const command: JudgeCommand = { image: path, configuration, saver, seed, ...cut };
    if (saver === forewrit && random.chance(cutAgainShare)) await cutAgain(command, { cut, image, judges });
    else report({ cut, image, cutAgain: false, saver, verdict: await verdictOf(judges[0], command) });
    rmSync(path);
  }
  images.close();
}

/** Records the disk while the first boot recovers, and has the second one judge what a cut in that has left. */
async function cutAgain(
  command: JudgeCommand,
  { cut, image, judges: [first, second] }: { cut: Cut; image: CrashImage; judges: readonly [Judge, Judge] },
): Promise<void> {
  const { saver } = command;
  const base = `${command.image}.base`;
  copySparse(command.image, base);
  let entries: readonly DeviceEntry[];
  let verdict: Verdict;
  {
    await using recording = await Recording.of(command.image);
    verdict = await verdictOf(first, { ...command, image: recording.path });
    entries = recording.entries();
  }
  report({ cut, image, cutAgain: false, saver, verdict });
  if (verdict.outcome !== 'whole') return;
  const images = new CrashImages({ base, entries, superblock: configuration.superblock });
  const [position = 0] = chooseCuts(entries, { fromMs: 0, count: 1, random });
  const again = images.make(command.image, { position, random });
  images.close();
  // Which version it is was decided by the first cut.
  const exactly = { oldest: verdict.version, newest: verdict.version };
  report({
    cut: { position, ...exactly },
    image: again,
    cutAgain: true,
    saver,
    verdict: await verdictOf(second, { ...command, ...exactly }),
  });
}

async function verdictOf(judge: Judge, command: JudgeCommand): Promise<Verdict> {
  const { image, saver, configuration } = command;
  const unjudged = `${directory}/unjudged`;
  if (keepIn !== undefined) copySparse(image, unjudged);
  judge.tell(command);
  const verdict = await judge.next('verdict');
  if (keepIn !== undefined && saver === forewrit && verdict.outcome !== 'whole') {
    copySparse(unjudged, `${keepIn}/${verdict.outcome}-${configuration.type}-${Math.round(monotonicMs())}`);
  }
  return verdict;
}

function report(judgement: Omit<Judgement, 'type'>): void {
  say({ type: 'judged', ...judgement } satisfies CampaignMessage);
}

onCommand(() => undefined);
runCampaign().then(
  () => {
    say({ type: 'done' } satisfies CampaignMessage);
    process.exit(0);
  },
  (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    say({ type: 'failed', error: text } satisfies CampaignMessage);
    process.exit(1);
  },
);
