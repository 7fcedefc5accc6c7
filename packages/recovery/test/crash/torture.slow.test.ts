/** That `npm run torture` counts what it says, and that what it leaves out was judged. */

import { tables } from '@forewrit/core';
import {
  assert,
  announceSeed,
  everyChoice,
  persistenceModels,
  Random,
  sampleChoice,
  suite,
} from '@forewrit/testkit';
import { FingerprintSet } from './fingerprint-set.js';
import { worldAfter } from './judgement.js';
import { type Moment, recordMoments } from './moment.js';
import { inlineLimitBytes } from './preparation.js';
import { type Crash, commandOf, crashFrom, placesOf, withoutPlaces } from './schedule.js';
import { programName, programOf } from './programs.js';
import { scenarios } from './scenarios.js';
import { flushing } from '../world.js';
import { Lane } from './torture-lane.js';
import { add, newState, searchesOfNextPass, sumOf, unitOf } from './torture-state.js';

const test = suite('torture', { timeoutMs: 120_000 });
const seed = announceSeed('torture');

test('fingerprints are those of the images', async () => {
  const random = new Random(seed);
  const names = Array.from({ length: 5 }, (_, number) => programOf(programName(number))!);
  let compared = 0;
  for (const scenario of [...scenarios, ...names]) {
    for (const model of persistenceModels) {
      for (const { crash } of await recordMoments(scenario, { model, directoryTimes: false })) {
        if (crash.effects.length === 0 || random.chance(0.5)) continue;
        const choice = sampleChoice(crash.effects, random);
        const { high, low } = crash.fingerprint(choice);
        assert.is((BigInt(high) << 32n) | BigInt(low), crash.image(choice).fingerprint());
        compared += 1;
      }
    }
  }
  assert.ok(compared > 1_000, `${compared} compared`);
});

test('the same survivors at moments with another log, or other trees allowed, are judged again', async () => {
  const scenario = scenarios.find(({ name }) => name === 'replace')!;
  const moments = await recordMoments(scenario, { model: 'weakest', directoryTimes: false });
  // While a batch of the log is being flushed nothing changes on the disk.
  const [before, after] = ['lost', 'kept'].map(
    (unflushed) => moments.findLast(({ what }) => what === `${flushing}, and ${unflushed}`)!,
  );
  const lost = before!.crash.effects.map(() => 0);
  assert.equal(before!.crash.fingerprint(lost), after!.crash.fingerprint(lost));
  assert.not.equal(before!.fingerprint(lost), after!.fingerprint(lost));
});

test('states with one fingerprint recover alike, whatever that comes to', async () => {
  let [states, different] = [0, 0];
  for (const name of ['create', 'move', 'checkpoint']) {
    const scenario = scenarios.find((each) => each.name === name)!;
    const seen = new Map<string, string>();
    for (const moment of await recordMoments(scenario, { model: 'weakest', directoryTimes: false })) {
      for (const choice of everyChoice(moment.crash.effects)) {
        const { high, low } = moment.fingerprint(choice);
        const key = `${high},${low}`;
        const outcome = await outcomeOf(moment, choice);
        states += 1;
        if (seen.has(key)) assert.is(outcome, seen.get(key));
        else seen.set(key, outcome);
      }
    }
    different += seen.size;
  }
  assert.ok(different > 500 && states > 3 * different, `${different} of ${states} are different`);
});

/** The report of the recovery, and all that is on the disk and in the log after it. */
async function outcomeOf(moment: Moment, choice: readonly number[]): Promise<string> {
  const world = worldAfter(moment, choice);
  const process = await world.open({ inlineLimitBytes });
  const { durationMs: _, ...report } = process.recovery!;
  process.kill();
  const rows = tables.map((table) => world.log.rows(table).range({ start: new Uint8Array(0) }).length);
  return JSON.stringify([report, world.disk.listing(), rows, moment.allowed]);
}

test('two lanes and several visits count each state once, and recover each disk once', async () => {
  const alone = await exhaust('swap', 1);
  const shared = await exhaust('swap', 2);
  assert.is(alone.states, alone.available);
  assert.is(shared.states, shared.available);
  assert.is(shared.recovered, alone.recovered);
  assert.is(shared.points, alone.points);
  assert.ok(alone.points > 50 && alone.recovered > alone.points);
});

async function exhaust(name: string, lanes: number) {
  const state = newState();
  const workers = Array.from({ length: lanes }, (_, lane) => new Lane({ lane, lanes }, 0));
  for (;;) {
    const searches = searchesOfNextPass(state, { scenario: name, model: 'weakest' });
    const [search] = searches.filter(({ scenario }) => scenario === name);
    if (search === undefined) break;
    const whole = unitOf(search);
    // Less at a time than there is, so that there are several.
    const unit = { ...whole, end: whole.first + 10 };
    add(state, search, unit, await Promise.all(workers.map((worker) => worker.run(unit))));
  }
  assert.equal(state.violations, []);
  const found = state.searches.find(({ scenario }) => scenario === name)!;
  return { ...sumOf(state), available: Number(found.available) };
}

test('a crash is read as it is written, with many operations in order too', () => {
  const crashes: Crash[] = [
    { point: 12, choice: [0, 1, 6, 0] },
    { point: 0, choice: [17, 2] },
    { point: 3, choice: [12] },
    { point: 7, choice: [] },
    { point: 1, choice: 'killed' },
  ];
  const schedule = { scenario: 'swap', without: ['steps.0.1'], model: 'strict', crashes } as const;
  const words = commandOf(schedule).split(' ');
  const read = words.filter((_, index) => words[index - 1] === '--crash').map(crashFrom);
  assert.equal(read, crashes);
  for (const wrong of ['', '1', 'x:0', '1:dead', ':0']) assert.throws(() => crashFrom(wrong));
});

test('what is left out of a scenario is not there, and the rest is', () => {
  const scenario = scenarios.find(({ name }) => name === 'two writers')!;
  const places = placesOf(scenario);
  assert.is(places.length, 3 + 3 + 3);
  assert.equal(withoutPlaces(scenario, []), scenario);
  const left = withoutPlaces(scenario, ['before.0.1', 'steps.0.0', 'steps.1', 'others.0.0', 'others.0.1']);
  assert.equal([left.before[0]!.length, left.steps.length, left.others], [2, 1, ['marks']]);
  const none = withoutPlaces(scenario, places);
  assert.equal([none.before, none.steps, none.others], [[], [], []]);
});

test('a program is the same each time, and no two are', () => {
  const shown = (number: number): string => JSON.stringify(programOf(programName(number)));
  const all = Array.from({ length: 50 }, (_, number) => shown(number));
  assert.equal(
    all,
    Array.from({ length: 50 }, (_, number) => shown(number)),
  );
  assert.ok(new Set(all.map((text) => text.replace(/"program \d+"/, ''))).size > 45);
  assert.is(programOf('swap'), undefined);
});

test('a set of fingerprints knows its members, and forgets them when they are too many', () => {
  const random = new Random(seed);
  const set = new FingerprintSet(5_000);
  const reference = new Set<string>();
  const members = [
    { high: 0, low: 0 },
    { high: 0, low: 7 },
    ...Array.from({ length: 4_000 }, () => ({ high: random.below(60), low: random.next32() })),
  ];
  for (const each of members) {
    const name = `${each.high},${each.low}`;
    assert.is(set.has(each), reference.has(name));
    set.add(each);
    reference.add(name);
    assert.is(set.has(each), true);
  }
  assert.is(set.size, reference.size);
  assert.ok(members.every((each) => set.has(each)));
  for (let count = 0; count < 1_000; count += 1) set.add({ high: 99, low: count });
  assert.ok(set.size < 5_000);
  assert.is(set.has({ high: 99, low: 999 }), true);
});

test.run();
