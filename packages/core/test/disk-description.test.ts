import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { askForDisks, describeDisks } from '#src/files/disk-description.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';

const test = suite('the description of disks');

function entry(directory: string, code: string): URL {
  const path = `${directory}/entry.mjs`;
  writeFileSync(path, code);
  return pathToFileURL(path);
}

test('the disks of this machine are described, and asked for once a minute', async () => {
  const first = describeDisks(0);
  assert.is(describeDisks(59_000), first);
  assert.is.not(describeDisks(61_000), first);
  for (const { fileSystem, mountPoint, capacity } of await first)
    assert.equal([typeof fileSystem, typeof mountPoint, typeof capacity], ['string', 'string', 'string']);
});

test('who does not answer in time is ended, and nothing is known', async () => {
  using directory = temporaryDirectory('disks');
  assert.equal(await askForDisks(entry(directory.path, 'for (;;);'), 200), []);
});

test('what is no description is passed over', async () => {
  using directory = temporaryDirectory('disks');
  const disk = { fileSystem: 'ext4', mountPoint: '/', capacity: '1%' };
  const answer = (text: string): Promise<unknown> =>
    askForDisks(entry(directory.path, `process.stdout.write(${JSON.stringify(text)})`), 20_000);
  assert.equal(await answer('no JSON'), []);
  assert.equal(await answer('{}'), []);
  assert.equal(await answer(JSON.stringify([disk, { mountPoint: '/' }, 7])), [disk]);
  assert.equal(await askForDisks(entry(directory.path, 'throw new Error()'), 20_000), []);
});

test.run();
