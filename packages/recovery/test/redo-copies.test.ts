/** What the fault campaign has found around links that cannot be had, and things that came back; each kept by itself. */

import type { Operation } from '@forewrit/core';
import { assert, type Fault, type FileSystemCall, suite } from '@forewrit/testkit';
import {
  conflictContents,
  edit,
  mkdir,
  move,
  type ProcessOptions,
  remove,
  root,
  stagingNames,
  tree,
  World,
  write,
} from './world.js';

const test = suite('redo of copies');

const large: ProcessOptions = { inlineLimitBytes: 0 };
const area = `${root}/.forewrit`;
const noLinks: Fault = { at: ({ method }) => method === 'link', error: 'EPERM', sticky: true };
const committedOnly: ProcessOptions = { failpoint: { name: 'log.after', action: 'throw' } };

async function prepared(make: (world: World) => void = () => undefined): Promise<World> {
  const world = new World();
  const process = await world.open();
  process.commit(write('a', 'a0'), write('b', 'b0'));
  process.checkpoint();
  process.kill();
  make(world);
  world.disk.settle();
  return world;
}

function putsLink({ outside }: World): void {
  outside.symlink('nowhere', `${root}/l`);
}

const renamed =
  (path: string) =>
  ({ method, dest }: FileSystemCall): boolean =>
    method === 'rename' && dest === `${root}/${path}`;

test('a directory is made, and filled, where a power cut has brought an older file back', async () => {
  const world = await prepared();
  const process = await world.open();
  process.commit(remove('a'));
  process.commit(mkdir('a'), write('a/x', 'x1'));
  process.kill();
  const cut = world.powerCut(() => false);
  assert.equal(tree(cut.outside), { a: 'a0', b: 'b0' });
  const next = await cut.open();
  assert.equal(next.recovery?.blocked, []);
  assert.equal(tree(cut.outside), { 'a/': '', 'a/x': 'x1', b: 'b0' });
});

test('what moves, and could only be copied, is known for ours by the next recovery', async () => {
  for (const from of ['a', 'foreign', 'l']) {
    for (const boot of ['same', 'other'] as const) {
      const first = await prepared((world) => {
        putsLink(world);
        edit(world.outside, 'foreign', 'nobody knows its checksum', 'new');
      });
      const dying = await first.open({ ...large, ...committedOnly });
      assert.instance(dying.attempt(move(from, 'm')), Error);
      dying.kill();
      const world = first.powerCut(() => false);
      const recovering = await world.start({
        faults: [noLinks, { at: renamed('m'), crash: true, after: true }],
      });
      await recovering.recover().catch(() => undefined);
      recovering.kill();
      assert.not.equal(world.outside.lstat(`${root}/m`)?.ino, world.outside.lstat(`${root}/${from}`)?.ino);
      const wanted = { ...tree(world.outside) };
      delete wanted[from];
      const after = boot === 'same' ? world : world.powerCut(() => true);
      const next = await after.open();
      const { kept, blocked, conflicts } = next.recovery!;
      assert.equal([...kept, ...blocked, ...conflicts], [], `${from}, ${boot} boot`);
      assert.equal(tree(after.outside), wanted);
      next.kill();
      assert.equal(tree(after.powerCut(() => false).outside), wanted);
    }
  }
});

test('a file that is to move, and has lost its durable copy, gets another one before it goes', async () => {
  for (const faults of [[], [noLinks]]) {
    const first = await prepared();
    const dying = await first.open(committedOnly);
    assert.instance(dying.attempt(move('a', 'm')), Error);
    dying.kill();
    for (const name of stagingNames(first.outside)) {
      if (name.startsWith('staged/') && !name.endsWith('.apply')) first.outside.unlink(`${area}/${name}`);
    }
    const recovering = await first.start({
      faults: [
        ...faults,
        { at: ({ method, path }) => method === 'syncDirectory' && path === root, crash: true },
      ],
    });
    await recovering.recover().catch(() => undefined);
    recovering.kill();
    assert.equal(tree(first.outside), { b: 'b0', m: 'a0' });
    // Of all that recovery has renamed, only that the old names are gone has reached the disk.
    const cut = first.powerCut((effect) => effect.describe(effect.whole).includes(' removed'));
    const next = await cut.open();
    assert.equal(next.recovery?.blocked, []);
    assert.equal(tree(cut.outside), { b: 'b0', m: 'a0' });
  }
});

test("a symbolic link that a roll-back has put back as a copy is nobody else's", async () => {
  const world = await prepared((each) => each.outside.symlink('a', `${root}/k`));
  const dying = await world.open({
    ...large,
    faults: [
      noLinks,
      { at: ({ method, path }) => method === 'rename' && path === `${root}/b`, error: 'EIO' },
      { at: ({ method, path }) => method === 'syncDirectory' && path === root, crash: true },
    ],
  });
  assert.instance(dying.attempt(move('b', 'k')), Error);
  dying.kill();
  assert.equal(tree(world.outside), { a: 'a0', b: 'b0', k: '<symlink>' });
  const next = await world.open();
  assert.equal([...next.recovery!.kept, ...next.recovery!.blocked], []);
  assert.equal(tree(world.outside), { a: 'a0', k: 'b0' });
  assert.equal(conflictContents(world.outside), []);
});

test('a symbolic link that can have no second name is not moved, and the reason is told', async () => {
  const world = await prepared(putsLink);
  const process = await world.open({ faults: [noLinks] });
  const outcome = process.attempt(move('l', 'm'));
  assert.is((outcome as { code?: string }).code, 'ERR_PERMISSION');
  assert.equal(tree(world.outside), { a: 'a0', b: 'b0', l: '<symlink>' });
  assert.equal(stagingNames(world.outside), []);
});

test('a plan that what is half done refuses meets the lock', async () => {
  const world = await prepared();
  const process = await world.open({
    faults: [
      { at: renamed('a'), error: 'EIO' },
      { at: ({ method, path }) => method === 'openRead' && path === `${root}/b`, error: 'EIO', sticky: true },
    ],
  });
  const codeOf = (...operations: readonly Operation[]): unknown =>
    (process.attempt(...operations) as { code?: string }).code;
  assert.is(codeOf(write('b', 'b1'), write('n', 'n1'), write('a', 'a1')), 'ERR_APPLY_BLOCKED');
  assert.is(world.outside.lstat(`${root}/n`), undefined);
  assert.is(codeOf(move('n', 'm')), 'ERR_APPLY_BLOCKED');
  assert.is(codeOf(move('nowhere', 'm')), 'ERR_NOT_FOUND');
});

test.run();
