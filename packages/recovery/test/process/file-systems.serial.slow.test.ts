/** A part of the kill and edit tests on other file systems than the one that tests usually run on. */
import { openStore } from '@forewrit/recovery';
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
import { directoryFiles } from './directory-files.js';
import type { FileSystemMessage, FileSystemRequest } from './file-system-child.js';
import { SetWorld } from './set-world.js';

const test = suite('a store on', { timeoutMs: 60_000 });

const kills = 5;
const random = new Random(announceSeed('file systems'));

for (const type of mountTypes) {
  test.skipIf(whyNoMount(type), `${type}: kills and edits end as elsewhere`, async () => {
    using directory = temporaryDirectory(type);
    const mount = prepareMount(type, directory.path);
    const seed = random.next32();
    const older = mount.lower === undefined ? {} : { older: await makeStores(mount.lower, mount.path, seed) };
    const request: FileSystemRequest = { directory: mount.path, seed, kills, ...older };
    const script = new URL('./file-system-child.js', import.meta.url);
    await using child = new TestProcess<FileSystemMessage>(script, { request, under: mount.under });
    const { code } = await child.end(60_000);
    const failures = child.messages.flatMap((each) =>
      each.type === 'failed' ? [`${each.part}: ${each.error}`] : [],
    );
    assert.equal(failures, []);
    assert.is(code, 0);
    assert.is(child.messages.length, mount.lower === undefined ? 4 : 6);
  });
}

/** Stores in the lower layer of an overlay, and where it shows them. */
async function makeStores(
  lower: string,
  path: string,
  seed: number,
): Promise<NonNullable<FileSystemRequest['older']>> {
  const store = await openStore(`${lower}/directories`, { committer: 'inline' });
  await store.writeFiles(directoryFiles);
  await store.close();
  const history = { seed, leavesDirectories: true };
  const world = new SetWorld(`${lower}/older`, history);
  const child = world.start();
  for (let saves = 0; saves < 20; saves += 1) await child.next('saved');
  child.tell({ type: 'close' });
  await world.heed(child);
  return { root: `${path}/older`, version: world.version, history, directories: `${path}/directories` };
}

test.run();
