/** What survives a power cut, case by case: every image that a model allows, and no other. */
import * as assert from '#src/assert.js';
import { countChoices } from '#src/crash-choice.js';
import { suite } from '#src/suite.js';
import { diskWith, imagesOf, put, shown, textOf } from './disk-files.js';

const weakest = suite('a power cut, weakest model');

weakest('a file that nobody flushed may be absent, empty, zeros or whole', () => {
  const { disk, fileSystem } = diskWith(() => {});
  put(fileSystem, '/f', 'new');
  assert.equal(imagesOf(disk), ['', '/f ""', '/f "000"', '/f "new"']);
});

weakest('a flushed file is whole wherever its entry survives', () => {
  const { disk, fileSystem } = diskWith(() => {});
  put(fileSystem, '/f', 'new', { sync: true });
  assert.equal(imagesOf(disk), ['', '/f "new"']);
});

weakest('a flushed directory keeps the entry, and says nothing about the content', () => {
  const { disk, fileSystem } = diskWith(() => {});
  put(fileSystem, '/f', 'new');
  fileSystem.syncDirectory('/');
  assert.equal(imagesOf(disk), ['/f ""', '/f "000"', '/f "new"']);
});

weakest('nothing is pending when file and directory are flushed', () => {
  const { disk, fileSystem } = diskWith(() => {});
  put(fileSystem, '/f', 'new', { sync: true });
  fileSystem.syncDirectory('/');
  assert.equal(disk.pendingEffects('weakest'), []);
  assert.equal(imagesOf(disk), ['/f "new"']);
});

weakest('a rename replaces old by new, and the source may come back, or go without it', () => {
  const { disk, fileSystem } = diskWith((setup) => {
    put(setup, '/f', 'old');
    put(setup, '/s', 'new');
  });
  fileSystem.rename('/s', '/f');
  assert.equal(imagesOf(disk), ['/f "new"', '/f "new"  /s "new"', '/f "old"', '/f "old"  /s "new"']);
});

weakest('flushing the destination of a rename leaves its source open', () => {
  const { disk, fileSystem } = diskWith((setup) => {
    setup.makeDirectory('/d', 0o755);
    put(setup, '/s', 'new');
  });
  fileSystem.rename('/s', '/d/f');
  fileSystem.syncDirectory('/d');
  assert.equal(imagesOf(disk), ['/d/  /d/f "new"', '/d/  /d/f "new"  /s "new"']);
});

weakest('a rename over content that is not flushed may show it torn', () => {
  const { disk, fileSystem } = diskWith((setup) => put(setup, '/f', 'old'), { sectorBytes: 4 });
  put(fileSystem, '/s', 'AAAABBBB');
  fileSystem.rename('/s', '/f');
  fileSystem.syncDirectory('/');
  assert.equal(imagesOf(disk), [
    '/f ""',
    '/f "00000000"',
    '/f "0000BBBB"',
    '/f "AAAA"',
    '/f "AAAA0000"',
    '/f "AAAABBBB"',
  ]);
});

weakest('a write into a file tears at sectors, and its content may survive without its time', () => {
  const { disk, fileSystem } = diskWith(() => {}, { sectorBytes: 4 });
  const descriptor = fileSystem.create('/f', 0o644);
  fileSystem.write(descriptor, Buffer.from('aaaabbbb'), 0);
  disk.settle();
  fileSystem.write(descriptor, Buffer.from('AAAABBBB'), 0);
  assert.equal(imagesOf(disk), ['/f "AAAABBBB"', '/f "AAAAbbbb"', '/f "aaaaBBBB"', '/f "aaaabbbb"']);
  const found = new Set<string>();
  for (let outcome = 0; outcome < (disk.pendingEffects('weakest')[0]?.outcomes ?? 0); outcome += 1) {
    const image = disk.crash([outcome]).mount();
    found.add(`${textOf(image, '/f')} ${image.lstat('/f')?.mtimeNs === fileSystem.lstat('/f')?.mtimeNs}`);
  }
  assert.equal([...found].sort(), [
    'AAAABBBB false',
    'AAAABBBB true',
    'AAAAbbbb true',
    'aaaaBBBB true',
    'aaaabbbb false',
    'aaaabbbb true',
  ]);
});

weakest('any sector may survive by itself', () => {
  const { disk, fileSystem } = diskWith(() => {}, { sectorBytes: 1 });
  put(fileSystem, '/f', 'ABC');
  fileSystem.syncDirectory('/');
  const [write] = disk.pendingEffects('weakest');
  assert.is(write?.scatters, true);
  const found = new Set<string>();
  for (let seed = 0; seed < 200; seed += 1) found.add(shown(disk.crash([(write?.outcomes ?? 0) + seed])));
  assert.is(found.size, 8);
});

weakest('chmod, chown and truncate are each lost or whole, and durable with the file', () => {
  const { disk, fileSystem } = diskWith(() => {});
  const descriptor = fileSystem.create('/f', 0o600);
  fileSystem.write(descriptor, Buffer.from('content'), 0);
  disk.settle();
  fileSystem.chmod(descriptor, 0o640);
  fileSystem.chown(descriptor, { uid: 7, gid: 8 });
  fileSystem.truncate(descriptor, 3);
  const lost = disk
    .crash(() => false)
    .mount()
    .lstat('/f');
  const whole = disk
    .crash(() => true)
    .mount()
    .lstat('/f');
  assert.equal([lost?.mode, lost?.uid, lost?.gid, lost?.size], [0o600, 0, 0, 7]);
  assert.equal([whole?.mode, whole?.uid, whole?.gid, whole?.size], [0o640, 7, 8, 3]);
  assert.is(countChoices(disk.pendingEffects('weakest')), 8);
  fileSystem.sync(descriptor);
  assert.equal(disk.pendingEffects('weakest'), []);
});

weakest('a chmod of a directory is durable with the directory', () => {
  const { disk, fileSystem } = diskWith((setup) => setup.makeDirectory('/d', 0o755));
  fileSystem.chmodPath('/d', 0o700);
  assert.is(
    disk
      .crash(() => false)
      .mount()
      .lstat('/d')?.mode,
    0o755,
  );
  fileSystem.syncDirectory('/d');
  assert.is(
    disk
      .crash(() => false)
      .mount()
      .lstat('/d')?.mode,
    0o700,
  );
});

weakest('a removed file may come back, with the name it had', () => {
  const { disk, fileSystem } = diskWith((setup) => put(setup, '/f', 'old'));
  fileSystem.unlink('/f');
  assert.equal(imagesOf(disk), ['', '/f "old"']);
  fileSystem.syncDirectory('/');
  assert.equal(imagesOf(disk), ['']);
});

weakest('a name that changed its file several times has any of them', () => {
  const { disk, fileSystem } = diskWith((setup) => put(setup, '/f', 'one'));
  fileSystem.unlink('/f');
  put(fileSystem, '/f', 'two', { sync: true });
  fileSystem.unlink('/f');
  put(fileSystem, '/f', 'three', { sync: true });
  assert.equal(imagesOf(disk), ['', '/f "one"', '/f "three"', '/f "two"']);
});

weakest('links of one inode share what survives', () => {
  const { disk, fileSystem } = diskWith((setup) => setup.makeDirectory('/d', 0o755));
  put(fileSystem, '/f', 'new', { sync: true });
  fileSystem.link('/f', '/d/g');
  fileSystem.syncDirectory('/d');
  assert.equal(imagesOf(disk), ['/d/  /d/g "new"', '/d/  /d/g "new"  /f "new"']);
  const image = disk.crash(() => true).mount();
  assert.is(image.lstat('/f')?.ino, image.lstat('/d/g')?.ino);
  assert.is(image.lstat('/f')?.nlink, 2);
  assert.is(
    disk
      .crash(() => false)
      .mount()
      .lstat('/d/g')?.nlink,
    1,
  );
});

weakest('a file that only a descriptor holds is gone', () => {
  const { disk, fileSystem } = diskWith(() => {});
  const descriptor = fileSystem.create('/f', 0o644);
  fileSystem.unlink('/f');
  fileSystem.syncDirectory('/');
  fileSystem.write(descriptor, Buffer.from('x'), 0);
  assert.equal(disk.pendingEffects('weakest'), []);
  fileSystem.sync(descriptor);
  assert.equal(imagesOf(disk), ['']);
});

for (const syncReachesAncestors of [true, false]) {
  const title = syncReachesAncestors
    ? 'the flush of a file makes its new ancestors reachable, but not its name'
    : 'the flush of a file reaches no ancestor where that is not assumed';
  weakest(title, () => {
    const { disk, fileSystem } = diskWith(() => {}, { syncReachesAncestors });
    fileSystem.makeDirectory('/a', 0o755);
    fileSystem.makeDirectory('/a/b', 0o755);
    put(fileSystem, '/a/b/f', 'new', { sync: true });
    const reached = ['/a/  /a/b/', '/a/  /a/b/  /a/b/f "new"'];
    assert.equal(imagesOf(disk), syncReachesAncestors ? reached : ['', '/a/', ...reached]);
  });
}

weakest('the flush of a directory does not make the directory itself reachable', () => {
  const { disk, fileSystem } = diskWith(() => {});
  fileSystem.makeDirectory('/a', 0o755);
  put(fileSystem, '/a/f', 'new');
  fileSystem.syncDirectory('/a');
  assert.ok(imagesOf(disk).includes(''));
});

weakest('after a flush that failed, the content is lost even if the next flush succeeds', () => {
  const { disk, fileSystem } = diskWith(() => {});
  const descriptor = fileSystem.create('/f', 0o644);
  fileSystem.syncDirectory('/');
  fileSystem.write(descriptor, Buffer.from('new'), 0);
  fileSystem.failSync(descriptor);
  assert.equal(imagesOf(disk), ['/f ""', '/f "000"', '/f "new"']);
  fileSystem.sync(descriptor);
  assert.is(textOf(fileSystem, '/f'), 'new');
  assert.equal(imagesOf(disk), ['/f "000"']);
  fileSystem.write(descriptor, Buffer.from('N'), 0);
  fileSystem.sync(descriptor);
  assert.equal(imagesOf(disk), ['/f "N00"']);
});

weakest('an inode number that was given out again has one bearer in every image', () => {
  const { disk, fileSystem } = diskWith((setup) => put(setup, '/old', 'old'), {
    root: { reusesInodeNumbers: true },
  });
  const number = fileSystem.lstat('/old')?.ino;
  fileSystem.unlink('/old');
  put(fileSystem, '/new', 'new', { sync: true });
  assert.is(fileSystem.lstat('/new')?.ino, number);
  assert.equal(imagesOf(disk), ['', '/new "new"', '/old "old"']);
});

weakest.run();

const directories = suite('a power cut, directories that move');

directories('a renamed directory is in one place, whole', () => {
  const { disk, fileSystem } = diskWith((setup) => {
    for (const path of ['/a', '/b', '/a/d']) setup.makeDirectory(path, 0o755);
    put(setup, '/a/d/f', 'f');
  });
  fileSystem.rename('/a/d', '/b/e');
  const moved = '/a/  /b/  /b/e/  /b/e/f "f"';
  assert.equal(imagesOf(disk), ['/a/  /a/d/  /a/d/f "f"  /b/', moved]);
  fileSystem.syncDirectory('/a');
  assert.equal(imagesOf(disk), [moved]);
});

directories('renames in a row survive in their order', () => {
  const { disk, fileSystem } = diskWith((setup) => setup.makeDirectory('/a', 0o755));
  fileSystem.rename('/a', '/b');
  fileSystem.rename('/b', '/c');
  assert.equal(imagesOf(disk), ['/a/', '/b/', '/c/']);
});

directories('what takes the old place of one that moved does not push it out', () => {
  const { disk, fileSystem } = diskWith((setup) => {
    setup.makeDirectory('/a', 0o755);
    put(setup, '/a/f', 'f');
  });
  fileSystem.rename('/a', '/b');
  fileSystem.makeDirectory('/a', 0o755);
  assert.equal(imagesOf(disk), ['/a/  /a/f "f"', '/a/  /b/  /b/f "f"', '/b/  /b/f "f"']);
});

directories('two that change places are never lost', () => {
  const { disk, fileSystem } = diskWith((setup) => {
    for (const name of ['/a', '/b']) {
      setup.makeDirectory(name, 0o755);
      put(setup, `${name}/f`, name);
    }
  });
  fileSystem.rename('/a', '/t');
  fileSystem.rename('/b', '/a');
  fileSystem.rename('/t', '/b');
  for (const image of imagesOf(disk)) {
    assert.match(image, '"/a"');
    assert.match(image, '"/b"');
  }
});

directories('one that moved into a new directory brings that along', () => {
  const { disk, fileSystem } = diskWith((setup) => setup.makeDirectory('/a', 0o755));
  fileSystem.makeDirectory('/n', 0o755);
  fileSystem.makeDirectory('/n/m', 0o755);
  fileSystem.rename('/a', '/n/m/a');
  assert.equal(imagesOf(disk), ['/a/', '/a/  /n/', '/a/  /n/  /n/m/', '/n/  /n/m/  /n/m/a/']);
  fileSystem.syncDirectory('/n/m');
  assert.equal(imagesOf(disk), ['/n/  /n/m/  /n/m/a/']);
});

directories('one that moved out of another outlives its removal', () => {
  const { disk, fileSystem } = diskWith((setup) => {
    for (const path of ['/a', '/a/b', '/a/b/c']) setup.makeDirectory(path, 0o755);
    put(setup, '/a/b/c/f', 'f');
  });
  fileSystem.rename('/a/b/c', '/c');
  fileSystem.removeDirectory('/a/b');
  fileSystem.removeDirectory('/a');
  for (const image of imagesOf(disk)) assert.match(image, '"f"');
});

directories('parent and child that change places make no circle', () => {
  const { disk, fileSystem } = diskWith((setup) => {
    for (const path of ['/a', '/a/b']) setup.makeDirectory(path, 0o755);
  });
  fileSystem.rename('/a/b', '/b');
  fileSystem.rename('/a', '/b/a');
  assert.equal(imagesOf(disk), ['/a/  /a/b/', '/a/  /b/', '/b/  /b/a/']);
});

directories.run();

const inOrder = suite('a power cut, models with an order');

inOrder('ordered: a rename never survives without the creation before it, the content may lag', () => {
  const { disk, fileSystem } = diskWith((setup) => put(setup, '/f', 'old'));
  put(fileSystem, '/s', 'new');
  fileSystem.rename('/s', '/f');
  assert.equal(imagesOf(disk, 'ordered'), [
    '/f ""',
    '/f "000"',
    '/f "new"',
    '/f "old"',
    '/f "old"  /s ""',
    '/f "old"  /s "000"',
    '/f "old"  /s "new"',
  ]);
});

inOrder('ordered: a flush makes durable what came before it, of other directories too', () => {
  const { disk, fileSystem } = diskWith((setup) => setup.makeDirectory('/d', 0o755));
  put(fileSystem, '/d/one', '1');
  put(fileSystem, '/two', '2', { sync: true });
  put(fileSystem, '/three', '3');
  const images = imagesOf(disk, 'ordered');
  for (const image of images) assert.match(image, /\/d\/one .*\/two "2"/);
  assert.ok(images.some((image) => image.includes('/d/one ""')));
  assert.ok(images.some((image) => !image.includes('/three')));
});

inOrder('strict: what survives is what was there at some moment since the last flush', () => {
  const { disk, fileSystem } = diskWith(() => {});
  const moments: string[] = [];
  const note = (): void => {
    moments.push(shown(disk));
  };
  note();
  const descriptor = fileSystem.create('/f', 0o644);
  note();
  fileSystem.write(descriptor, Buffer.from('new'), 0);
  note();
  fileSystem.rename('/f', '/g');
  note();
  assert.equal(imagesOf(disk, 'strict'), moments.toSorted());
  fileSystem.sync(descriptor);
  assert.equal(imagesOf(disk, 'strict'), ['/g "new"']);
});

inOrder.run();
