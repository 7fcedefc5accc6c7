/** What an engine holds in memory while a task prints far more than is kept. `FOREWRIT_FLOOD_MIB`: how much (200). */

import { openStore } from '@forewrit/recovery';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { openTasks } from '#src/index.js';
import { notLinux } from '../task-world.js';

const floodBytes = Number(process.env['FOREWRIT_FLOOD_MIB'] ?? 200) * 1024 * 1024;
const keptBytes = 8 * 1024 * 1024;
const growthBytesMax = 96 * 1024 * 1024;
const tail = 'x'.repeat(98);

const test = suite('a flood of output', { timeoutMs: 120_000 + floodBytes / 5000 });

test.skipIf(
  notLinux,
  'an engine that watches and follows it stays small, and has the right tail in the end',
  async () => {
    using directory = temporaryDirectory('flood');
    const store = await openStore(directory.path);
    const engine = await openTasks(store);
    try {
      const before = process.memoryUsage().rss;
      let most = before;
      const { id } = await engine.start({
        command: `yes | head -c ${floodBytes}; echo; echo ${tail}`,
        output: { maxBytes: keptBytes, segmentBytes: keptBytes / 8 },
      });
      let seen = 0;
      for await (const { data, offset, nextOffset } of engine.follow(id)) {
        assert.ok(offset >= seen, 'never back');
        assert.is(nextOffset - offset, data.length);
        seen = nextOffset;
        most = Math.max(most, process.memoryUsage().rss);
      }
      const { state, outputBytes, droppedBytes, complete } = await engine.wait(id);
      assert.equal([state, outputBytes, complete], ['completed', floodBytes + 100, true]);
      assert.is(seen, outputBytes);
      assert.ok(outputBytes - droppedBytes <= keptBytes);
      const last = await engine.read(id, { tailLines: 1, encoding: 'utf8' });
      assert.is(last.data, `${tail}\n`);
      console.log(`${Math.round((most - before) / 1024 / 1024)} MiB more than before`);
      assert.ok(most - before <= growthBytesMax, `${most - before} bytes more than before`);
    } finally {
      await engine.close();
      await store.close();
    }
  },
);

test.run();
