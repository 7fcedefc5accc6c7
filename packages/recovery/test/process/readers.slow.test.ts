import { setTimeout as sleep } from 'node:timers/promises';
import { assert, suite, temporaryDirectory, TestProcess } from '@forewrit/testkit';
import type { ReaderMessage } from './reader-child.js';
import type { WriterMessage } from './writer-child.js';

const test = suite('a reading process beside two that write without pause');

const writerScript = new URL('./writer-child.js', import.meta.url);
const readerScript = new URL('./reader-child.js', import.meta.url);

const durationMs = 3000;
const readsPerSecondMin = 20;
const gapMsMax = 1000;

/** What the writers save in turn: sizes of the four files. */
const situations: Readonly<Record<string, readonly (readonly number[])[]>> = {
  'small sets': [[6000, 8000, 4000, 6000]],
  'large sets': [[100_000, 70_000, 90_000, 300_000]],
  'small and large sets in turn': [
    [6000, 8000, 4000, 6000],
    [100_000, 2000, 2000, 2000],
    [3000, 3000, 3000, 3000],
  ],
};

for (const [what, sizes] of Object.entries(situations)) {
  test(`sees whole ${what} only, and is not starved`, async () => {
    using directory = temporaryDirectory('readers');
    const root = directory.path;
    const sets = sizes.map((of) =>
      Object.fromEntries(of.map((sizeBytes, index) => [`set/${index}`, sizeBytes])),
    );
    const writerNamed = (name: string): TestProcess<WriterMessage> =>
      new TestProcess<WriterMessage>(writerScript, { request: { root, name, sets } });
    await using one = writerNamed('one');
    await using other = writerNamed('other');
    one.tell({ type: 'save' });
    await one.next('saved');
    await other.next('open');
    const paths = Object.keys(sets[0]!);
    await using reader = new TestProcess<ReaderMessage>(readerScript, { request: { root, paths } });
    await reader.next('open');
    for (const writer of [one, other]) writer.tell({ type: 'run' });
    for (const writer of [one, other]) await writer.next('saved');
    reader.tell({ type: 'read' });
    const before = one.messages.length + other.messages.length;
    await sleep(durationMs);
    const saves = one.messages.length + other.messages.length - before;
    reader.tell({ type: 'stop' });
    const report = await reader.next('report');

    const readsPerSecond = (report.reads / report.durationMs) * 1000;
    const perSecond = `${readsPerSecond.toFixed(0)} reads and ${((saves / durationMs) * 1000).toFixed(0)} saves a second`;
    console.log(
      `${what}: ${perSecond}, ${report.sets} different sets, longest gap ${report.longestMs.toFixed(0)} ms`,
    );
    assert.equal(report.mixed, []);
    assert.ok(readsPerSecond >= readsPerSecondMin, perSecond);
    assert.ok(report.longestMs <= gapMsMax, `the longest gap was ${report.longestMs} ms`);
    assert.ok(report.sets > 5, `${report.sets} different sets were seen`);
    for (const writer of [one, other]) {
      assert.equal(
        writer.messages.filter(({ type }) => type === 'refused'),
        [],
      );
    }
  });
}

test.run();
