/**
 * Crash enumeration of content that is staged over time: at each call to the file system and the log the power is cut in
 * every way that the model allows, or in a sample. After recovery nothing that was acknowledged is lost: what was synced
 * can be continued and is what it was, and what was committed is in its file, whole.
 */

import {
  announceSeed,
  choicesWithin,
  type CrashPoint,
  type Fault,
  type PersistenceModel,
  Random,
  SimulatedDisk,
  suite,
} from '@forewrit/testkit';
import { isStoreError } from '@forewrit/core';
import { recordOf, Stager } from '../staging-world.js';
import { crashesAt } from './preparation.js';
import { contentOf, root, stagingNames, tree, World, write } from '../world.js';

const pieces = ['The first piece. ', 'A second one, somewhat longer. ', 'The end.'] as const;
const whole = pieces.join('');
const inlineLimitBytes = 24;
const firstPid = 1000;
const budget = { exhaustiveMax: 4096, samples: 512 } as const;

/** What its user has been told when the power goes. */
interface Promised {
  /** The log has the operation. */
  readonly begun: boolean;
  readonly durable: number;
  /** A commit, or the discard, is under way: either may be found. */
  readonly ending: 'no' | 'commit' | 'discard';
  readonly ended: boolean;
}

interface Moment {
  readonly what: string;
  readonly crash: CrashPoint<SimulatedDisk>;
  readonly death: World;
  readonly promised: Promised;
}

interface Act {
  promised: Promised;
  /** Where the story's files are: '' or `data:`. */
  readonly where: '' | 'data:';
  readonly open: (faults?: readonly Fault[]) => Promise<Stager>;
}

interface Story {
  readonly name: string;
  /** Default: the store's own file system. */
  readonly where?: 'data:';
  readonly run: (act: Act) => Promise<void>;
}

function told(act: Act, promised: Partial<Promised>): void {
  act.promised = { ...act.promised, ...promised };
}

type Staged = Awaited<ReturnType<Stager['stage']>>;

async function stage(act: Act, stager: Stager): Promise<Staged> {
  const staged = await stager.stage('x', { path: `${act.where}d/x` });
  told(act, { begun: true });
  return staged;
}

async function add(act: Act, staged: Staged, piece: string): Promise<void> {
  await staged.append(piece);
  await staged.sync();
  told(act, { durable: staged.offset });
}

async function commit(act: Act, stager: Stager, staged: Staged): Promise<void> {
  told(act, { ending: 'commit' });
  await stager.write(`${act.where}d/x`, staged);
  told(act, { ended: true });
}

const stories: readonly Story[] = [
  {
    name: 'staged in pieces, committed and checkpointed',
    run: async (act) => {
      const stager = await act.open();
      const staged = await stage(act, stager);
      for (const piece of pieces) await add(act, staged, piece);
      await commit(act, stager, staged);
      stager.process.checkpoint();
    },
  },
  {
    name: 'taken over from a process that was killed, and committed',
    run: async (act) => {
      const first = await act.open();
      const begun = await stage(act, first);
      await add(act, begun, pieces[0]);
      await begun.append('never synced');
      first.process.kill();
      const second = await act.open();
      const staged = await stage(act, second);
      await add(act, staged, pieces[1]);
      await add(act, staged, pieces[2]);
      await commit(act, second, staged);
      second.process.flushMarks();
    },
  },
  {
    name: 'beside another transaction, and discarded',
    run: async (act) => {
      const stager = await act.open();
      const staged = await stage(act, stager);
      await add(act, staged, pieces[0]);
      stager.process.commit(write('beside', 'something else'));
      await add(act, staged, pieces[1]);
      told(act, { ending: 'discard' });
      await staged.discard();
      told(act, { ended: true });
    },
  },
  {
    name: 'for a file on another file system',
    where: 'data:',
    run: async (act) => {
      const first = await act.open();
      await add(act, await stage(act, first), pieces[0]);
      first.process.kill();
      const second = await act.open();
      const staged = await stage(act, second);
      await add(act, staged, pieces[1] + pieces[2]);
      await commit(act, second, staged);
      second.process.checkpoint();
    },
  },
  {
    name: 'rolled back, and committed elsewhere',
    run: async (act) => {
      const stager = await act.open([
        { error: 'EIO', at: ({ method, dest }) => method === 'rename' && dest === `${root}/broken` },
      ]);
      const first = await stage(act, stager);
      await add(act, first, whole);
      told(act, { ending: 'commit' });
      try {
        await stager.write('broken', first);
      } catch (error) {
        if (!isStoreError(error, 'ERR_APPLY_ROLLED_BACK')) throw error;
      }
      told(act, { ending: 'no' });
      await first.close();
      const staged = await stager.stage('x');
      await commit(act, stager, staged);
    },
  },
];

const roots = { data: '/data' };
const areas = [`${root}/.forewrit`, '/data/.forewrit-staged'];

async function record(story: Story, model: PersistenceModel): Promise<Moment[]> {
  const world = new World(new SimulatedDisk({ volumes: [{ mountPoint: '/data' }] }));
  (await world.open({ roots })).kill();
  world.disk.settle();
  const moments: Moment[] = [];
  const act: Act = {
    where: story.where ?? '',
    promised: { begun: false, durable: 0, ending: 'no', ended: false },
    open: async (faults = []) => {
      const onStep = (what: string): void => {
        for (const crash of crashesAt(world, model, what)) moments.push({ ...crash, promised: act.promised });
      };
      return new Stager(await world.open({ inlineLimitBytes, roots, faults, onStep }));
    },
  };
  await story.run(act);
  return moments;
}

/** Recovers, looks, goes on to the end, and looks again. */
async function judge(
  world: World,
  { begun, durable, ending, ended }: Promised,
  where: Act['where'],
): Promise<void> {
  const insist = (isTrue: boolean, what: string): void => {
    if (!isTrue) throw new Error(what);
  };
  const process = await world.open({ inlineLimitBytes, roots });
  const { blocked, kept } = process.recovery!;
  insist(blocked.length + kept.length === 0, JSON.stringify(process.recovery));
  const found = { ...tree(world.outside), ...tree(world.outside, '/data') };
  const paths = Object.keys(found).filter((path) => !path.endsWith('/') && path !== 'beside');
  const record = recordOf(world, 'x');
  const isCommitted = paths.length > 0;
  for (const path of paths) insist(found[path] === whole, `${path} holds ${JSON.stringify(found[path])}`);
  insist(paths.length <= 1, `it is in ${paths.join(' and ')}`);
  insist(!isCommitted || ending === 'commit', 'committed, and nobody has asked for it');
  insist(!(ended && ending === 'commit') || isCommitted, 'an acknowledged commit is lost');
  insist(!isCommitted || record === undefined, 'committed, and to be continued all the same');
  insist(!(ended && ending === 'discard') || record === undefined, 'discarded, and still there');
  if (begun && ending === 'no') insist(record !== undefined, 'what was begun is lost');
  const names = namesIn(world);
  const expected = record === undefined ? [] : [`staged/${record.resumable.staged}`];
  insist(names.join() === expected.join(), `left in the staging areas: ${names.join()}`);

  const stager = new Stager(process);
  const staged = await stager.stage('x', { path: `${where}again` });
  if (record !== undefined) {
    insist(staged.offset >= durable, `${staged.offset} bytes are left of ${durable}`);
    const area = areas[where === '' ? 0 : 1];
    const path = `${area}/staged/${record.resumable.staged}`;
    const text = contentOf(world.outside, path);
    insist(text === whole.slice(0, staged.offset), `what is to be continued is ${JSON.stringify(text)}`);
  }
  const rest = whole.slice(staged.offset);
  if (rest !== '') await staged.append(rest);
  await stager.write(`${where}again`, staged);
  const again = where === '' ? 'again' : '/data/again';
  insist(contentOf(world.outside, again) === whole, 'it cannot be continued');
  process.checkpoint();
  insist(namesIn(world).length === 0, 'something is left in the staging areas');
  process.kill();
}

/** In all staging areas that there are. */
function namesIn({ outside }: World): string[] {
  return areas.flatMap((area) =>
    outside.lstat(`${area}/staged`) === undefined ? [] : stagingNames(outside, area),
  );
}

const name = 'crash enumeration of staging';
const test = suite(name, { timeoutMs: 300_000 });
const seed = announceSeed(name);
const tally = { points: 0, states: 0 };

for (const story of stories) {
  test(`every crash of content that is ${story.name}`, async () => {
    for (const model of ['ordered', 'weakest'] as const) {
      const random = new Random(seed);
      for (const [index, moment] of (await record(story, model)).entries()) {
        tally.points += 1;
        const { effects } = moment.crash;
        const where = `${story.name} (${model}), crash point ${index}, ${moment.what}`;
        const seen = new Set<bigint>();
        const worlds = function* (): Generator<World> {
          yield moment.death.fork();
          for (const choice of choicesWithin(effects, { ...budget, random })) {
            const disk = moment.crash.image(choice);
            const fingerprint = disk.fingerprint();
            tally.states += 1;
            if (seen.has(fingerprint)) continue;
            seen.add(fingerprint);
            yield new World(disk, moment.death.log.clone(), { alive: new Set(), next: firstPid });
          }
        };
        for (const world of worlds()) {
          try {
            await judge(world, moment.promised, story.where ?? '');
          } catch (error) {
            throw new Error(`${where}: ${error instanceof Error ? error.stack : String(error)}`, {
              cause: error,
            });
          }
        }
      }
    }
  });
}
test.after(() => {
  console.log(JSON.stringify(tally));
});
test.run();
