/** A part of the kill and edit tests on other file systems than the one that tests usually run on. */
import {
  announceSeed,
  assert,
  mountTypes,
  prepareMount,
  Random,
  suite,
  temporaryDirectory,
  TestProcess,
  whyNoMount,
} from '@forewrit/testkit';
import type { FileSystemMessage, FileSystemRequest } from './file-system-child.js';
import type { SetHistoryOptions } from './set-history.js';
import { SetWorld } from './set-world.js';

const test = suite('a store on', { timeoutMs: 60_000 });

const kills = 6;
const random = new Random(announceSeed('file systems'));

for (const type of mountTypes) {
  test.skipIf(whyNoMount(type), `${type}: kills and edits end as elsewhere`, async () => {
    using directory = temporaryDirectory(type);
    const mount = prepareMount(type, directory.path);
    const seed = random.next32();
    // An overlay cannot move or remove directories that come from its lower layer.
    const history = { seed, leavesDirectories: true };
    const version = mount.lower === undefined ? undefined : await makeStore(`${mount.lower}/older`, history);
    const request: FileSystemRequest = {
      directory: mount.path,
      seed,
      kills,
      ...(version === undefined ? {} : { older: { root: `${mount.path}/older`, version, history } }),
    };
    const script = new URL('./file-system-child.js', import.meta.url);
    await using child = new TestProcess<FileSystemMessage>(script, { request, under: mount.under });
    const { code } = await child.end(60_000);
    const failures = child.messages.flatMap((each) =>
      each.type === 'failed' ? [`${each.part}: ${each.error}`] : [],
    );
    assert.equal(failures, []);
    assert.is(code, 0);
    assert.is(child.messages.length, version === undefined ? 4 : 5);
  });
}

/** Saves some versions of a set, and says how many. */
async function makeStore(root: string, history: SetHistoryOptions): Promise<number> {
  const world = new SetWorld(root, history);
  const child = world.start();
  for (let saves = 0; saves < 20; saves += 1) await child.next('saved');
  child.tell({ type: 'close' });
  await world.heed(child);
  return world.version;
}

test.run();
