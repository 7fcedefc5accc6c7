import fs from 'node:fs';
import path from 'node:path';
import { openTasks, type TaskEngine } from '@forewrit/tasks';
import { openStore, type Store } from 'forewrit';
import { Unavailable } from '../contenders/contender.js';
import { jsonFile, sqliteTasks, type TaskKeeper, type TaskRow } from '../contenders/task-keepers.js';
import { reference, type Series } from '../measurement.js';
import { inTurns, type Turn } from '../rounds.js';
import type { Scenario, World } from '../scenario.js';

const importAtOnce = 2000;
const dayMs = 24 * 3600 * 1000;
const pageTasks = 50;
const firstSecond = 1_700_000_000;

type Act = 'start' | 'get' | 'list' | 'run';

export const actCase = (act: Act, ended: number): string =>
  `${titles[act]}, ${ended.toLocaleString('en-US')} ended`;

const titles: Readonly<Record<Act, string>> = {
  start: 'start, durable',
  get: 'get one',
  list: `list ${pageTasks}`,
  run: 'start to end of `true`',
};

export const tasks: Scenario = {
  name: 'tasks',
  title: 'Records of tasks',
  about:
    'Taking a task on, until its record is durable (its process is spawned after that and is not in it); one record by its ' +
    'id; a page of the newest fifty; beside so many tasks that have ended. And a task of its own process from its start to ' +
    'the record of its end. Milliseconds.',
  runs: 3,
  everywhere: false,
  plot: 'bars',
  measure: async (world) => {
    const series: Series[] = [];
    for (const ended of world.quick ? [10, 1000] : [10, 1000, 100_000])
      series.push(...(await measureBeside(world, ended)));
    return series;
  },
};

async function measureBeside(world: World, ended: number): Promise<Series[]> {
  const directory = path.join(world.directory, `beside-${ended}`);
  fs.mkdirSync(directory);
  world.progress(`${ended} tasks that have ended`);
  const store = await openStore(path.join(directory, 'store'));
  await fill(store, ended);
  // What it takes on is not due before tomorrow: processes are measured by themselves.
  const engine = await openTasks(store, { starts: false, pruneIntervalMs: 0, retention: keepAll });
  const keepers = await openKeepers(world, directory, rowsOf(ended));
  try {
    return [
      ...(await inCase(world, actCase('start', ended), starts(engine, keepers))),
      ...(await inCase(world, actCase('get', ended), gets(await someId(engine), engine, keepers))),
      ...(await inCase(world, actCase('list', ended), lists(engine, keepers))),
      ...(await measureRun(world, store, ended)),
    ];
  } finally {
    for (const keeper of keepers.values()) await keeper.close();
    await engine.close();
    await store.close();
  }
}

type Keepers = ReadonlyMap<string, TaskKeeper>;

function starts(engine: TaskEngine, keepers: Keepers): Turn[] {
  let next = 0;
  return [
    {
      name: reference,
      act: async () => void (await engine.start({ command: 'true', startAfter: Date.now() + dayMs })),
    },
    ...[...keepers].map(([name, keeper]) => ({
      name,
      act: () =>
        keeper.put({ id: `new-${next++}`, command: 'true', status: 'running', createdAt: Date.now() }),
    })),
  ];
}

function gets(id: string, engine: TaskEngine, keepers: Keepers): Turn[] {
  return [
    { name: reference, act: async () => void (await engine.get(id)) },
    ...[...keepers].map(([name, keeper]) => ({ name, act: async () => void (await keeper.get('old-0')) })),
  ];
}

function lists(engine: TaskEngine, keepers: Keepers): Turn[] {
  return [
    { name: reference, act: async () => void (await engine.list({ limit: pageTasks })) },
    ...[...keepers].map(([name, keeper]) => ({ name, act: async () => void (await keeper.page(pageTasks)) })),
  ];
}

async function inCase(world: World, title: string, turns: readonly Turn[]): Promise<Series[]> {
  const samples = await inTurns(turns, {
    rounds: world.quick ? 10 : 300,
    warmUpRounds: world.quick ? 2 : 50,
    random: world.random,
    onRound: (done, all) => world.progress(`${title}: round ${done} of ${all}`),
  });
  return [...samples].map(([contender, times]) => seriesOf(title, contender, times));
}

async function measureRun(world: World, store: Store, ended: number): Promise<Series[]> {
  const title = actCase('run', ended);
  const engine = await openTasks(store, { pruneIntervalMs: 0, retention: keepAll });
  try {
    const act = async (): Promise<void> => {
      const { id } = await engine.start({ command: 'true' });
      const { state } = await engine.wait(id);
      if (state !== 'completed') throw new Error(`a task that does nothing ended as ${state}`);
    };
    const samples = await inTurns([{ name: reference, act }], {
      rounds: world.quick ? 2 : 20,
      warmUpRounds: 1,
      random: world.random,
    });
    return [...samples].map(([contender, times]) => seriesOf(title, contender, times));
  } finally {
    await engine.close();
  }
}

function seriesOf(title: string, contender: string, samples: readonly number[]): Series {
  return { case: title, contender, measure: 'time', unit: 'ms', samples };
}

async function openKeepers(world: World, directory: string, rows: readonly TaskRow[]): Promise<Keepers> {
  const keepers = new Map<string, TaskKeeper>();
  for (const [index, keeping] of [jsonFile, sqliteTasks].entries()) {
    const own = path.join(directory, `keeper-${index}`);
    fs.mkdirSync(own);
    try {
      keepers.set(keeping.name, await keeping.open(own, rows));
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      world.miss(keeping.name, error.message);
    }
  }
  return keepers;
}

async function someId(engine: TaskEngine): Promise<string> {
  const { tasks: newest } = await engine.list({ limit: 1 });
  if (newest[0] === undefined) throw new Error('there is no task');
  return newest[0].id;
}

const keepAll = { maxAgeMs: Infinity, maxBytes: Infinity, maxCount: Infinity };

function rowsOf(ended: number): TaskRow[] {
  return Array.from({ length: ended }, (_, each) => ({
    id: `old-${each}`,
    command: `make target-${each}`,
    status: 'completed',
    createdAt: (firstSecond + each) * 1000,
  }));
}

/** As an import makes them: without so many processes. */
async function fill(store: Store, ended: number): Promise<void> {
  const engine = await openTasks(store, { starts: false, pruneIntervalMs: 0, retention: keepAll });
  for (let done = 0; done < ended; done += importAtOnce) {
    const imported: Record<string, object> = {};
    for (let each = done; each < Math.min(done + importAtOnce, ended); each += 1) {
      const second = firstSecond + each;
      imported[`old-${each}`] = {
        command: `make target-${each}`,
        status: 'completed',
        exit_code: 0,
        created_at: second,
        start_time: second,
        end_time: second + 1,
      };
    }
    await engine.importTasks(JSON.stringify(imported));
  }
  await engine.close();
}
