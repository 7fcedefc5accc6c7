/** Content under a fresh name, on file systems that refuse links and owners. */

import { assert, type Fault, FaultyFileSystem, SimulatedDisk, suite } from '@forewrit/testkit';
import { copyFresh, linkFresh, writeFresh } from '#src/fresh-file.js';
import { contentOf, edit } from './world.js';

const test = suite('fresh file');

function newDisk(faults: readonly Fault[] = []): { disk: SimulatedDisk; fileSystem: FaultyFileSystem } {
  const disk = new SimulatedDisk();
  edit(disk.mount(), '/from', 'content', 'new');
  return { disk, fileSystem: new FaultyFileSystem(disk.mount(), { faults }) };
}

const file = { path: '/fresh', mode: 0o640 };

test('a file that cannot be linked is copied, and any other failure is told', () => {
  for (const error of ['EPERM', 'EMLINK', 'ENOTSUP'] as const) {
    const { disk, fileSystem } = newDisk([{ error, at: ({ method }) => method === 'link' }]);
    linkFresh(fileSystem, file, '/from');
    const outside = disk.mount();
    assert.is(contentOf(outside, '/fresh'), 'content');
    assert.is.not(outside.lstat('/fresh')?.ino, outside.lstat('/from')?.ino);
    assert.is(outside.lstat('/fresh')?.mode, 0o640);
  }
  const { fileSystem } = newDisk([{ error: 'EIO', at: ({ method }) => method === 'link' }]);
  assert.throwsWithCode(() => linkFresh(fileSystem, file, '/from'), 'EIO');
});

test('of a symbolic link the target is copied', () => {
  const { disk, fileSystem } = newDisk();
  const outside = disk.mount();
  outside.symlink('somewhere', '/link');
  edit(outside, '/fresh', 'of a recovery that has died', 'new');
  copyFresh(fileSystem, file, '/link');
  assert.is(outside.readlink('/fresh'), 'somewhere');
});

test('the owner of what is replaced is given where that is allowed', () => {
  const like = { ...newDisk().disk.mount().lstat('/from')!, uid: 4711, gid: 4711 };
  const { disk, fileSystem } = newDisk();
  writeFresh(fileSystem, { ...file, like }, Buffer.from('x'));
  assert.is(disk.mount().lstat('/fresh')?.uid, 4711);
  const unprivileged = newDisk([{ error: 'EPERM', at: ({ method }) => method === 'chown' }]);
  writeFresh(unprivileged.fileSystem, { ...file, like }, Buffer.from('x'));
  assert.is(contentOf(unprivileged.disk.mount(), '/fresh'), 'x');
  const failing = newDisk([{ error: 'EIO', at: ({ method }) => method === 'chown' }]);
  assert.throwsWithCode(() => writeFresh(failing.fileSystem, { ...file, like }, Buffer.from('x')), 'EIO');
  const same = newDisk([{ error: 'EIO', at: ({ method }) => method === 'chown' }]);
  writeFresh(same.fileSystem, { ...file, like: same.disk.mount().lstat('/from') }, Buffer.from('x'));
});

test.run();
