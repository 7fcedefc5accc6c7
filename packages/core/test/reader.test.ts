/** What the reader makes of files, rows and locks that do not agree, put there one by one. */

import {
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { StoreError } from '#src/errors.js';
import { asyncOver } from '#src/files/async-file-system.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { MemoryLog } from '#src/log/memory-log.js';
import { PathResolver } from '#src/path/path-resolver.js';
import { hash64, loadChecksum } from '#src/record/checksum.js';
import { encodeCommitBatch } from '#src/record/codec.js';
import { type Image, imageOf } from '#src/record/image.js';
import { pathKey } from '#src/record/key.js';
import type { Target } from '#src/record/record.js';
import { fileRow, lockRow } from '#src/record/rows.js';
import { Reader, type ReaderContext, type ReadFile } from '#src/store/reader.js';
import {
  assert,
  type Fault,
  FaultyFileSystem,
  type FileSystemCall,
  suite,
  temporaryDirectory,
} from '@forewrit/testkit';

const test = suite('reader');
test.before(loadChecksum);

const folding = { caseInsensitive: false, normalizing: false };
const own = 1;
const other = 2;

interface World extends Disposable {
  readonly root: string;
  readonly log: MemoryLog;
  beforeCall: ((call: FileSystemCall) => void) | undefined;
  reader(more?: Partial<ReaderContext>): Reader;
  /** The row of a path: its image, of revision 5 by transaction 7 of an owner. */
  row(path: string, image: Image, owner?: number): void;
  lock(path: string, owner?: number, more?: { blocked?: boolean; counter?: number }): void;
  unlock(path: string): void;
  /** The records of transaction 7 of an owner. */
  record(targets: readonly Partial<Target>[], owner?: number): void;
  image(path: string): Extract<Image, { type: 'file' }>;
}

function newWorld(faults: readonly Fault[] = []): World {
  const directory = temporaryDirectory('reader');
  const root = directory.path;
  for (const place of ['', '/staged']) mkdirSync(`${root}/.forewrit${place}`);
  const log = new MemoryLog();
  const hooks: { beforeCall?: ((call: FileSystemCall) => void) | undefined } = {};
  const fileSystem = new FaultyFileSystem(new NodeFileSystem(), {
    faults,
    beforeCall: (call) => hooks.beforeCall?.(call),
  });
  const roots = { root, named: new Map() };
  return {
    root,
    log,
    get beforeCall() {
      return hooks.beforeCall;
    },
    set beforeCall(value) {
      hooks.beforeCall = value;
    },
    reader: (more = {}) =>
      new Reader({
        log,
        fileSystem,
        asyncFileSystem: asyncOver(fileSystem),
        roots,
        resolver: new PathResolver(fileSystem, roots, { symlinks: 'follow' }),
        folding,
        onForeignLock: () =>
          Promise.reject(new StoreError('ERR_STORE_LOCKED', 'a foreign lock was met', { op: 'test' })),
        isOwn: (owner) => owner === own,
        readOnly: false,
        ...more,
      }),
    row(path, image, owner = own) {
      const key = pathKey(path, folding);
      const row = { path, revision: 5, transaction: { owner, counter: 7 }, image };
      log.commit((batch) => batch.put('files', key, fileRow.encode(key, row)));
    },
    lock(path, owner = own, { blocked = false, counter = 7 } = {}) {
      const key = pathKey(path, folding);
      const row = { what: path, transaction: { owner, counter }, blocked };
      log.commit((batch) => batch.put('locks', key, lockRow.encode(key, row)));
    },
    unlock: (path) => log.commit((batch) => batch.delete('locks', pathKey(path, folding))),
    record(targets, owner = own) {
      const whole = targets.map(
        (target, index): Target => ({
          index,
          action: 'write',
          path: 'a',
          volume: '',
          before: { type: 'absent' },
          after: { type: 'absent' },
          applyName: `x-${index}.apply`,
          ...target,
        }),
      );
      const begin = { kind: 'begin', bootId: '', mount: '', startedAtMs: 0 } as const;
      const [key, value] = encodeCommitBatch({
        number: { owner, counter: 7 },
        begin,
        targets: whole,
        revision: 5,
        entries: [],
      });
      log.commit((batch) => batch.put('log', key, value));
    },
    image(path) {
      const stat = new NodeFileSystem().lstat(`${root}/${path}`);
      return imageOf(stat) as Extract<Image, { type: 'file' }>;
    },
    [Symbol.dispose]: () => directory.remove(),
  };
}

async function readOne(reader: Reader, path = 'a'): Promise<{ text: string | undefined; isOurs: boolean }> {
  const [read] = await reader.readSet([path], { op: 'readFile' });
  return { text: textOf(read!), isOurs: read!.row !== undefined };
}

function textOf({ content }: ReadFile): string | undefined {
  return content === undefined ? undefined : Buffer.from(content).toString();
}

/** A pending transaction 7 that makes `a` of its old content `new`; its after-image has an inode of its own. */
function pendingWrite(world: World, owner: number, more: Partial<Target> = {}): void {
  writeFileSync(`${world.root}/a`, 'old');
  writeFileSync(`${world.root}/.forewrit/staged/s`, 'new');
  const before = world.image('a');
  const after = { ...world.image('.forewrit/staged/s'), checksum: hash64(Buffer.from('new')) };
  world.row('a', after, owner);
  world.lock('a', owner);
  world.record([{ before, after, ...more }], owner);
}

for (const [name, more] of [
  ['in the log', { content: Buffer.from('new') }],
  ['under its staged name', { staged: 's' }],
] as const) {
  test(`content that is not applied yet is read where it is: ${name}`, async () => {
    for (const owner of [own, other]) {
      using world = newWorld();
      pendingWrite(world, owner, more);
      assert.equal(await readOne(world.reader()), { text: 'new', isOurs: true });
      const [stat] = await world.reader().readSet(['a'], { op: 'stat', only: 'stat' });
      assert.equal([stat!.stat?.size, stat!.content], [3, undefined]);
      unlinkSync(`${world.root}/a`);
      renameSync(`${world.root}/.forewrit/staged/s`, `${world.root}/a`);
      assert.equal(await readOne(world.reader()), { text: 'new', isOurs: true }, 'once it is applied');
    }
  });
}

test('what lies under the staged name is not taken for the content unless it is that file', async () => {
  for (const damage of ['gone', 'another file', 'never staged'] as const) {
    using world = newWorld();
    pendingWrite(world, other, damage === 'never staged' ? {} : { staged: 's' });
    const staged = `${world.root}/.forewrit/staged/s`;
    linkSync(staged, `${world.root}/kept`);
    if (damage !== 'never staged') unlinkSync(staged);
    if (damage === 'another file') writeFileSync(staged, 'another');
    let asked = 0;
    const onForeignLock = (): Promise<void> => {
      asked += 1;
      renameSync(`${world.root}/kept`, `${world.root}/a`);
      return Promise.resolve();
    };
    assert.equal(await readOne(world.reader({ onForeignLock })), { text: 'new', isOurs: true }, damage);
    assert.is(asked, 1, 'its owner has to be recovered first');
  }
});

test('a removal that is not applied yet shows nothing, and what somebody has put there is kept', async () => {
  using world = newWorld();
  writeFileSync(`${world.root}/a`, 'old');
  const before = world.image('a');
  world.row('a', { type: 'absent' }, other);
  world.lock('a', other);
  world.record([{ action: 'remove', before, beforeName: 'b' }], other);
  assert.equal(await readOne(world.reader()), { text: undefined, isOurs: true });
  writeFileSync(`${world.root}/n`, 'edited');
  renameSync(`${world.root}/n`, `${world.root}/a`);
  assert.equal(await readOne(world.reader({ readOnly: true })), { text: 'edited', isOurs: false });
  await assert.rejectsWithCode(readOne(world.reader()), 'ERR_STORE_LOCKED');
});

test('where nobody may recover an edit in the place of what is pending is read as it is', async () => {
  using world = newWorld();
  pendingWrite(world, other, { content: Buffer.from('new') });
  writeFileSync(`${world.root}/a`, 'edited by somebody');
  assert.equal(await readOne(world.reader({ readOnly: true })), {
    text: 'edited by somebody',
    isOurs: false,
  });
});

test('one that vanishes while it is kept is looked at again', async () => {
  using world = newWorld();
  pendingWrite(world, other, { content: Buffer.from('new') });
  writeFileSync(`${world.root}/a`, 'edited by somebody');
  world.beforeCall = ({ method }) => {
    if (method !== 'openRead') return;
    world.beforeCall = undefined;
    unlinkSync(`${world.root}/a`);
  };
  assert.equal(await readOne(world.reader({ readOnly: true })), { text: undefined, isOurs: false });
});

test('a lock whose records are gone is that of a transaction that is just being let go', async () => {
  using world = newWorld();
  writeFileSync(`${world.root}/a`, 'old');
  const image = world.image('a');
  world.row('a', { ...image, fingerprint: { ...image.fingerprint, size: 99 } });
  world.lock('a');
  let looks = 0;
  world.beforeCall = ({ method, path }) => {
    if (method !== 'lstat' || path !== `${world.root}/a`) return;
    looks += 1;
    if (looks === 3) world.unlock('a');
  };
  assert.equal(await readOne(world.reader()), { text: 'old', isOurs: false });
  assert.ok(looks >= 3);
});

test('a file that became something else between look and open is looked at again', async () => {
  for (const [what, change] of [
    ['nothing', (path: string): void => unlinkSync(path)],
    ['a link', (path: string): void => (unlinkSync(path), symlinkSync('b', path))],
  ] as const) {
    using world = newWorld();
    writeFileSync(`${world.root}/a`, 'old');
    writeFileSync(`${world.root}/b`, 'b');
    const image = world.image('a');
    world.row('a', { ...image, fingerprint: { ...image.fingerprint, mtimeNs: 1n } });
    world.beforeCall = ({ method }) => {
      if (method !== 'openRead') return;
      world.beforeCall = undefined;
      change(`${world.root}/a`);
    };
    assert.is((await readOne(world.reader())).text, what === 'a link' ? 'b' : undefined, what);
  }
  using world = newWorld();
  mkdirSync(`${world.root}/d`);
  writeFileSync(`${world.root}/d/a`, 'old');
  world.beforeCall = ({ method }) => {
    if (method !== 'openRead') return;
    world.beforeCall = undefined;
    rmSync(`${world.root}/d`, { recursive: true });
    writeFileSync(`${world.root}/d`, 'a file');
  };
  await assert.rejectsWithCode(readOne(world.reader(), 'd/a'), 'ERR_NOT_DIRECTORY');
});

test('an edited file below a directory that another owner has locked waits for that owner', async () => {
  using world = newWorld();
  mkdirSync(`${world.root}/d`);
  writeFileSync(`${world.root}/d/a`, 'edited');
  const image = world.image('d/a');
  world.row('d/a', { ...image, fingerprint: { ...image.fingerprint, size: 99 } });
  world.lock('d', other, { counter: 9 });
  let asked = 0;
  const onForeignLock = (): Promise<void> => {
    asked += 1;
    world.unlock('d');
    return Promise.resolve();
  };
  assert.equal(await readOne(world.reader({ onForeignLock }), 'd/a'), { text: 'edited', isOurs: false });
  assert.is(asked, 1);
});

test('where nobody may recover a lock that stays is passed by in the end', async () => {
  using world = newWorld();
  mkdirSync(`${world.root}/d`);
  writeFileSync(`${world.root}/d/a`, 'edited');
  world.lock('d', other, { counter: 9 });
  assert.equal(await readOne(world.reader({ readOnly: true }), 'd/a'), { text: 'edited', isOurs: false });
});

test('files that change at every look are given up', async () => {
  using world = newWorld();
  let edits = 0;
  writeFileSync(`${world.root}/a`, '');
  world.beforeCall = ({ method }) => {
    if (method === 'openRead') writeFileSync(`${world.root}/a`, 'x'.repeat((edits += 1)));
  };
  const { setTimeout: inTime } = globalThis;
  // A thousand looks, without the pauses between them.
  globalThis.setTimeout = ((body: () => void) => setImmediate(body)) as never;
  try {
    await assert.rejectsWithCode(readOne(world.reader()), 'ERR_CONFLICT');
  } finally {
    globalThis.setTimeout = inTime;
  }
  assert.ok(edits > 100);
});

test('a file that is cut short while it is read is what could be read of it', async () => {
  for (const size of [1000, 1_000_000]) {
    using world = newWorld();
    writeFileSync(`${world.root}/a`, 'x'.repeat(size));
    world.beforeCall = ({ method }) => {
      if (method !== 'read') return;
      world.beforeCall = undefined;
      writeFileSync(`${world.root}/a`, 'x');
    };
    const [read] = await world.reader().readSet(['a'], { op: 'readFile' });
    assert.is(read!.content?.byteLength, 1);
    assert.is(statSync(`${world.root}/a`).size, 1);
  }
});

test('an error of the disk is told with the path that was asked for', async () => {
  using world = newWorld([{ error: 'EIO', at: ({ method }) => method === 'read' }]);
  writeFileSync(`${world.root}/a`, 'x');
  const error = await assert.rejectsWithCode(readOne(world.reader()), 'ERR_IO');
  assert.is((error as { path?: string }).path, 'a');
});

test.run();
