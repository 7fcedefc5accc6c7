import { isStoreError, systemCode } from '@forewrit/core';
import { assert, suite } from '@forewrit/testkit';
import { type TestContext, fileNames, fill, wholeVersion } from './context-world.js';
import { contentSizes, FailingWorld, type Failure, renameTo, writesOfFile } from './failing-world.js';

const stagingFailures: readonly (readonly [Failure, string])[] = [
  [{ error: 'EIO' }, 'ERR_IO'],
  [{ error: 'ENOSPC' }, 'ERR_NO_SPACE'],
  [{ error: 'EACCES' }, 'ERR_PERMISSION'],
  [{ shortWrite: 0 }, 'ERR_IO'],
];

const applyFailures = ['EIO', 'ENOSPC', 'EACCES'] as const;

/** The originals are as they were, byte for byte, nothing is left, and the next save works. */
async function assertUntouched(
  world: FailingWorld,
  { manager, directory, before }: { manager: TestContext; directory: string; before: Record<string, string> },
): Promise<void> {
  assert.equal(world.filesOf(directory), before);
  assert.equal(world.leftovers(), []);
  assert.is(world.store.status, 'open');
  assert.is(manager.state.version, 2, 'what was not saved is still in memory');
  await manager.save();
  const loaded = world.manager(directory);
  await loaded.load();
  assert.is(wholeVersion(loaded), 2);
}

for (const { how, messages } of contentSizes) {
  for (const isReplacing of [false, true]) {
    const test = suite(`a failing save, ${how}, ${isReplacing ? 'replacing' : 'the first'}`, {
      timeoutMs: 60_000,
    });

    for (const [nth] of fileNames.entries()) {
      test(`at the write of file ${nth + 1} of 4 leaves everything as it was`, async () => {
        await using world = await FailingWorld.open();
        for (const [index, [failure, code]] of stagingFailures.entries()) {
          const directory = `context-${index}`;
          const manager = await world.begin(directory, isReplacing);
          const before = world.filesOf(directory);
          const { last_updated: stamp } = manager.metadata;
          fill(manager, 2, messages);
          const { hits, error } = await world.saveTrapped(manager, { failure, at: writesOfFile(nth) });
          assert.is(hits, 1);
          assert.ok(isStoreError(error), String(error));
          assert.is(error.code, code);
          if ('error' in failure) assert.is(systemCode(error.cause), failure.error);
          assert.is(manager.metadata.last_updated, stamp);
          await assertUntouched(world, { manager, directory, before });
        }
      });

      test(`short writes of file ${nth + 1} of 4 are carried on`, async () => {
        await using world = await FailingWorld.open();
        const manager = await world.begin('context', isReplacing);
        fill(manager, 2, messages);
        for (const trap of [
          { failure: { shortWrite: 1 }, at: writesOfFile(nth) },
          { failure: { shortWrite: 100 }, at: writesOfFile(nth), sticky: true },
        ]) {
          const { hits, error } = await world.saveTrapped(manager, trap);
          assert.ok(hits > 0);
          assert.is(error, undefined);
          const loaded = world.manager('context');
          await loaded.load();
          assert.is(wholeVersion(loaded), 2);
          assert.equal(loaded.messages, manager.messages);
        }
      });
    }

    for (const name of fileNames) {
      test(`at the rename to ${name} is rolled back`, async () => {
        await using world = await FailingWorld.open();
        for (const [index, error] of applyFailures.entries()) {
          const directory = `context-${index}`;
          const manager = await world.begin(directory, isReplacing);
          const before = world.filesOf(directory);
          fill(manager, 2, messages);
          const result = await world.saveTrapped(manager, { failure: { error }, at: renameTo(name) });
          assert.is(result.hits, 1);
          assert.ok(isStoreError(result.error), String(result.error));
          assert.is(result.error.code, 'ERR_APPLY_ROLLED_BACK');
          assert.is(systemCode(result.error.cause), error);
          await assertUntouched(world, { manager, directory, before });
        }
      });
    }

    test.run();
  }
}
