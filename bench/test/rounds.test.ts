import { assert, Random, suite } from '@forewrit/testkit';
import { inTurns } from '#src/rounds.js';

const test = suite('rounds');

const names = ['a', 'b', 'c', 'd'];

async function orderWith(seed: number, rounds = 50): Promise<string[]> {
  const order: string[] = [];
  const turns = names.map((name) => ({
    name,
    act: async (round: number) => {
      order.push(`${round}${name}`);
    },
  }));
  await inTurns(turns, { rounds, warmUpRounds: 0, random: new Random(seed) });
  return order;
}

test('a round has everybody once', async () => {
  const order = await orderWith(1);
  for (let round = 0; round < 50; round += 1) {
    const ofRound = order.slice(round * names.length, (round + 1) * names.length);
    assert.equal(
      ofRound.toSorted(),
      names.map((name) => `${round}${name}`),
    );
  }
});

test('everybody comes after everybody', async () => {
  const order = (await orderWith(2, 200)).map((entry) => entry.at(-1));
  const pairs = new Set(order.slice(1).map((name, index) => `${order[index]}${name}`));
  for (const one of names)
    for (const other of names) if (one !== other) assert.ok(pairs.has(one + other), one + other);
});

test('the seed decides the order', async () => {
  assert.equal(await orderWith(3), await orderWith(3));
  assert.not.equal(await orderWith(3), await orderWith(4));
});

test('warm-up rounds are run and not counted; who times himself is believed', async () => {
  const seen: number[] = [];
  const turn = {
    name: 'own clock',
    act: async (round: number) => {
      seen.push(round);
      return 100 + round;
    },
  };
  const samples = await inTurns([turn], { rounds: 3, warmUpRounds: 2, random: new Random(5) });
  assert.equal(seen, [0, 1, 2, 3, 4]);
  assert.equal(samples.get('own clock'), [102, 103, 104]);
});

test('a turn that fails fails the measurement', async () => {
  const turn = { name: 'fails', act: () => Promise.reject(new Error('the disk is full')) };
  let message = '';
  try {
    await inTurns([turn], { rounds: 1, warmUpRounds: 0, random: new Random(6) });
  } catch (error) {
    message = (error as Error).message;
  }
  assert.is(message, 'the disk is full');
});

test.run();
