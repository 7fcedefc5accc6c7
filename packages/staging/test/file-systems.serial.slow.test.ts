/** Other file systems than the store's, and a full one: mounted for it, which needs root. */

import { assert, prepareMount, suite, temporaryDirectory, TestProcess, whyNoMount } from '@forewrit/testkit';
import type { MountMessage, MountRequest } from './mount-child.js';

const test = suite('staging and other file systems', { timeoutMs: 300_000 });
const script = new URL('./mount-child.js', import.meta.url);

async function runOn(type: 'tmpfs' | 'ext4', part: MountRequest['part']): Promise<void> {
  using directory = temporaryDirectory(type);
  using ordinary = temporaryDirectory('ordinary');
  const mount = prepareMount(type, directory.path);
  const request: MountRequest = { part, directory: ordinary.path, mount: mount.path };
  await using child = new TestProcess<MountMessage>(script, { request, under: mount.under });
  await child.end(280_000);
  assert.equal(child.messages, [{ type: 'done' }]);
}

for (const type of ['tmpfs', 'ext4'] as const) {
  test.skipIf(whyNoMount(type), `writes and moves to a ${type} are all or nothing, killed at each step`, () =>
    runOn(type, 'crossing'),
  );
  test.skipIf(whyNoMount(type), `what is for a file on a ${type} is staged there, while there is room`, () =>
    runOn(type, 'there'),
  );
}

test.skipIf(
  whyNoMount('tmpfs'),
  'a full disk is noticed before or while it is written, and leaves nothing',
  () => runOn('tmpfs', 'full'),
);

test.run();
