/** Large content on its way to its staged file: flushed while it is written, and never trusted after a failed flush. */

import { stageContent } from '#src/store/content-staging.js';
import type { AsyncFileSystem } from '#src/files/async-file-system.js';
import { loadChecksum, RunningChecksum } from '#src/record/checksum.js';
import { assert, suite } from '@forewrit/testkit';

const test = suite('content staging');
const mebibyte = Buffer.alloc(1 << 20, 'content ');
const mebibytes = 150;

test.before(loadChecksum);

/** Takes everything, keeps nothing, and counts. */
function counting({ failsAt }: { readonly failsAt?: number } = {}) {
  const seen = { syncs: 0, closes: 0, unlinks: 0, bytes: 0 };
  const refuse = (): never => {
    throw new Error('not expected');
  };
  const fileSystem: AsyncFileSystem = {
    create: async () => 7,
    write: async (_descriptor, bytes, position) => {
      assert.is(position, seen.bytes);
      await new Promise((resolve) => setImmediate(resolve));
      seen.bytes += bytes.byteLength;
      return bytes.byteLength;
    },
    sync: async () => {
      seen.syncs += 1;
      await new Promise((resolve) => setImmediate(resolve));
      if (seen.syncs === failsAt) throw Object.assign(new Error('failed'), { code: 'EIO' });
    },
    close: async () => {
      seen.closes += 1;
    },
    unlink: async () => {
      seen.unlinks += 1;
    },
    openRead: refuse,
    openUpdate: refuse,
    read: refuse,
    truncate: refuse,
    stat: refuse,
    chmod: refuse,
    chmodPath: refuse,
    lstat: refuse,
    syncDirectory: refuse,
  };
  const target = {
    fileSystem,
    place: async () => ({ volume: '', directory: '/staged' }),
    name: 'x',
    inlineBytesMax: 1000,
    sizeBytesMax: undefined,
    requireSpace: () => undefined,
    signal: undefined,
    op: 'writeFile',
    path: 'x',
  };
  return { seen, target };
}

function* source(): Generator<Uint8Array> {
  for (let count = 0; count < mebibytes; count += 1) yield mebibyte;
}

test('a flush is begun every 64 MiB, and the last one is made when all is written', async () => {
  const { seen, target } = counting();
  const content = await stageContent(source(), target);
  const checksum = new RunningChecksum();
  for (const piece of source()) checksum.update(piece);
  assert.equal(content, {
    kind: 'staged',
    volume: '',
    name: 'x',
    size: mebibytes << 20,
    checksum: checksum.digest(),
  });
  assert.equal(seen, { syncs: 3, closes: 1, unlinks: 0, bytes: mebibytes << 20 });
});

test('a flush that fails while more is written gives up the file, and is not tried again', async () => {
  const { seen, target } = counting({ failsAt: 1 });
  await assert.rejectsWithCode(stageContent(source(), target), 'ERR_IO');
  assert.equal([seen.syncs, seen.closes, seen.unlinks], [1, 1, 1]);
});

test('a source that fails meanwhile leaves nothing', async () => {
  const { seen, target } = counting();
  const failing = function* (): Generator<Uint8Array> {
    yield* source();
    throw Object.assign(new Error('failed'), { code: 'ESOURCE' });
  };
  await assert.rejectsWithCode(stageContent(failing(), target), 'ESOURCE');
  assert.equal([seen.closes, seen.unlinks], [1, 1]);
});

test.run();
