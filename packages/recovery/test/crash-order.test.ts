/**
 * The order of the steps, one by one: a death, a power cut or an error at the one moment when it matters that this flush
 * was made, or that this step came before that one. Each of these can be removed from the code, or moved, and a test here
 * notices; `mutants/` does so.
 */

import { hash64, type Image, isStoreError, type Operation, rowOf } from '@forewrit/core';
import { assert, type Fault, suite } from '@forewrit/testkit';
import type { Tree } from './campaign-model.js';
import { afterEveryPowerCut } from './power-cuts.js';
import {
  conflictContents,
  contentOf,
  edit,
  mkdir,
  move,
  type ProcessOptions,
  remove,
  root,
  type SimulatedProcess,
  stagingNames,
  tree,
  World,
  write,
} from './world.js';

const test = suite('order of steps');

const small: ProcessOptions = { inlineLimitBytes: 1024 };
const large: ProcessOptions = { inlineLimitBytes: 0 };

/** What is on the disk for sure: nothing survives that was not flushed. */
function durable(world: World): World {
  return world.powerCut(() => false);
}

const changes: Readonly<Record<string, readonly Operation[]>> = {
  'files are replaced': [write('a', 'new a'), write('b', 'new b')],
  'files are removed': [remove('a'), remove('b')],
  'files trade places': [move('a', 'tmp'), move('b', 'a'), move('tmp', 'b')],
  'a file is moved over another': [move('a', 'b'), write('c', 'new c')],
  'a directory is made, moved and removed': [move('d', 'e'), mkdir('f'), remove('g')],
  'a directory takes the place of another': [move('d/x', 'x'), remove('d'), move('g', 'd')],
  'directories leave others that go': [move('d/s', 'b2'), move('d', 'e'), move('g/t', 'b3'), remove('g')],
};

async function worldBefore(size: ProcessOptions): Promise<World> {
  const world = new World();
  const first = await world.open(size);
  first.commit(
    write('a', 'old a'),
    write('b', 'old b'),
    write('d/x', 'old x'),
    write('d/s/s', 'old s'),
    write('g/y', 'old y'),
    write('g/t/t', 'old t'),
  );
  first.checkpoint();
  first.kill();
  return world;
}

for (const [name, operations] of Object.entries(changes)) {
  test(`a process that dies at any call leaves all or nothing, where ${name}`, async () => {
    for (const size of [small, large]) {
      const whole = await worldBefore(size);
      const before = tree(whole.outside);
      (await whole.open(size)).commit(...operations);
      const after = tree(whole.outside);
      for (let call = 0, died = true; died; call += 1) {
        const world = await worldBefore(size);
        let left = Number.POSITIVE_INFINITY;
        const process = await world.open({ ...size, beforeCall: () => left-- === 0 && process.kill() });
        left = call;
        const outcome = process.attempt(...operations);
        died = left < 0;
        process.kill();
        const { redone, kept, conflicts } = (await world.open(size)).recovery!;
        const expected = redone.length > 0 || !(outcome instanceof Error) ? [after] : [before, after];
        const found = JSON.stringify(tree(world.outside));
        assert.ok(
          expected.some((each) => JSON.stringify(each) === found),
          `call ${call}: ${found}`,
        );
        assert.equal([kept, conflicts], [[], []], `call ${call}`);
        assert.equal(stagingNames(world.outside), [], `call ${call}`);
      }
    }
  });
}

test('a new directory keeps its mode through a checkpoint and a power cut', async () => {
  const world = new World();
  const process = await world.open(small);
  // The set-group-id bit is not of mkdir(2).
  process.commit({ type: 'make-directory', path: 'd', options: { mode: 0o2750 } });
  process.checkpoint();
  assert.is(durable(world).outside.lstat(`${root}/d`)?.mode, 0o2750);
});

test('content that its caller has staged keeps the mode of the file through a checkpoint and a power cut', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'old', 0o640));
  process.checkpoint();
  const bytes = Buffer.from('streamed');
  const { outside } = world;
  const staged = `${root}/.forewrit/staged/1-7-s0`;
  const descriptor = outside.create(staged, 0o600);
  outside.write(descriptor, bytes, 0);
  outside.sync(descriptor);
  outside.close(descriptor);
  process.commit({
    type: 'write',
    path: 'a',
    content: { kind: 'staged', volume: '', name: '1-7-s0', size: bytes.length, checksum: hash64(bytes) },
    options: {},
  });
  process.checkpoint();
  const cut = durable(world);
  assert.equal(tree(cut.outside), { a: 'streamed' });
  assert.is(cut.outside.lstat(`${root}/a`)?.mode, 0o640);
});

test('what an editor has written into a before-image is durable when a checkpoint lets go of it', async () => {
  const world = new World();
  const editor = world.outside;
  const descriptor = editor.create(`${root}/a`, 0o644);
  editor.write(descriptor, Buffer.from('first'), 0);
  const process = await world.open(small);
  process.commit(write('a', 'saved'));
  world.disk.clock.advance(1000);
  editor.write(descriptor, Buffer.from('typed since'), 0);
  process.checkpoint();
  process.kill();
  await afterEveryPowerCut(world, (after) => assert.equal(conflictContents(after.outside), ['typed since']));
});

test('what was put into a removed directory is durable when a checkpoint lets go of that', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(mkdir('d'), write('d/a', 'planned'));
  process.checkpoint();
  process.commit(remove('d'));
  edit(world.outside, `${root}/.forewrit/before/1-2-0/added`, 'added since', 'new');
  process.checkpoint();
  process.kill();
  await afterEveryPowerCut(world, (after) => assert.equal(conflictContents(after.outside), ['added since']));
});

const leaving: readonly (readonly Operation[])[] = [
  [move('d/s', 'b'), move('d', 'e')],
  [move('d/s', 'e'), remove('d')],
  [move('d/s', 'e'), remove('d'), move('f', 'd')],
];

for (const [index, operations] of leaving.entries()) {
  const goes = ['moves', 'is removed', 'is replaced'][index];
  const begin = async (): Promise<World> => {
    const world = new World();
    const first = await world.open(small);
    first.commit(write('d/s/x', 'old x'), write('d/y', 'old y'), write('f/z', 'old z'));
    first.checkpoint();
    first.kill();
    return world;
  };
  const wanted = async (): Promise<Tree> => {
    const world = await begin();
    (await world.open(small)).commit(...operations);
    return tree(world.outside);
  };

  test(`a directory that leaves another one is durable before that one ${goes}`, async () => {
    const world = await begin();
    const process = await world.open(small);
    process.commit(...operations);
    process.kill();
    const expected = await wanted();
    await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), expected));
  });

  test(`so it is before recovery ${['moves', 'removes', 'replaces'][index]} that one, whoever has moved the other`, async () => {
    const world = await begin();
    let hasLeft = false;
    const process = await world.open({
      ...small,
      beforeCall: ({ method, path }) => {
        if (method === 'rename' && path === `${root}/d/s`) hasLeft = true;
        else if (hasLeft) process.kill();
      },
    });
    assert.instance(process.attempt(...operations), Error);
    let hasGone = false;
    const dying = await world.start({
      ...small,
      beforeCall: ({ method, path }) => {
        if (hasGone) dying.kill();
        hasGone ||= method === 'rename' && path === `${root}/d`;
      },
    });
    const failure = await dying.recover().catch((error: unknown) => error);
    assert.instance(failure, Error);
    assert.ok(hasLeft && hasGone);
    const expected = await wanted();
    await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), expected));
  });
}

/** `a` and `b` are saved, and not durable yet. Then `a` is applied, `b` fails, and what has met it is taken back. */
async function rolledBack(afterFirst: (world: World) => void): Promise<World> {
  const world = new World();
  const process = await world.open({
    ...small,
    beforeCall: ({ method, dest }) => {
      if (method === 'rename' && dest === `${root}/b` && armed) afterFirst(world);
    },
    faults: [
      { at: ({ method, dest }) => method === 'rename' && dest === `${root}/b` && armed, error: 'EIO' },
    ],
  });
  let armed = false;
  process.commit(write('a', 'old a'), write('b', 'old b'));
  process.flushMarks();
  armed = true;
  const outcome = process.attempt(write('a', 'new a'), write('b', 'new b'));
  assert.ok(isStoreError(outcome, 'ERR_APPLY_ROLLED_BACK'), String(outcome));
  process.kill();
  return world;
}

test('a roll-back makes durable what it has put back, though a checkpoint had not come to it', async () => {
  const world = await rolledBack(() => undefined);
  await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), { a: 'old a', b: 'old b' }));
});

test('what a roll-back could not put back is durable among the conflicts', async () => {
  const world = await rolledBack(({ outside }) => edit(outside, 'a', 'edited a'));
  assert.equal(tree(world.outside), { a: 'edited a', b: 'old b' });
  await afterEveryPowerCut(world, (after) => assert.equal(conflictContents(after.outside), ['old a']));
});

/** A process that can put nothing at a path. */
async function openFailing(world: World, path: string): Promise<SimulatedProcess> {
  const at: Fault['at'] = ({ method, dest }) => method === 'rename' && dest === `${root}/${path}`;
  return await world.open({ ...small, faults: [{ at, error: 'EIO' }] });
}

test('a file whose place a directory has taken, or was about to, is back after a roll-back', async () => {
  for (const fails of ['a', 'n']) {
    const world = await worldBefore(small);
    const before = tree(world.outside);
    const process = await openFailing(world, fails);
    const outcome = process.attempt(remove('a'), move('d', 'a'), write('n', 'new n'));
    assert.ok(isStoreError(outcome, 'ERR_APPLY_ROLLED_BACK'), String(outcome));
    const { log, folding } = process.context;
    const row = log.view((view) => rowOf(view, 'a', folding));
    assert.equal([row?.image.type, row?.revision], ['file', 3]);
    process.kill();
    assert.equal(tree(world.outside), before);
    await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), before));
  }
});

test('a directory whose place another one has taken, or was about to, is back after a roll-back', async () => {
  for (const fails of ['d', 'n']) {
    const world = await worldBefore(small);
    const before = tree(world.outside);
    const process = await openFailing(world, fails);
    const { log, folding } = process.context;
    const rows = (): Record<string, Image['type'] | undefined> =>
      log.view((view) =>
        Object.fromEntries(
          Object.keys(before).map((path) => {
            const at = path.replace(/\/$/, '');
            return [at, rowOf(view, at, folding)?.image.type];
          }),
        ),
      );
    const known = rows();
    const outcome = process.attempt(move('d/x', 'moved'), remove('d'), move('g', 'd'), write('n', 'new n'));
    assert.ok(isStoreError(outcome, 'ERR_APPLY_ROLLED_BACK'), String(outcome));
    assert.equal(tree(world.outside), before);
    assert.equal(rows(), { ...known, d: 'directory', g: 'directory' });
    process.kill();
    await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), before));
  }
});

test('what a roll-back has put back has a new revision', async () => {
  const world = await rolledBack(() => undefined);
  const process = await world.open(small);
  const { log, folding } = process.context;
  // One is of the save before; two was for all to see until it was taken back.
  assert.is(log.view((view) => rowOf(view, 'a', folding))?.revision, 3);
});

test('directories whose removal was rolled back stay', async () => {
  const world = await worldBefore(small);
  const before = tree(world.outside);
  const fault: Fault = {
    at: ({ method, path }) => method === 'rename' && path === `${root}/g`,
    error: 'EIO',
  };
  const process = await world.open({ ...small, faults: [fault] });
  const outcome = process.attempt(remove('d'), remove('g'));
  assert.ok(isStoreError(outcome, 'ERR_APPLY_ROLLED_BACK'), String(outcome));
  process.kill();
  await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), before));
});

test('a checkpoint does not count on a newer transaction that is not applied', async () => {
  const world = new World();
  const process = await world.open(small);
  process.commit(write('a', 'first'));
  process.flushMarks();
  const stopped = await world.open({ ...small, failpoint: { name: 'log.after', action: 'throw' } });
  assert.instance(stopped.attempt(write('a', 'second')), Error);
  process.checkpoint();
  assert.equal(tree(durable(world).outside), { a: 'first' });
});

test('a checkpoint makes durable what is in directories that another owner has made, however deep', async () => {
  const world = new World();
  const maker = await world.open(small);
  const other = await world.open(small);
  maker.commit(write('d/e/a', 'of the maker'));
  maker.flushMarks();
  other.commit(write('d/e/b', 'of the other'));
  other.checkpoint();
  assert.is(contentOf(durable(world).outside, 'd/e/b'), 'of the other');
});

test('what was deleted does not come back with an older transaction of another owner', async () => {
  const world = new World();
  const writer = await world.open(small);
  const remover = await world.open(small);
  writer.commit(write('a', 'content'));
  writer.flushMarks();
  remover.commit(remove('a'));
  remover.checkpoint();
  writer.kill();
  remover.kill();
  await afterEveryPowerCut(world, (after) => assert.equal(tree(after.outside), {}));
});

test('a file that is moved over another link of itself leaves no name behind', async () => {
  const world = await worldBefore(small);
  const { outside } = world;
  outside.link(`${root}/a`, `${root}/c`);
  const process = await world.open(small);
  process.commit(move('a', 'c'));
  process.checkpoint();
  assert.equal(stagingNames(outside), []);
  assert.is(contentOf(outside, 'a'), undefined);
  assert.is(contentOf(outside, 'c'), 'old a');
});

test('locks end with the apply: whoever comes next need not wait', async () => {
  const world = new World();
  const one = await world.open(small);
  const other = await world.open(small);
  for (let round = 0; round < 3; round += 1) {
    for (const process of [one, other]) {
      process.commit(write('a', `${round}`));
      process.flushMarks();
    }
  }
});

test('a file that the user puts back after its removal stays, whatever a checkpoint had done by then', async () => {
  for (const name of ['checkpoint.sync-directory', 'checkpoint.trim', 'checkpoint.sweep'] as const) {
    const world = new World();
    const process = await world.open({ ...small, failpoint: { name, action: 'throw', skip: 1 } });
    process.commit(write('a', 'content'));
    process.checkpoint();
    const { outside } = world;
    outside.link(`${root}/a`, `${root}/backup`);
    process.commit(remove('a'));
    try {
      process.checkpoint();
    } catch {
      // It dies there.
    }
    process.kill();
    outside.rename(`${root}/backup`, `${root}/a`);
    (await world.open(small)).kill();
    assert.equal(tree(outside), { a: 'content' }, name);
  }
});

test('what the user reverts after a recovery that died is not redone by the next one', async () => {
  const world = await worldBefore(small);
  const { outside } = world;
  outside.link(`${root}/a`, `${root}/backup`);
  const dying = await world.open({ ...small, failpoint: { name: 'log.after', action: 'throw' } });
  assert.instance(dying.attempt(write('a', 'new a')), Error);
  dying.kill();
  const recovering = await world.start({
    ...small,
    failpoint: { name: 'recover.complete', action: 'throw' },
  });
  assert.instance(await recovering.recover().catch((error: unknown) => error), Error);
  recovering.kill();
  assert.is(contentOf(outside, 'a'), 'new a');
  outside.rename(`${root}/backup`, `${root}/a`);
  await world.open(small);
  assert.is(contentOf(outside, 'a'), 'old a');
});

const puttingAside: Readonly<Record<string, { readonly change: Operation; readonly edited: string }>> = {
  'of a file': { change: write('a', 'new a'), edited: 'a' },
  'of a file in a directory': { change: remove('d'), edited: 'd/x' },
};

for (const [what, { change, edited }] of Object.entries(puttingAside)) {
  test(`what is put aside ${what} by a process that dies before that is durable is not lost`, async () => {
    const world = await worldBefore(small);
    world.disk.settle();
    const first = await world.open({
      ...small,
      faults: [
        { at: ({ method, path }) => method === 'syncDirectory' && path.endsWith('/conflicts'), crash: true },
      ],
    });
    const { outside } = world;
    const descriptor = outside.openUpdate(`${root}/${edited}`);
    first.commit(change);
    world.disk.clock.advance(100);
    outside.write(descriptor, Buffer.from('typed since'), 0);
    assert.throws(() => first.checkpoint());
    first.kill();
    await world.open(small);
    await afterEveryPowerCut(world, (cut) => assert.equal(conflictContents(cut.outside), ['typed since']));
  });
}

test.run();
