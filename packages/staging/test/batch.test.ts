import { existsSync } from 'node:fs';
import { BatchFileWriter, type BatchProgress, writeFilesBatch } from '#src/index.js';
import { assert, suite } from '@forewrit/testkit';
import { numberedLines, testStore } from './staging-store.js';

const test = suite('BatchFileWriter');
const large = numberedLines(2_000_000);

test('all files of a batch are written, and nothing is left', async () => {
  await using world = await testStore();
  const told: BatchProgress[] = [];
  const files = Object.fromEntries(
    Array.from({ length: 200 }, (_, index) => [`d/${index}`, `content ${index}`]),
  );
  const { paths } = await writeFilesBatch(
    world.store,
    { ...files, large },
    { onProgress: (p) => told.push(p) },
  );
  assert.is(paths.filter((path) => path !== 'd').length, 201);
  assert.is(world.text('d/7'), 'content 7');
  assert.is(world.text('large'), large);
  assert.equal([told.length, told.at(-1)?.files, told.at(-1)?.totalFiles], [201, 201, 201]);
  assert.equal(await world.leftovers(), []);
});

test('one that fails takes all of them back', async () => {
  await using world = await testStore();
  await world.store.writeFile('a', 'old');
  const source = async function* (): AsyncGenerator<string> {
    yield large;
    throw Object.assign(new Error('failed'), { code: 'ESOURCE' });
  };
  const files: [string, string | AsyncGenerator<string>][] = [
    ['a', 'new'],
    ['b', source()],
    ['c', 'new'],
  ];
  await assert.rejectsWithCode(writeFilesBatch(world.store, files), 'ESOURCE');
  const batch = await BatchFileWriter.open(world.store, { maxFileBytes: 100 });
  await batch.add('a', 'new');
  await assert.rejectsWithCode(batch.add('b', large), 'ERR_TOO_LARGE');
  await assert.rejectsWithCode(
    writeFilesBatch(world.store, [['b', [large.slice(0, 60), large.slice(0, 60)]]], { maxFileBytes: 100 }),
    'ERR_TOO_LARGE',
  );
  assert.is(world.text('a'), 'old');
  assert.is(existsSync(`${world.root}/b`), false);
  assert.equal(await world.leftovers(), []);
});

test('a batch that is disposed of without a commit leaves nothing', async () => {
  await using world = await testStore();
  {
    await using batch = await BatchFileWriter.open(world.store);
    await batch.add('a', large);
    assert.is(batch.files, 1);
  }
  const batch = await BatchFileWriter.open(world.store, { backupOriginal: true });
  await batch.add('a', 'first');
  await batch.commit();
  await batch.cancel();
  await assert.rejectsWithCode(batch.add('b', 'late'), 'ERR_INVALID_ARGUMENT');
  const other = await BatchFileWriter.open(world.store, { backupOriginal: true });
  await other.add('a', 'second');
  await other.commit();
  assert.equal([world.text('a'), world.text('a.bak')], ['second', 'first']);
  assert.equal(await world.leftovers(), []);
});

test.run();
