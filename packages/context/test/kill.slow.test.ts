import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '@forewrit/recovery';
import { announceSeed, assert, Random, suite, temporaryDirectory } from '@forewrit/testkit';
import { fill, leftovers, managerOf, wholeVersion } from './context-world.js';
import { SavingProcess } from './saving-process.js';

const kills = 20;
/** Some saves long: a save takes a few milliseconds. */
const delayMsMax = 40;

const test = suite('killing a process that saves', { timeoutMs: 120_000 });

test('at random moments leaves one whole version, and never loses an acknowledged one', async () => {
  const random = new Random(announceSeed('kill.slow.test'));
  using root = temporaryDirectory('context');
  using elsewhere = temporaryDirectory('context');
  const roots = { shared: elsewhere.path };
  const globalContextPath = 'shared:global_context.json';
  let versionBefore = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    // Small sets travel in the log, the larger one beside it.
    await using child = new SavingProcess({
      root: root.path,
      roots,
      globalContextPath,
      messageCounts: [3, 300, 40],
    });
    await child.saving();
    await sleep(random.below(delayMsMax) + random.below(1000) / 1000);
    await child.kill();
    const { acknowledged } = child;

    await using store = await openStore(root.path, { roots });
    assert.equal(store.recovery.conflicts, []);
    assert.equal(store.recovery.blocked, []);
    const manager = managerOf(store, { globalContextPath });
    assert.is(await manager.load(), true);
    const version = wholeVersion(manager);
    assert.ok(acknowledged > versionBefore);
    assert.ok(
      version === acknowledged || version === acknowledged + 1,
      `version ${version} on disk, ${acknowledged} acknowledged`,
    );
    versionBefore = version;
    await store.checkpoint();
    assert.equal(leftovers(root.path), []);
    assert.equal((await store.verify()).findings, []);
  }
});

const places = [
  { name: 'stage.before', expected: 1 },
  { name: 'stage.after', expected: 1 },
  { name: 'log.inside', expected: 1 },
  { name: 'log.after', expected: 2 },
  { name: 'apply.target', skip: 0, expected: 2 },
  { name: 'apply.target', skip: 1, expected: 2 },
  { name: 'apply.target', skip: 2, expected: 2 },
  { name: 'apply.target', skip: 3, expected: 2 },
  { name: 'apply.after', expected: 2 },
] as const;

for (const { expected, ...place } of places) {
  const skip = 'skip' in place ? place.skip : 0;
  test(`in the middle of a save (${place.name}, ${skip} passed) leaves version ${expected}`, async () => {
    for (const messageCount of [3, 300]) {
      using root = temporaryDirectory('context');
      const first = await openStore(root.path);
      const saved = managerOf(first);
      fill(saved, 1, messageCount);
      await saved.save();
      await first.close();
      const failpoint = { ...place, action: 'kill' } as const;
      await using child = new SavingProcess({ root: root.path, messageCounts: [messageCount], failpoint });
      await child.killed();
      assert.is(child.acknowledged, 0);

      await using store = await openStore(root.path);
      const manager = managerOf(store);
      assert.is(await manager.load(), true);
      assert.is(wholeVersion(manager), expected);
      fill(manager, 3, messageCount);
      await manager.save();
      await store.checkpoint();
      assert.equal(leftovers(root.path), []);
      assert.equal((await store.verify()).findings, []);
    }
  });
}

test.run();
