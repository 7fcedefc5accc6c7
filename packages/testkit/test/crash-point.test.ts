import * as assert from '#src/assert.js';
import { countChoices, describeChoice } from '#src/crash-choice.js';
import { suite } from '#src/suite.js';
import { diskWith, imagesOf, put, shown } from './disk-files.js';

const machinery = suite('crash points');

machinery('an image shares nothing that changes, with the disk or with another image', () => {
  const { disk, fileSystem } = diskWith((setup) => put(setup, '/f', 'old'));
  const descriptor = fileSystem.create('/g', 0o644);
  fileSystem.write(descriptor, Buffer.from('new'), 0);
  const point = disk.crashPoint('weakest');
  const one = point.image(() => true);
  const two = point.image(() => true);
  const before = shown(one);

  fileSystem.write(descriptor, Buffer.from('NEWER'), 0);
  fileSystem.unlink('/f');
  const inOne = one.mount();
  inOne.rename('/f', '/g');
  put(inOne, '/h', 'h');
  fileSystem.sync(descriptor);
  fileSystem.syncDirectory('/');

  assert.is(shown(two), before);
  assert.is(shown(point.image(() => true)), before);
  assert.is(shown(point.image(() => false)), '/f "old"');
  assert.is(shown(disk), '/g "NEWER"');
  assert.is(shown(one), '/g "old"  /h "h"');
});

machinery('after a power cut everything that is there is durable', () => {
  const { disk, fileSystem } = diskWith(() => {});
  put(fileSystem, '/f', 'new');
  const image = disk.crash(() => true);
  assert.equal(image.pendingEffects('weakest'), []);
  assert.is(shown(image.crash(() => false)), '/f "new"');
});

machinery('a power cut during what follows a power cut loses only that', () => {
  const { disk, fileSystem } = diskWith(() => {});
  put(fileSystem, '/f', 'new');
  const second = disk.crash(() => true);
  put(second.mount(), '/g', 'g');
  assert.equal(imagesOf(second), ['/f "new"', '/f "new"  /g ""', '/f "new"  /g "0"', '/f "new"  /g "g"']);
});

machinery('each power cut is another boot; inode numbers and times of survivors stay', () => {
  const { disk, fileSystem } = diskWith((setup) => put(setup, '/f', 'old'));
  const stat = fileSystem.lstat('/f');
  const next = disk.crash(() => false);
  assert.is.not(next.bootId, disk.bootId);
  assert.is(disk.crash(() => false, { bootId: 'mine' }).bootId, 'mine');
  assert.equal(next.mount().lstat('/f'), stat);
  put(next.mount(), '/g', 'g');
  assert.is.not(next.mount().lstat('/g')?.ino, stat?.ino);
});

machinery('a choice is numbers, a function or bits, and can be put in words', () => {
  const { disk, fileSystem } = diskWith(() => {});
  put(fileSystem, '/f', 'new');
  const point = disk.crashPoint('weakest');
  assert.equal(
    point.effects.map(({ kind, path, outcomes }) => [kind, path, outcomes]),
    [
      ['entry', '/f', 2],
      ['write', '/f', 3],
    ],
  );
  assert.is(shown(point.image([1, 2])), '/f "000"');
  assert.is(shown(point.image(({ kind }) => kind === 'entry')), '/f ""');
  assert.is(shown(point.image(0b11n)), '/f "new"');
  assert.match(describeChoice(point.effects, [1, 2]), /entry \/f .*: whole\n.*write \/f .*: size-only/);
  assert.is(countChoices(disk.pendingEffects('weakest', { tears: false })), 4);
});

machinery('a fork loses nothing and goes its own way', () => {
  const { disk, fileSystem } = diskWith((setup) => put(setup, '/f', 'old'));
  put(fileSystem, '/g', 'new');
  const open = fileSystem.create('/h', 0o644);
  fileSystem.unlink('/h');
  const copy = disk.fork();
  assert.is(copy.bootId, disk.bootId);
  assert.is(copy.fingerprint(), disk.fingerprint());
  assert.equal(imagesOf(copy), imagesOf(disk));
  fileSystem.unlink('/f');
  put(copy.mount(), '/i', 'i');
  fileSystem.write(open, Buffer.from('x'), 0);
  assert.is(shown(copy), '/f "old"  /g "new"  /i "i"');
  assert.is(shown(disk), '/g "new"');
});

machinery('what becomes durable after a fork does so on its own side alone', () => {
  const { disk, fileSystem } = diskWith(() => {});
  put(fileSystem, '/f', 'f', { sync: true });
  fileSystem.syncDirectory('/');
  const copy = disk.fork();
  put(fileSystem, '/g', 'g', { sync: true });
  fileSystem.syncDirectory('/');
  assert.is(shown(copy.crash(() => false)), '/f "f"');
  assert.is(shown(disk.crash(() => false)), '/f "f"  /g "g"');
});

machinery('fingerprints are equal for equal trees and differ with any part of them', () => {
  const { disk, fileSystem } = diskWith((setup) => put(setup, '/f', 'text'));
  const same = disk.fork();
  assert.is(same.fingerprint(), disk.fingerprint());
  const prints = new Set([disk.fingerprint()]);
  const descriptor = fileSystem.create('/g', 0o644);
  prints.add(disk.fingerprint());
  fileSystem.write(descriptor, Buffer.from('a'), 0);
  prints.add(disk.fingerprint());
  fileSystem.write(descriptor, Buffer.from('b'), 0);
  prints.add(disk.fingerprint());
  fileSystem.chmod(descriptor, 0o600);
  prints.add(disk.fingerprint());
  fileSystem.rename('/g', '/h');
  prints.add(disk.fingerprint());
  fileSystem.symlink('f', '/l');
  prints.add(disk.fingerprint());
  assert.is(prints.size, 7);
});

machinery.run();
