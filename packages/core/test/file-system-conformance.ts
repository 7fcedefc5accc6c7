/** What every file system behind the seam must do: the real one, and simulated ones. */
import type { FileSystem } from '#src/files/file-system.js';
import { assert, suite } from '@forewrit/testkit';
import { bytes, catchFrom, patterned, text } from './log-values.js';

export interface FileSystemUnderTest extends Disposable {
  readonly fileSystem: FileSystem;
  /** An existing, empty directory. */
  readonly directory: string;
}

export function fileSystemConformance(name: string, make: () => FileSystemUnderTest): void {
  const test = suite(`file system: ${name}`);

  function each(title: string, body: (fileSystem: FileSystem, at: (name: string) => string) => void): void {
    test(title, () => {
      using under = make();
      body(under.fileSystem, (entry) => `${under.directory}/${entry}`);
    });
  }

  each('what is written is read, wherever and in whatever pieces', (fileSystem, at) => {
    const descriptor = fileSystem.create(at('a'), 0o600);
    const content = patterned(100_000);
    for (const [from, to] of [
      [50_000, 100_000],
      [0, 20_000],
      [20_000, 50_000],
    ] as const) {
      writeAll(fileSystem, descriptor, content.subarray(from, to), from);
    }
    assert.ok(same(readAll(fileSystem, descriptor, 200_000), content));
    fileSystem.sync(descriptor);
    assert.is(fileSystem.stat(descriptor).size, 100_000);
    fileSystem.truncate(descriptor, 10);
    assert.is(fileSystem.stat(descriptor).size, 10);
    fileSystem.truncate(descriptor, 12);
    fileSystem.close(descriptor);

    const updating = fileSystem.openUpdate(at('a'));
    assert.is(fileSystem.write(updating, bytes('xyz'), 12), 3);
    fileSystem.truncate(updating, 12);
    assert.is(fileSystem.read(updating, new Uint8Array(20), 0), 12);
    fileSystem.close(updating);
    assert.is(
      code(() => fileSystem.openUpdate(at('missing'))),
      'ENOENT',
    );
    assert.is(
      code(() => fileSystem.openUpdate(at(''))),
      'EISDIR',
    );

    const again = fileSystem.openRead(at('a'));
    assert.ok(same(readAll(fileSystem, again, 100), Uint8Array.of(...content.subarray(0, 10), 0, 0)));
    assert.is(fileSystem.read(again, new Uint8Array(4), 12), 0);
    assert.is(fileSystem.read(again, new Uint8Array(0), 0), 0);
    assert.is(
      code(() => fileSystem.write(again, bytes('x'), 0)),
      'EBADF',
    );
    fileSystem.close(again);
    assert.is(
      code(() => fileSystem.read(again, new Uint8Array(1), 0)),
      'EBADF',
    );
    assert.is(
      code(() => fileSystem.close(again)),
      'EBADF',
    );
  });

  each('a file that was opened stays what it was, however its names change', (fileSystem, at) => {
    put(fileSystem, at('a'), 'first');
    const first = fileSystem.openRead(at('a'));
    put(fileSystem, at('b'), 'second');
    fileSystem.rename(at('b'), at('a'));
    assert.is(text(readAll(fileSystem, first, 10)), 'first');
    assert.is(fileSystem.stat(first).nlink, 0);
    fileSystem.close(first);
    assert.is(get(fileSystem, at('a')), 'second');
  });

  each('creating takes only a name that is free, with this mode', (fileSystem, at) => {
    fileSystem.close(fileSystem.create(at('a'), 0o640));
    assert.is((fileSystem.lstat(at('a'))?.mode ?? 0) & 0o700, 0o600);
    fileSystem.makeDirectory(at('d'), 0o700);
    fileSystem.symlink('nowhere', at('l'));
    for (const taken of ['a', 'd', 'l']) {
      assert.is(
        code(() => fileSystem.create(at(taken), 0o600)),
        'EEXIST',
        taken,
      );
    }
    assert.is(
      code(() => fileSystem.create(at('missing/a'), 0o600)),
      'ENOENT',
    );
    assert.is(
      code(() => fileSystem.create(at('a/b'), 0o600)),
      'ENOTDIR',
    );
  });

  each('modes are set exactly', (fileSystem, at) => {
    const descriptor = fileSystem.create(at('a'), 0o600);
    for (const mode of [0o777, 0o604, 0o4755]) {
      fileSystem.chmod(descriptor, mode);
      assert.is(fileSystem.stat(descriptor).mode, mode);
    }
    fileSystem.close(descriptor);
    fileSystem.chmodPath(at('a'), 0o666);
    assert.is(fileSystem.lstat(at('a'))?.mode, 0o666);
    fileSystem.makeDirectory(at('d'), 0o700);
    fileSystem.chmodPath(at('d'), 0o1777);
    assert.is(fileSystem.lstat(at('d'))?.mode, 0o1777);
  });

  each('symbolic links are met, never followed', (fileSystem, at) => {
    put(fileSystem, at('a'), 'content');
    fileSystem.symlink('a', at('l'));
    assert.is(fileSystem.lstat(at('l'))?.type, 'symlink');
    assert.is(fileSystem.readlink(at('l')), 'a');
    assert.is(
      code(() => fileSystem.openUpdate(at('l'))),
      'ELOOP',
    );
    assert.is(
      code(() => fileSystem.openRead(at('l'))),
      'ELOOP',
    );
    assert.is(
      code(() => fileSystem.readlink(at('a'))),
      'EINVAL',
    );
    assert.is(
      code(() => fileSystem.symlink('x', at('l'))),
      'EEXIST',
    );
    fileSystem.link(at('l'), at('l2'));
    assert.is(fileSystem.readlink(at('l2')), 'a');
    assert.is(fileSystem.lstat(at('l2'))?.ino, fileSystem.lstat(at('l'))?.ino);
    fileSystem.rename(at('l2'), at('a'));
    assert.is(fileSystem.lstat(at('a'))?.type, 'symlink');
    fileSystem.unlink(at('l'));
    assert.is(fileSystem.lstat(at('l')), undefined);
  });

  each('lstat knows what is there, and nothing where nothing can be', (fileSystem, at) => {
    put(fileSystem, at('a'), 'four');
    const found = fileSystem.lstat(at('a'));
    assert.ok(found);
    const { type, size, nlink, ino, dev, mtimeNs, birthtimeNs } = found;
    assert.equal([type, size, nlink], ['file', 4, 1]);
    assert.ok(ino > 0n && dev >= 0n && mtimeNs > 0n && birthtimeNs >= 0n);
    assert.is(fileSystem.lstat(at('missing')), undefined);
    assert.is(fileSystem.lstat(at('missing/a')), undefined);
    assert.is(fileSystem.lstat(at('a/b')), undefined);
    const descriptor = fileSystem.openRead(at('a'));
    assert.equal(fileSystem.stat(descriptor), found);
    fileSystem.close(descriptor);
    assert.is(
      code(() => fileSystem.openRead(at('missing'))),
      'ENOENT',
    );
  });

  each('a second link is the same file', (fileSystem, at) => {
    put(fileSystem, at('a'), 'content');
    fileSystem.link(at('a'), at('b'));
    assert.is(fileSystem.lstat(at('a'))?.ino, fileSystem.lstat(at('b'))?.ino);
    assert.is(fileSystem.lstat(at('a'))?.nlink, 2);
    assert.is(
      code(() => fileSystem.link(at('a'), at('b'))),
      'EEXIST',
    );
    assert.is(
      code(() => fileSystem.link(at('missing'), at('c'))),
      'ENOENT',
    );
    fileSystem.rename(at('a'), at('b'));
    assert.equal(
      fileSystem.list(at('.')).sort(),
      ['a', 'b'],
      'renaming between links of one file does nothing',
    );
    fileSystem.unlink(at('a'));
    assert.is(get(fileSystem, at('b')), 'content');
    assert.is(fileSystem.lstat(at('b'))?.nlink, 1);
  });

  each('a rename replaces a file, and only an empty directory by a directory', (fileSystem, at) => {
    put(fileSystem, at('a'), 'a');
    put(fileSystem, at('b'), 'b');
    fileSystem.rename(at('a'), at('b'));
    assert.is(get(fileSystem, at('b')), 'a');
    assert.is(fileSystem.lstat(at('a')), undefined);
    assert.is(
      code(() => fileSystem.rename(at('a'), at('b'))),
      'ENOENT',
    );
    for (const directory of ['d', 'e', 'f']) fileSystem.makeDirectory(at(directory), 0o700);
    put(fileSystem, at('e/x'), 'x');
    assert.is(
      code(() => fileSystem.rename(at('b'), at('d'))),
      'EISDIR',
    );
    assert.is(
      code(() => fileSystem.rename(at('d'), at('b'))),
      'ENOTDIR',
    );
    assert.ok(['ENOTEMPTY', 'EEXIST'].includes(code(() => fileSystem.rename(at('d'), at('e'))) ?? ''));
    assert.is(
      code(() => fileSystem.rename(at('e'), at('e/y'))),
      'EINVAL',
    );
    fileSystem.rename(at('e'), at('f'));
    assert.is(get(fileSystem, at('f/x')), 'x');
  });

  each('directories are made, listed, flushed and removed when they are empty', (fileSystem, at) => {
    fileSystem.makeDirectory(at('d'), 0o700);
    assert.is(fileSystem.lstat(at('d'))?.type, 'directory');
    assert.is(
      code(() => fileSystem.makeDirectory(at('d'), 0o700)),
      'EEXIST',
    );
    assert.is(
      code(() => fileSystem.makeDirectory(at('m/d'), 0o700)),
      'ENOENT',
    );
    put(fileSystem, at('d/a'), 'a');
    fileSystem.syncDirectory(at('d'));
    assert.equal(fileSystem.list(at('d')), ['a']);
    assert.ok(['ENOTEMPTY', 'EEXIST'].includes(code(() => fileSystem.removeDirectory(at('d'))) ?? ''));
    assert.ok(['EISDIR', 'EPERM'].includes(code(() => fileSystem.unlink(at('d'))) ?? ''));
    assert.is(
      code(() => fileSystem.removeDirectory(at('d/a'))),
      'ENOTDIR',
    );
    fileSystem.unlink(at('d/a'));
    fileSystem.removeDirectory(at('d'));
    assert.is(fileSystem.lstat(at('d')), undefined);
    assert.is(
      code(() => fileSystem.list(at('d'))),
      'ENOENT',
    );
    assert.is(
      code(() => fileSystem.syncDirectory(at('d'))),
      'ENOENT',
    );
    assert.is(
      code(() => fileSystem.unlink(at('d'))),
      'ENOENT',
    );
    assert.is(
      code(() => fileSystem.removeDirectory(at('d'))),
      'ENOENT',
    );
  });

  each('a name that is too long is refused', (fileSystem, at) => {
    assert.is(
      code(() => fileSystem.create(at('n'.repeat(256)), 0o600)),
      'ENAMETOOLONG',
    );
    fileSystem.close(fileSystem.create(at('n'.repeat(255)), 0o600));
  });

  each('space and mount are told, and stay the same', (fileSystem, at) => {
    const { availableBytes, totalBytes, type } = fileSystem.space(at('.'));
    assert.ok(availableBytes > 0 && availableBytes <= totalBytes && Number.isInteger(type));
    const mount = fileSystem.mountId(at('.'));
    put(fileSystem, at('a'), 'a');
    assert.is(fileSystem.mountId(at('a')), mount);
  });

  test.run();
}

function put(fileSystem: FileSystem, path: string, content: string): void {
  const descriptor = fileSystem.create(path, 0o600);
  writeAll(fileSystem, descriptor, bytes(content), 0);
  fileSystem.close(descriptor);
}

function get(fileSystem: FileSystem, path: string): string | undefined {
  const descriptor = fileSystem.openRead(path);
  try {
    return text(readAll(fileSystem, descriptor, 1000));
  } finally {
    fileSystem.close(descriptor);
  }
}

function writeAll(fileSystem: FileSystem, descriptor: number, content: Uint8Array, position: number): void {
  for (let written = 0; written < content.length; ) {
    const count = fileSystem.write(descriptor, content.subarray(written), position + written);
    assert.ok(count > 0);
    written += count;
  }
}

function readAll(fileSystem: FileSystem, descriptor: number, lengthMax: number): Uint8Array {
  const into = new Uint8Array(lengthMax);
  let filled = 0;
  for (;;) {
    const count = fileSystem.read(descriptor, into.subarray(filled), filled);
    if (count === 0) return into.subarray(0, filled);
    filled += count;
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function code(body: () => unknown): string | undefined {
  const error = catchFrom(body);
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
