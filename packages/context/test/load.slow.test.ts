import { openStore } from '@forewrit/recovery';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { managerOf, wholeVersion } from './context-world.js';
import { SavingProcess } from './saving-process.js';

const loadMs = 4000;
const loadMsMax = 2000;

const test = suite('loading while another process saves', { timeoutMs: 60_000 });

for (const elsewhere of [false, true]) {
  const where = elsewhere ? 'the global context in another root' : 'all in one directory';
  test(`without pause never gives a mixed set, nor an older one, and is not starved (${where})`, async () => {
    using root = temporaryDirectory('context');
    using other = temporaryDirectory('context');
    const roots = { shared: other.path };
    const place = elsewhere ? { globalContextPath: 'shared:global_context.json' } : {};
    await using child = new SavingProcess({ root: root.path, roots, ...place, messageCounts: [3, 300, 40] });
    await child.saving();
    await using store = await openStore(root.path, { roots, committer: 'inline' });
    const manager = managerOf(store, place);
    const seen = new Set<number>();
    let newest = 0;
    let slowestMs = 0;
    const started = performance.now();
    while (performance.now() - started < loadMs) {
      const { acknowledged } = child;
      const before = performance.now();
      assert.is(await manager.load(), true);
      slowestMs = Math.max(slowestMs, performance.now() - before);
      const version = wholeVersion(manager);
      assert.ok(version >= newest, `version ${version} after ${newest}`);
      assert.ok(version >= acknowledged, `version ${version}, though ${acknowledged} was acknowledged`);
      newest = version;
      seen.add(version);
    }
    await child.kill();
    assert.ok(seen.size > 20, `${seen.size} versions seen`);
    assert.ok(slowestMs < loadMsMax, `a load took ${slowestMs} ms`);
  });
}

test.run();
