/**
 * Committed targets put into the log by hand, each whole in itself, and what recovery makes of what it finds for them:
 * content that is missing, damaged or where it once was, and records that leave out what could be left out.
 */

import {
  encodeCommitBatch,
  fingerprintOf,
  hash64,
  type Image,
  imageOf,
  lockRow,
  metaKeys,
  numberRow,
  pathKey,
  putFileRow,
  type Target,
} from '@forewrit/core';
import { repairTransaction, type RepairDirection } from '#src/repair.js';
import { assert, suite } from '@forewrit/testkit';
import {
  contentOf,
  edit,
  type ProcessOptions,
  root,
  type SimulatedProcess,
  stagingNames,
  World,
} from './world.js';

const test = suite('targets by hand');
const everything = { start: new Uint8Array(0) };
const area = '.forewrit/staged';

interface Prepared {
  readonly world: World;
  readonly process: SimulatedProcess;
}

/** A process that has committed these targets, without having applied them, is dead; another one has not recovered yet. */
async function committed(
  make: (world: World) => readonly Partial<Target>[],
  cut = false,
  options: ProcessOptions = {},
): Promise<Prepared> {
  const world = new World();
  const dead = await world.open();
  edit(world.outside, 'a', 'old', 'new');
  world.outside.makeDirectory(`${root}/d`, 0o755);
  edit(world.outside, 'd/x', 'x', 'new');
  world.disk.settle();
  const targets = make(world).map(
    (target, index): Target => ({
      index,
      action: 'write',
      path: 'n',
      volume: '',
      before: { type: 'absent' },
      after: { type: 'absent' },
      ...target,
    }),
  );
  const { log, folding } = dead.context;
  const number = { owner: dead.owner.number, counter: 1 };
  const mount = dead.context.mount;
  const begin = { kind: 'begin', bootId: world.disk.bootId, mount, startedAtMs: 0 } as const;
  log.commit((batch) => {
    const [key, value] = encodeCommitBatch({ number, begin, targets, revision: 1, entries: [] });
    batch.put('log', key, value);
    batch.put('meta', metaKeys.revision, numberRow.encode(metaKeys.revision, 1));
    for (const { path, after } of targets) {
      putFileRow(batch, { path, revision: 1, transaction: number, image: after }, folding);
      const lock = pathKey(path, folding);
      batch.put('locks', lock, lockRow.encode(lock, { what: path, transaction: number, blocked: false }));
    }
  });
  dead.kill();
  const after = cut ? world.powerCut(() => true) : world;
  return { world: after, process: await after.start(options) };
}

function fileImage(text: string, more: Partial<Extract<Image, { type: 'file' }>> = {}): Image {
  const fingerprint = { ino: 9999n, size: text.length, mtimeNs: 1n, birthtimeNs: 0n };
  return { type: 'file', fingerprint, mode: 0o644, checksum: hash64(Buffer.from(text)), ...more };
}

function imageAt(world: World, path: string): Image {
  return imageOf(world.outside.lstat(`${root}/${path}`));
}

function stage(world: World, name: string, text: string): void {
  edit(world.outside, `${area}/${name}`, text, 'new');
}

const blocking: Readonly<Record<string, (world: World) => Partial<Target>>> = {
  'content that is nowhere': () => ({ after: fileImage('new'), applyName: '1-1-0.apply' }),
  'content in the log that is not what it was': () => ({
    after: fileImage('new'),
    content: Buffer.from('old'),
    applyName: '1-1-0.apply',
  }),
  'content for what is no file': () => ({
    after: { type: 'directory' },
    content: Buffer.from('x'),
    applyName: 'x',
  }),
  'a staged name that is gone': () => ({
    after: fileImage('new'),
    staged: '1-1-0',
    applyName: '1-1-0.apply',
  }),
  'staged content that is not what it was': (world) => {
    stage(world, '1-1-0', 'rot');
    return { after: fileImage('new'), staged: '1-1-0', applyName: '1-1-0.apply' };
  },
  'a directory in the place of staged content': (world) => {
    world.outside.makeDirectory(`${root}/${area}/1-1-0`, 0o700);
    return { after: fileImage('new'), staged: '1-1-0', applyName: '1-1-0.apply' };
  },
  'a moved file that is nowhere': () => ({
    action: 'move',
    from: 'gone',
    after: fileImage('new'),
    staged: '1-1-0',
    applyName: '1-1-0.apply',
  }),
};

for (const [name, make] of Object.entries(blocking)) {
  test(`${name} blocks its transaction, nothing is touched, and a person can end it`, async () => {
    for (const direction of ['back', 'quarantine', 'forward'] as const satisfies readonly RepairDirection[]) {
      for (const cut of [false, true]) {
        const { world, process } = await committed((each) => {
          const target = make(each);
          // Without its apply name it would have been applied.
          if (target.applyName !== undefined) stage(each, target.applyName, 'x');
          return [
            target,
            {
              index: 1,
              path: 'b',
              after: fileImage('b'),
              content: Buffer.from('b'),
              applyName: '1-1-1.apply',
            },
          ];
        }, cut);
        if (!cut) stage(world, '1-1-1.apply', 'b');
        assert.is(process.rows()['n'], 14);
        await process.recover();
        assert.equal(process.recovery?.blocked, ['1-1']);
        assert.is(contentOf(world.outside, 'b'), undefined);
        await repairTransaction(process.context, process.owner, { id: '1-1', direction, blocked: ['1-1'] });
        assert.is(contentOf(world.outside, 'n'), undefined);
        assert.is(contentOf(world.outside, 'a'), 'old');
        const left = process.context.log.view((view) => [
          view.range('log', everything).length,
          view.range('locks', everything).length,
        ]);
        assert.equal(left, [0, 0], direction);
        process.kill();
        const next = await world.open();
        assert.equal(next.recovery?.blocked, []);
        assert.equal(stagingNames(world.outside), []);
      }
    }
  });
}

test('a file that moved, and is still where it came from, moves again without its staged name', async () => {
  const { world, process } = await committed((each) => {
    const after = imageAt(each, 'a');
    stage(each, '1-1-0.apply', 'x');
    return [
      { action: 'move', path: 'n', from: 'a', after, staged: '1-1-0', applyName: '1-1-0.apply' },
      { action: 'remove', path: 'a', before: after, beforeName: '1-1-1', movedAway: true },
    ];
  });
  await process.recover();
  assert.equal([process.recovery?.redone, process.recovery?.blocked], [['1-1'], []]);
  assert.equal([contentOf(world.outside, 'n'), contentOf(world.outside, 'a')], ['old', undefined]);
});

test('directories are made and removed also where the record leaves out what could be left out', async () => {
  const { world, process } = await committed((each) => {
    stage(each, 'keeps-1-1-1.apply', 'x');
    return [
      { action: 'make-directory', path: 'm', after: { type: 'directory' } },
      { action: 'make-directory', path: 'unsaid', after: { type: 'absent' } },
      {
        action: 'remove-directory',
        path: 'd',
        before: { type: 'directory' },
        beforeName: '1-1-2',
        listing: [
          { name: 'x', type: 'file', fingerprint: fingerprintOf(each.outside.lstat(`${root}/d/x`)!) },
        ],
      },
    ];
  });
  await process.recover();
  assert.equal(process.recovery?.blocked, []);
  assert.is(world.outside.lstat(`${root}/m`)?.type, 'directory');
  assert.is(world.outside.lstat(`${root}/m`)?.mode, 0o755);
  assert.is(world.outside.lstat(`${root}/unsaid`)?.mode, 0o755);
  assert.is(world.outside.lstat(`${root}/d`), undefined);
});

test('a directory that moved and whose inode nobody knows is left where it is', async () => {
  const { world, process } = await committed(() => [
    { action: 'move-directory', path: 'm', from: 'd', after: { type: 'directory' } },
  ]);
  await process.recover();
  assert.is(contentOf(world.outside, 'd/x'), 'x');
});

test('back needs a before-image that is what it was', async () => {
  const old = (world: World): Image => imageAt(world, 'a');
  const beforeImages: Readonly<Record<string, (world: World) => Partial<Target>>> = {
    none: (world) => ({ before: old(world) }),
    'that is gone': (world) => ({ before: old(world), beforeName: '1-1-0' }),
    'of another type': (world) => {
      world.outside.makeDirectory(`${root}/.forewrit/before/1-1-0`, 0o700);
      return { before: old(world), beforeName: '1-1-0' };
    },
    'that is a copy nobody has read': (world) => {
      edit(world.outside, '.forewrit/before/1-1-0', 'old', 'new');
      return { before: old(world), beforeName: '1-1-0', beforeCopied: true };
    },
    'that is another file': (world) => {
      edit(world.outside, '.forewrit/before/1-1-0', 'old', 'new');
      return { before: old(world), beforeName: '1-1-0' };
    },
  };
  for (const [name, make] of Object.entries(beforeImages)) {
    const { world, process } = await committed((each) => {
      const target = make(each);
      edit(each.outside, 'a', 'somebody', 'replace');
      stage(each, '1-1-1.apply', 'x');
      return [
        {
          path: 'a',
          ...target,
          after: fileImage('new'),
          content: Buffer.from('new'),
          applyName: '1-1-0.apply',
        },
        { path: 'n', after: fileImage('n'), staged: '1-1-1', applyName: '1-1-1.apply' },
      ];
    });
    await process.recover();
    assert.equal(process.recovery?.blocked, ['1-1'], name);
    const repair = (direction: RepairDirection): Promise<unknown> =>
      repairTransaction(process.context, process.owner, { id: '1-1', direction, blocked: ['1-1'] });
    await assert.rejectsWithCode(repair('back'), 'ERR_INTEGRITY');
    assert.is(contentOf(world.outside, 'a'), 'somebody', name);
    await repair('quarantine');
    assert.is(contentOf(world.outside, 'a'), 'somebody', name);
  }
});

test('back puts back what is no file, and sets aside what has come in its place', async () => {
  const { world, process } = await committed((each) => {
    each.outside.symlink('a', `${root}/.forewrit/before/1-1-0`);
    const before = imageOf(each.outside.lstat(`${root}/.forewrit/before/1-1-0`));
    each.outside.makeDirectory(`${root}/s`, 0o755);
    edit(each.outside, 's/by somebody', 'x', 'new');
    stage(each, '1-1-1.apply', 'x');
    return [
      {
        path: 's',
        before,
        beforeName: '1-1-0',
        after: fileImage('new'),
        content: Buffer.from('new'),
        applyName: '1-1-0.apply',
      },
      { path: 'n', after: fileImage('n'), staged: '1-1-1', applyName: '1-1-1.apply' },
    ];
  });
  await process.recover();
  assert.equal(process.recovery?.blocked, ['1-1']);
  const report = await repairTransaction(process.context, process.owner, {
    id: '1-1',
    direction: 'back',
    blocked: ['1-1'],
  });
  assert.is(world.outside.lstat(`${root}/s`)?.type, 'symlink');
  assert.equal(
    report.conflicts.map(({ path }) => path),
    ['s'],
  );
});

test('a transaction below a root that is not given cannot be repaired', async () => {
  const { process } = await committed(() => [
    {
      path: 'cache:n',
      volume: 'cache:',
      after: fileImage('n'),
      content: Buffer.from('n'),
      applyName: '1-1-0.apply',
    },
  ]);
  await process.recover();
  assert.equal(process.recovery?.blocked, ['1-1']);
  const repair = repairTransaction(process.context, process.owner, {
    id: '1-1',
    direction: 'back',
    blocked: ['1-1'],
  });
  await assert.rejectsWithCode(repair, 'ERR_NOT_FOUND');
});

test('a file that has moved, and whose content nobody knows, is not kept aside from where it is', async () => {
  const { world, process } = await committed((each) => {
    const after = imageAt(each, 'a');
    each.outside.rename(`${root}/a`, `${root}/m`);
    stage(each, '1-1-1.apply', 'x');
    return [
      { action: 'move', path: 'm', from: 'a', after, applyName: '1-1-0.apply' },
      { path: 'n', after: fileImage('n'), staged: '1-1-1', applyName: '1-1-1.apply' },
    ];
  });
  await process.recover();
  assert.equal(process.recovery?.blocked, ['1-1']);
  const report = await repairTransaction(process.context, process.owner, {
    id: '1-1',
    direction: 'quarantine',
    blocked: ['1-1'],
  });
  assert.is(contentOf(world.outside, 'm'), 'old');
  assert.equal(report.conflicts, []);
});

test('what has moved moves again from where it came, be it a file or a link', async () => {
  for (const cut of [false, true]) {
    const { world, process } = await committed((each) => {
      each.outside.symlink('somewhere', `${root}/link`);
      each.disk.settle();
      for (const name of ['1-1-0.apply', '1-1-1.apply']) stage(each, name, 'x');
      const [file, link] = [imageAt(each, 'a'), imageAt(each, 'link')];
      return [
        { action: 'move', path: 'n', from: 'a', after: file, applyName: '1-1-0.apply' },
        { action: 'move', path: 'l', from: 'link', after: link, applyName: '1-1-1.apply' },
        { action: 'remove', path: 'a', before: file, beforeName: '1-1-2', movedAway: true },
        { action: 'remove', path: 'link', before: link, beforeName: '1-1-3', movedAway: true },
      ];
    }, cut);
    await process.recover();
    assert.equal(process.recovery?.blocked, []);
    assert.equal([contentOf(world.outside, 'n'), contentOf(world.outside, 'a')], ['old', undefined]);
    assert.is(world.outside.readlink(`${root}/l`), 'somewhere');
    assert.is(world.outside.lstat(`${root}/link`), undefined);
  }
});

test('a removed directory that is back beside the one that was removed is kept aside', async () => {
  const { world, process } = await committed((each) => {
    const before = imageAt(each, 'd');
    each.outside.makeDirectory(`${root}/.forewrit/before/1-1-0`, 0o700);
    each.disk.settle();
    const { fingerprint } = imageAt(each, 'd/x') as Extract<Image, { type: 'file' }>;
    const listing = [{ name: 'x', type: 'file', fingerprint }] as const;
    return [{ action: 'remove-directory', path: 'd', before, beforeName: '1-1-0', listing }];
  }, true);
  await process.recover();
  assert.equal(process.recovery?.blocked, []);
  assert.is(world.outside.lstat(`${root}/d`), undefined);
  const kept = world.outside.list(`${root}/.forewrit/conflicts`);
  assert.is(kept.length, 1);
  assert.is(contentOf(world.outside, `.forewrit/conflicts/${kept[0]}/x`), 'x');
});

test('content without a checksum is known by nothing but its inode', async () => {
  const { world, process } = await committed(() => {
    const { checksum: _, ...after } = fileImage('old') as Extract<Image, { type: 'file' }>;
    return [{ path: 'a', after, content: Buffer.from('old'), applyName: '1-1-0.apply' }];
  });
  await process.recover();
  assert.is(contentOf(world.outside, 'a'), 'old');
});

test('staged content that may not be read is that of its fingerprint, or none', async () => {
  for (const isOurs of [true, false]) {
    const fault = {
      error: 'EACCES',
      sticky: true,
      at: ({ method, path }: { method: string; path: string }) =>
        method === 'openRead' && path.endsWith('/1-1-0'),
    } as const;
    const { process } = await committed(
      (each) => {
        stage(each, '1-1-0', 'new');
        stage(each, '1-1-0.apply', 'new');
        const image = isOurs ? imageAt(each, `${area}/1-1-0`) : fileImage('new');
        const after = { ...image, checksum: hash64(Buffer.from('new')) } as Image;
        return [{ after, staged: '1-1-0', applyName: '1-1-0.apply' }];
      },
      false,
      { faults: [fault] },
    );
    assert.equal(process.rows(), { n: isOurs ? 8 : 14 });
  }
});

test.run();
