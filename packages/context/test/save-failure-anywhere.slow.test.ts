import { inspect } from 'node:util';
import { isStoreError } from '@forewrit/core';
import { assert, suite } from '@forewrit/testkit';
import { type TestContext, fill, wholeVersion } from './context-world.js';
import { contentSizes, FailingWorld, nthCall } from './failing-world.js';

const errors = ['EIO', 'ENOSPC', 'EACCES'] as const;

const test = suite('a save that fails at any call of the file system', { timeoutMs: 120_000 });

for (const { how, messages } of contentSizes.slice(0, 2)) {
  for (const isReplacing of [false, true]) {
    for (const error of errors) {
      test(`${how}, ${isReplacing ? 'replacing' : 'the first'}: ${error} leaves one whole version`, async () => {
        await using world = await FailingWorld.open();
        let failures = 0;
        for (let nth = 0; ; nth += 1) {
          const directory = `context-${nth}`;
          const manager = await world.begin(directory, isReplacing);
          const before = world.filesOf(directory);
          fill(manager, 2, messages);
          const result = await world.saveTrapped(manager, { failure: { error }, at: nthCall(nth) });
          if (result.hits === 0) break;
          if (result.error !== undefined) failures += 1;
          await assertAllOrNothing(world, { manager, directory, before, error: result.error, nth });
        }
        assert.ok(failures >= 8, `${failures} failures`);
      });
    }
  }
}

async function assertAllOrNothing(
  world: FailingWorld,
  at: {
    readonly manager: TestContext;
    readonly directory: string;
    readonly before: Record<string, string>;
    readonly error: unknown;
    readonly nth: number;
  },
): Promise<void> {
  const { manager, directory, before, error, nth } = at;
  if (error !== undefined) {
    assert.ok(isStoreError(error), `call ${nth}: ${inspect(error)}`);
    if (world.store.status === 'poisoned') await world.reopen();
    else assert.equal(world.leftovers(), [], `call ${nth}: ${error.code}`);
    assert.equal(world.filesOf(directory), before, `call ${nth}`);
  }
  const loaded = world.manager(directory);
  if (await loaded.load()) assert.is(wholeVersion(loaded), error === undefined ? 2 : 1, `call ${nth}`);
  else assert.ok(error !== undefined && Object.keys(before).length === 0);
  fill(loaded, 3);
  await loaded.save();
  await assert.rejectsWithCode(manager.save(), 'ERR_CONFLICT');
}

test.run();
