import * as assert from '#src/assert.js';
import {
  type ChoiceBudget,
  choicesWithin,
  countChoices,
  countChoicesExactly,
  distinctChoice,
  distinctChoices,
  everyChoice,
  type PendingEffect,
  sampleChoice,
} from '#src/crash-choice.js';
import { Random } from '#src/random.js';
import { suite } from '#src/suite.js';

const choices = suite('crash choices');

function effect(outcomes: number, scatters = false): PendingEffect {
  return { kind: 'write', path: '/f', outcomes, whole: 1, scatters, describe: String };
}

choices('all are given once, from nothing to everything', () => {
  const effects = [effect(2), effect(3)];
  assert.is(countChoices(effects), 6);
  const all = [...everyChoice(effects)];
  assert.equal(all, [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
    [0, 2],
    [1, 2],
  ]);
  assert.equal([...everyChoice([])], [[]]);
});

choices('numbered ones are all different, and all are given', () => {
  for (const effects of [
    [effect(2), effect(3), effect(5)],
    [effect(7)],
    Array.from({ length: 10 }, () => effect(2)),
  ]) {
    const count = countChoicesExactly(effects);
    assert.is(Number(count), countChoices(effects));
    const seen = new Set<string>();
    for (let index = 0n; index < count; index += 1n) seen.add(distinctChoice(effects, index).join());
    assert.is(seen.size, Number(count));
  }
  const many = Array.from({ length: 60 }, () => effect(3));
  const some = Array.from({ length: 2000 }, (_, index) => distinctChoice(many, BigInt(index)).join());
  assert.is(new Set(some).size, 2000);
  assert.equal(distinctChoice([], 0n), []);
});

choices('one after the other they are the same as one by one, from wherever', () => {
  const all = [effect(2), effect(3), effect(5), effect(2), effect(4)];
  for (const effects of [all, Array.from({ length: 40 }, () => effect(3)), [effect(1)], []]) {
    const count = countChoicesExactly(effects);
    const whole = count < 300n ? Number(count) : 300;
    for (const first of [0, 1, 7, 100]) {
      const given = Array.from(distinctChoices(effects, { first, end: whole }), (choice) => [...choice]);
      const wanted = Array.from({ length: Math.max(whole - first, 0) }, (_, index) =>
        distinctChoice(effects, BigInt(first + index)),
      );
      assert.equal(given, wanted);
    }
  }
  assert.is([...distinctChoices([effect(2), effect(3)], { first: 0, end: 1_000 })].length, 6);
  assert.is([...distinctChoices([effect(2), effect(3)], { first: 4, end: 1_000 })].length, 2);
  assert.is([...distinctChoices([effect(2), effect(3)], { first: 6, end: 1_000 })].length, 0);
});

function budget(seed: number): ChoiceBudget {
  return { exhaustiveMax: 1_024, samples: 50, random: new Random(seed) };
}

choices('few are enumerated, many are sampled by their seed, with both ends', () => {
  const few = [effect(2), effect(2)];
  const many = Array.from({ length: 40 }, () => effect(3, true));
  assert.is([...choicesWithin(few, budget(1))].length, 4);
  const sampled = [...choicesWithin(many, budget(1))];
  assert.is(sampled.length, 52);
  assert.ok(sampled[0]?.every((outcome) => outcome === 0));
  assert.ok(sampled[1]?.every((outcome) => outcome === 1));
  assert.equal(sampled, [...choicesWithin(many, budget(1))]);
  assert.not.equal(sampled, [...choicesWithin(many, budget(2))]);
});

choices('samples draw every outcome, scatters only where there are any', () => {
  const source = new Random(3);
  const seen = [new Set<number>(), new Set<number>()];
  for (let count = 0; count < 2_000; count += 1) {
    for (const [index, outcome] of sampleChoice([effect(3), effect(3, true)], source).entries()) {
      seen[index]?.add(Math.min(outcome, 3));
    }
  }
  assert.equal(
    seen.map((outcomes) => [...outcomes].sort((one, other) => one - other)),
    [
      [0, 1, 2],
      [0, 1, 2, 3],
    ],
  );
});

choices.run();
