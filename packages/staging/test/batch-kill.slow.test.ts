import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '@forewrit/recovery';
import { announceSeed, assert, Random, suite, temporaryDirectory, TestProcess } from '@forewrit/testkit';
import type { BatchMessage } from './batch-child.js';

const test = suite('batches under SIGKILL', { timeoutMs: 300_000 });
const random = new Random(announceSeed('batches'));
const script = new URL('./batch-child.js', import.meta.url);

for (const [files, kills] of [
  [20, 15],
  [1000, 8],
] as const) {
  test(`${files} files are of one version, whenever the process is killed`, async () => {
    using directory = temporaryDirectory('batch');
    const root = `${directory.path}/root`;
    let version = 0;
    let between = 0;
    for (let kill = 0; kill < kills; kill += 1) {
      await using child = new TestProcess<BatchMessage>(script, { request: { root, files, version } });
      await child.next('begun', 60_000);
      if (random.chance(0.5)) await child.next('written', 60_000);
      await sleep(random.below(files));
      await child.kill();
      const said = (type: BatchMessage['type']): number =>
        Math.max(version, ...child.messages.filter((each) => each.type === type).map((each) => each.version));
      const store = await openStore(root, { committer: 'inline' });
      const paths = Array.from({ length: files }, (_, index) => `d${index % 10}/${index}`);
      const found = (await store.exists('d0/0'))
        ? await store.readFiles(paths, 'utf8')
        : new Map<string, string>();
      const versions = new Set([...found.values()].map((text) => Number(/\d+/.exec(text)?.[0])));
      assert.ok(versions.size <= 1, `versions ${[...versions].join(', ')}`);
      const [now = 0] = versions;
      assert.ok(
        now >= said('written') && now <= said('begun'),
        `${now} of ${said('written')} to ${said('begun')}`,
      );
      if (said('begun') > said('written')) between += 1;
      version = now;
      await store.close();
    }
    assert.ok(version > 0);
    assert.ok(between > 0, 'some were killed in the middle of a batch');
  });
}

test.run();
