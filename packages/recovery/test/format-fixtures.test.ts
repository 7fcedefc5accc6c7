/** Stores that earlier versions have left on disk are opened, recovered and read as those versions meant them. */
import * as assert from '@forewrit/testkit/assert';
import { suite } from '@forewrit/testkit/suite';
import { temporaryDirectory } from '@forewrit/testkit/temp-directory';
import { copyFixture, expectedOf, fixtureNames, lookAt } from './fixtures/format-fixture.js';

const test = suite('fixtures of the format');

test('there are fixtures: one to be read, one to be recovered, one to be refused', () => {
  const expected = fixtureNames().map(expectedOf);
  const recovered = expected.filter((each) => 'recovery' in each && each.recovery.redone.length > 0);
  const refused = expected.filter((each) => 'refused' in each && each.refused === 'ERR_UNSUPPORTED_FORMAT');
  assert.ok(
    recovered.length > 0 && refused.length > 0 && expected.length > recovered.length + refused.length,
  );
});

for (const name of fixtureNames()) {
  test(`opening a copy of ${name} gives what is expected of it`, async () => {
    using directory = temporaryDirectory('fixture');
    const root = `${directory.path}/store`;
    copyFixture(name, root);
    assert.equal(await lookAt(root), expectedOf(name));
    const again = await lookAt(root);
    if ('refused' in again) return;
    const { redone, undone, kept, blocked, conflicts } = again.recovery;
    assert.equal([redone, undone, kept, blocked, conflicts], [[], [], [], [], []], 'it stays recovered');
  });
}

test.run();
