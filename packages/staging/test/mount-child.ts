/** What is tested on a file system that was mounted for it: in its mount namespace, hence a process of its own. */

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import type { FailpointName } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { StreamingFileWriter, writeFileAtomically, writeFilesBatch } from '#src/index.js';
import { assert, TestProcess } from '@forewrit/testkit';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import type { CrossingRequest } from './crossing-child.js';
import { linesOf } from './crossing-content.js';

export interface MountRequest {
  readonly part: 'crossing' | 'there' | 'full';
  /** On the ordinary file system. */
  readonly directory: string;
  /** The one that was mounted. */
  readonly mount: string;
}

export type MountMessage = { readonly type: 'done' } | { readonly type: 'failed'; readonly error: string };

const { part, directory, mount } = requestOf<MountRequest>();
const crossing = new URL('./crossing-child.js', import.meta.url);
const lines = 20_000;
const content = linesOf(lines);

onCommand(() => process.exit(0));

const failpoints: readonly (readonly [FailpointName, number])[] = [
  ['stage.before', 0],
  ['stage.after', 0],
  ['log.inside', 0],
  ['log.after', 0],
  ['apply.target', 0],
  ['apply.target', 1],
  ['apply.after', 0],
  ['checkpoint.sync-directory', 0],
  ['checkpoint.trim', 0],
  ['checkpoint.sweep', 0],
];

async function killedAcross(): Promise<void> {
  assert.is.not(statSync(directory).dev, statSync(mount).dev);
  for (const does of ['write', 'write with an id', 'move', 'move back'] as const) {
    for (const [name, skip] of failpoints) {
      const root = `${directory}/store`;
      const other = `${mount}/other`;
      mkdirSync(other, { recursive: true });
      const roots = { other };
      const open = async () => await openStore(root, { roots, committer: 'inline' });
      const before = await open();
      if (does === 'move') await before.writeFile('here', content);
      if (does === 'move back') await before.writeFile('other:there', content);
      await before.close();
      const options = { roots, committer: 'inline', failpoint: { name, action: 'kill', skip } } as const;
      const request: CrossingRequest = { root, options, does, lines };
      const child = new TestProcess(crossing, { request });
      const { signal } = await child.end(60_000);
      const what = `${does}, killed at ${name} ${skip}`;
      if (name !== 'apply.target' || skip === 0) assert.is(signal, 'SIGKILL', what);
      const store = await open();
      const { blocked, kept, conflicts } = store.recovery;
      assert.equal([blocked, kept, conflicts], [[], [], []], what);
      const found = ['here', 'other:there'].filter((path) => {
        const at = path === 'here' ? `${root}/here` : `${other}/there`;
        if (!existsSync(at)) return false;
        assert.is(readFileSync(at, 'utf8'), content, what);
        return true;
      });
      const isEarly = ['stage.before', 'stage.after', 'log.inside'].includes(name);
      const source = does === 'move' ? ['here'] : does === 'move back' ? ['other:there'] : [];
      const target = does === 'move back' ? ['here'] : ['other:there'];
      assert.equal(found, isEarly ? source : target, what);
      if (isEarly && does === 'write with an id') {
        // What waits to be continued is where its file will be.
        assert.is(readdirSync(`${other}/.forewrit-staged/staged`).length, 1, what);
        assert.equal(readdirSync(`${root}/.forewrit/staged`), [], what);
        assert.is((await store.staged())[0]?.durableBytes, content.length, what);
        await writeFileAtomically(store, 'other:there', content, { id: 'x' });
        assert.is(readFileSync(`${other}/there`, 'utf8'), content, what);
      }
      await store.checkpoint();
      for (const area of [`${root}/.forewrit`, `${other}/.forewrit-staged`]) {
        for (const place of ['staged', 'before'])
          if (existsSync(`${area}/${place}`)) assert.equal(readdirSync(`${area}/${place}`), [], what);
      }
      await store.close();
      rmSync(root, { recursive: true });
      rmSync(other, { recursive: true });
    }
  }
}

/** The content is never on the store's own file system, and the file is the one that was staged. */
async function stagedThere(): Promise<void> {
  const other = `${mount}/other`;
  mkdirSync(other);
  const store = await openStore(`${directory}/store`, { roots: { other }, committer: 'inline' });
  const here = `${directory}/store/.forewrit/staged`;
  const there = `${other}/.forewrit-staged/staged`;
  for (const id of [undefined, 'x']) {
    const options = { ...(id === undefined ? {} : { id }), chunkSizeBytes: 1 << 16 };
    const writer = await StreamingFileWriter.open(store, 'other:d/there', options);
    await writer.write(content);
    const [name, ...more] = readdirSync(there);
    assert.equal([more, readdirSync(here)], [[], []]);
    const { ino } = statSync(`${there}/${name}`);
    await writer.commit();
    assert.is(statSync(`${other}/d/there`).ino, ino);
    assert.is(readFileSync(`${other}/d/there`, 'utf8'), content);
    await store.checkpoint();
    assert.equal([readdirSync(there), readdirSync(here)], [[], []]);
  }
  // A transaction reads what it has written, and takes it away with itself.
  const tx = await store.begin();
  await tx.writeFile('other:z', [content]);
  assert.is(readdirSync(there).length, 1);
  assert.is(await tx.readFile('other:z', 'utf8'), content);
  await tx.abort();
  assert.equal(readdirSync(there), []);
  // Its room is looked at there, too.
  const { availableBytes } = store.space('other:');
  const endless = function* (): Generator<Buffer> {
    for (;;) yield Buffer.alloc(1 << 20, 'x');
  };
  const known = StreamingFileWriter.open(store, 'other:y', { totalBytes: availableBytes });
  await assert.rejectsWithCode(known, 'ERR_NO_SPACE');
  await assert.rejectsWithCode(writeFileAtomically(store, 'other:y', endless()), 'ERR_NO_SPACE');
  assert.equal([readdirSync(there), readdirSync(here), existsSync(`${other}/y`)], [[], [], false]);
  await store.close();
}

/** Until nothing more fits. */
function fill(path: string): void {
  const descriptor = openSync(path, 'w');
  const piece = Buffer.alloc(1 << 20);
  try {
    for (let size = piece.length; size >= 1; ) {
      try {
        writeSync(descriptor, piece, 0, size);
      } catch (error) {
        if ((error as { code?: string }).code !== 'ENOSPC') throw error;
        size = Math.floor(size / 2);
      }
    }
  } finally {
    closeSync(descriptor);
  }
}

async function fullDisk(): Promise<void> {
  const root = `${mount}/store`;
  const filler = `${mount}/filler`;
  const store = await openStore(root, { committer: 'inline' });
  await store.writeFile('x', 'old');
  await store.checkpoint();
  const area = `${root}/.forewrit/staged`;
  // Where the size is known, before anything is written.
  const { availableBytes } = store.space();
  const known = StreamingFileWriter.open(store, 'x', { totalBytes: availableBytes });
  await assert.rejectsWithCode(known, 'ERR_NO_SPACE');
  assert.equal(readdirSync(area), []);
  // Where it is not, everything is taken back.
  const piece = Buffer.alloc(1 << 20, 'x');
  const endless = function* (): Generator<Buffer> {
    for (;;) yield piece;
  };
  await assert.rejectsWithCode(writeFileAtomically(store, 'x', endless()), 'ERR_NO_SPACE');
  assert.equal(readdirSync(area), []);
  // Somebody else fills the disk meanwhile, to the last byte.
  const surprised = function* (): Generator<Buffer> {
    yield piece;
    yield piece;
    fill(filler);
    for (let count = 0; count < 8; count += 1) yield piece;
  };
  await assert.rejectsWithCode(writeFileAtomically(store, 'x', surprised()), 'ERR_NO_SPACE');
  assert.equal(readdirSync(area), []);
  rmSync(filler);
  await assert.rejectsWithCode(writeFileAtomically(store, 'x', surprised(), { id: 'kept' }), 'ERR_NO_SPACE');
  await assert.rejectsWithCode(writeFilesBatch(store, { x: 'new', y: 'new' }), 'ERR_NO_SPACE');
  assert.is(readFileSync(`${root}/x`, 'utf8'), 'old');
  assert.is(existsSync(`${root}/y`), false);
  // With room again it goes on.
  rmSync(filler);
  const [staged] = await store.staged();
  assert.ok(staged !== undefined && staged.durableBytes >= 1 << 20);
  const whole = Buffer.concat(Array.from({ length: 10 }, () => piece));
  await writeFileAtomically(store, 'x', whole, { id: 'kept' });
  assert.ok(readFileSync(`${root}/x`).equals(whole));
  await store.close();
  assert.equal(readdirSync(area), []);
}

try {
  await { crossing: killedAcross, there: stagedThere, full: fullDisk }[part]();
  say({ type: 'done' });
} catch (error) {
  say({ type: 'failed', error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
process.exit(0);
