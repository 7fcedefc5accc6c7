import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isStoreError } from '#src/errors.js';
import type { FileStat } from '#src/files/file-system.js';
import { parsePath } from '#src/path/path-parser.js';
import { symlinksFollowedMax } from '#src/path/path-resolver.js';
import { assert, suite } from '@forewrit/testkit';
import { makeWorld, windowsWorld, type World } from './resolver-world.js';

const test = suite('path resolver');
let world: World;
test.before(() => {
  world = makeWorld();
});
test.after(() => world[Symbol.dispose]());

interface Expected {
  readonly path?: string;
  readonly type?: FileStat['type'] | undefined;
  readonly via?: string;
  readonly missing?: readonly string[];
}

// What a path leads to, with a link at its end followed.
const followed: Readonly<Record<string, Expected>> = {
  file: { type: 'file' },
  dir: { type: 'directory' },
  'dir/sub': { type: 'directory' },
  '': { type: 'directory' },
  'named:': { type: 'directory' },
  'named:file': { type: 'file' },
  'inner/file': { type: 'file' },
  nothing: { type: undefined },
  'dir/nothing': { type: undefined },
  'a/b/c': { type: undefined, missing: ['a', 'a/b'] },
  'dir/a/b': { type: undefined, missing: ['dir/a'] },
  './x:y/z': { type: undefined, missing: ['./x:y'] },
  'named:a/b': { type: undefined, missing: ['named:a'] },
  'to-file': { path: 'dir/file', type: 'file', via: 'to-file' },
  'to-file-slash': { path: 'dir/file', type: 'file', via: 'to-file-slash' },
  'to-dir': { path: 'dir', type: 'directory', via: 'to-dir' },
  'to-dir/file': { path: 'dir/file', type: 'file' },
  'to-dir/nothing': { path: 'dir/nothing', type: undefined },
  'to-dir/a/b': { path: 'dir/a/b', type: undefined, missing: ['dir/a'] },
  'to-dir-absolute/file': { path: 'dir/file', type: 'file' },
  'to-dir-absolute': { path: 'dir', type: 'directory', via: 'to-dir-absolute' },
  'to-self-dir': { path: '', type: 'directory', via: 'to-self-dir' },
  'to-self-dir/to-self-dir/file': { path: 'file', type: 'file' },
  'to-root/file': { path: 'file', type: 'file' },
  'to-root': { path: '', type: 'directory', via: 'to-root' },
  'to-root-absolute/dir/file': { path: 'dir/file', type: 'file' },
  'out-and-in': { path: 'dir/file', type: 'file', via: 'out-and-in' },
  'far-out-and-in/file': { path: 'dir/file', type: 'file' },
  'dir/up': { path: '', type: 'directory', via: 'dir/up' },
  'dir/up/file': { path: 'file', type: 'file' },
  'dir/up/dir/up/dir/up-file': { path: 'dir/file', type: 'file', via: 'dir/up-file' },
  'chain-1': { path: 'dir/file', type: 'file', via: 'chain-1' },
  'to-dir/chain-3': { path: 'dir/file', type: 'file', via: 'dir/chain-3' },
  dangling: { path: 'dir/nothing', type: undefined, via: 'dangling' },
  'dangling/x': { path: 'dir/nothing/x', type: undefined, missing: ['dir/nothing'] },
  'dangling-deep': {
    path: 'no/such/place',
    type: undefined,
    via: 'dangling-deep',
    missing: ['no', 'no/such'],
  },
  'dangling-deep/x': {
    path: 'no/such/place/x',
    type: undefined,
    missing: ['no', 'no/such', 'no/such/place'],
  },
  'to-named': { path: 'named:inside', type: 'directory', via: 'to-named' },
  'to-named/file': { path: 'named:inside/file', type: 'file' },
  'to-named/a/b': { path: 'named:inside/a/b', type: undefined, missing: ['named:inside/a'] },
  'to-alias': { path: 'dir/file', type: 'file', via: 'to-alias' },
  'to-alias-up': { path: 'dir/file', type: 'file', via: 'to-alias-up' },
};

for (const [path, expected] of Object.entries(followed)) {
  test(`'${path}' leads to '${expected.path ?? path}'`, () => {
    const resolved = world.resolve(path);
    assert.is(resolved.path, expected.path ?? path);
    assert.is(resolved.stat?.type, expected.type);
    assert.is(resolved.via, expected.via);
    assert.equal(resolved.missingParents, expected.missing ?? []);
    const root = resolved.path.startsWith('named:') ? `${world.base}/named` : `${world.base}/store`;
    const rest = resolved.path.replace(/^named:|^\.\//, '');
    assert.is(resolved.absolute, rest === '' ? root : `${root}/${rest}`);
    // What it leads to is real: resolved again, it stays.
    const again = world.resolve(resolved.path);
    assert.is(again.path, resolved.path);
    assert.is(again.via, undefined);
  });
}

// What must never be written through.
const refusals: Readonly<Record<string, string>> = {
  escape: 'ERR_PATH_ESCAPE',
  'escape/secret': 'ERR_PATH_ESCAPE',
  'escape/nothing': 'ERR_PATH_ESCAPE',
  'escape/a/b/c': 'ERR_PATH_ESCAPE',
  'escape-file': 'ERR_PATH_ESCAPE',
  'escape-absolute': 'ERR_PATH_ESCAPE',
  'escape-absolute/secret': 'ERR_PATH_ESCAPE',
  'escape-etc': 'ERR_PATH_ESCAPE',
  'escape-top': 'ERR_PATH_ESCAPE',
  'escape-top/etc/passwd': 'ERR_PATH_ESCAPE',
  'escape-parent': 'ERR_PATH_ESCAPE',
  'escape-parent/outside/secret': 'ERR_PATH_ESCAPE',
  'escape-sibling': 'ERR_PATH_ESCAPE',
  'escape-missing': 'ERR_PATH_ESCAPE',
  'escape-chain': 'ERR_PATH_ESCAPE',
  'escape-chain-2': 'ERR_PATH_ESCAPE',
  'dir/escape-3': 'ERR_PATH_ESCAPE',
  'to-dir/escape-3': 'ERR_PATH_ESCAPE',
  'escape-by-dir': 'ERR_PATH_ESCAPE',
  'escape-and-back': 'ERR_PATH_ESCAPE',
  'escape-nothing-and-back': 'ERR_PATH_ESCAPE',
  'escape-proc': 'ERR_PATH_ESCAPE',
  'dir/up/escape/secret': 'ERR_PATH_ESCAPE',
  log: 'ERR_PATH_RESERVED',
  'log/data.mdb': 'ERR_PATH_RESERVED',
  'log-absolute': 'ERR_PATH_RESERVED',
  'log-absolute/staged/x': 'ERR_PATH_RESERVED',
  'log-up': 'ERR_PATH_RESERVED',
  'log-chain/log': 'ERR_PATH_RESERVED',
  'log-and-back': 'ERR_PATH_RESERVED',
  'to-root/.forewrit/log': 'ERR_PATH_RESERVED',
  'dir/up/.forewrit': 'ERR_PATH_RESERVED',
  'staged/x': 'ERR_PATH_RESERVED',
  'to-named/.forewrit-staged/x': 'ERR_PATH_RESERVED',
  loop: 'ERR_INVALID_PATH',
  'loop/x': 'ERR_INVALID_PATH',
  'loop-1': 'ERR_INVALID_PATH',
  'dir/loop-3': 'ERR_INVALID_PATH',
  'loop-grows': 'ERR_INVALID_PATH',
  'file/x': 'ERR_NOT_DIRECTORY',
  'file/x/y/z': 'ERR_NOT_DIRECTORY',
  'to-file/x': 'ERR_NOT_DIRECTORY',
  'through-file': 'ERR_NOT_DIRECTORY',
  'through-file-up': 'ERR_NOT_DIRECTORY',
  'named:file/x': 'ERR_NOT_DIRECTORY',
  'dangling-up': 'ERR_NOT_FOUND',
};

for (const [path, code] of Object.entries(refusals)) {
  test(`'${path}' is refused with ${code}`, () => {
    const error = assert.throwsWithCode(() => world.resolve(path), code);
    assert.ok(isStoreError(error));
    assert.ok((error.hint ?? '').length > 10);
    assert.is(error.path, path);
  });
}

test('a link at the end stays what it is when it is not to be followed', () => {
  const targets = ['to-file', 'to-dir', 'dangling', 'escape', 'escape-etc', 'loop', 'log', 'dir/up'];
  for (const path of targets) {
    const resolved = world.resolve(path, false);
    assert.is(resolved.path, path);
    assert.is(resolved.stat?.type, 'symlink');
    assert.is(resolved.via, undefined);
    assert.equal(resolved.missingParents, []);
  }
  assert.is(world.resolve('to-dir/up', false).path, 'dir/up');
  assert.throwsWithCode(() => world.resolve('escape/secret', false), 'ERR_PATH_ESCAPE');
  assert.throwsWithCode(() => world.resolve('log/x', false), 'ERR_PATH_RESERVED');
});

test('a store that refuses links follows none, and still sees what they are', () => {
  using strict = makeWorld('refuse');
  for (const path of ['to-file', 'to-dir', 'to-dir/file', 'dangling', 'escape', 'loop', 'to-named/file']) {
    assert.throwsWithCode(() => strict.resolve(path), 'ERR_PATH_ESCAPE');
  }
  assert.is(strict.resolve('to-file', false).stat?.type, 'symlink');
  assert.is(strict.resolve('dir/file').stat?.type, 'file');
  assert.throwsWithCode(() => strict.resolve('to-dir/file', false), 'ERR_PATH_ESCAPE');
});

test('as many links as the limit are followed, and one more is not', () => {
  using own = makeWorld();
  let target = 'file';
  for (let index = 1; index <= symlinksFollowedMax + 1; index++) {
    symlinkSync(target, `${own.base}/store/link-${index}`);
    target = `link-${index}`;
  }
  assert.is(own.resolve(`link-${symlinksFollowedMax}`).path, 'file');
  assert.throwsWithCode(() => own.resolve(`link-${symlinksFollowedMax + 1}`), 'ERR_INVALID_PATH');
});

test('links that point to each other again and again end in a refusal, not in a long wait', () => {
  using own = makeWorld();
  for (let index = 0; index < 30; index++) {
    symlinkSync(`wide-${index + 1}/../wide-${index + 1}`, `${own.base}/store/wide-${index}`);
  }
  symlinkSync('dir', `${own.base}/store/wide-30`);
  assert.throwsWithCode(() => own.resolve('wide-0/file'), 'ERR_INVALID_PATH');
  assert.ok(own.fileSystem.looks.length < 500);
});

test('a directory of the store that is mounted at a second place is recognised', () => {
  using own = makeWorld();
  mkdirSync(`${own.base}/store/mounted`);
  own.fileSystem.mounted.set(`${own.base}/store/mounted`, `${own.base}/store/.forewrit`);
  for (const path of ['mounted', 'mounted/log']) {
    assert.throwsWithCode(() => own.resolve(path), 'ERR_PATH_RESERVED');
  }
  assert.throwsWithCode(() => own.resolver.verifyParent('mounted/x', 'apply'), 'ERR_PATH_RESERVED');
});

test('a root that is gone, or is no directory any more, is said to be', () => {
  using own = makeWorld();
  rmSync(`${own.base}/named`, { recursive: true });
  assert.throwsWithCode(() => own.resolve('named:file'), 'ERR_NOT_FOUND');
  assert.throwsWithCode(() => own.resolver.verifyParent('named:file', 'apply'), 'ERR_NOT_FOUND');
  writeFileSync(`${own.base}/named`, '');
  assert.throwsWithCode(() => own.resolve('named:file'), 'ERR_NOT_DIRECTORY');
});

test('what the system cannot look at is an error with its cause', () => {
  assert.throwsWithCode(() => world.resolve('gone:a'), 'ERR_INVALID_PATH');
  const error = assert.throwsWithCode(() => world.resolve('x'.repeat(300)), 'ERR_INVALID_PATH');
  assert.is((error.cause as NodeJS.ErrnoException).code, 'ENAMETOOLONG');
});

test('files of one directory cost one look at each parent, and one at each file', () => {
  using own = makeWorld();
  const { fileSystem, resolver, base } = own;
  fileSystem.looks.length = 0;
  const names = ['one', 'two', 'three', 'file'];
  for (const name of names) resolver.resolve(`dir/sub/${name}`, { followLast: true, op: 'writeFile' });
  for (const name of names) resolver.verifyParent(`dir/sub/${name}`, 'apply');
  const parents = ['/store', '/store/.forewrit', '/store/dir', '/store/dir/sub'];
  const expected = [...parents, ...names.map((name) => `/store/dir/sub/${name}`)].map((path) => base + path);
  assert.equal(fileSystem.looks.toSorted(), expected.toSorted());
  // The next pass looks at all of them again, but for the store's own directory, which stays the same one.
  resolver.forget();
  fileSystem.looks.length = 0;
  resolver.verifyParent('dir/sub/file', 'apply');
  assert.equal(
    fileSystem.looks.toSorted(),
    ['/store', '/store/dir', '/store/dir/sub'].map((path) => base + path),
  );
});

test('a parent that was looked at for itself is not looked at once more on the way to what is below it', () => {
  using own = makeWorld();
  const { fileSystem, resolver, base } = own;
  fileSystem.looks.length = 0;
  assert.is(resolver.lookAtParent('dir/sub', 'recover')?.type, 'directory');
  assert.is(resolver.lookAtParent('to-dir', 'recover')?.type, 'symlink');
  assert.is(resolver.lookAtParent('nothing', 'recover'), undefined);
  resolver.verifyParent('dir/sub/file', 'recover');
  const expected = ['', '/.forewrit', '/dir', '/dir/sub', '/nothing', '/to-dir'];
  assert.equal(
    fileSystem.looks.toSorted(),
    expected.map((path) => `${base}/store${path}`),
  );
});

test('the last component is looked at again each time, and so is what was missing', () => {
  using own = makeWorld();
  const { resolver, base } = own;
  const type = (path: string): string | undefined =>
    resolver.resolve(path, { followLast: true, op: 'writeFile' }).stat?.type;
  assert.is(type('new/file'), undefined);
  assert.throwsWithCode(() => resolver.verifyParent('new/file', 'apply'), 'ERR_NOT_FOUND');
  mkdirSync(`${base}/store/new`);
  resolver.verifyParent('new/file', 'apply');
  writeFileSync(`${base}/store/new/file`, '');
  assert.is(type('new/file'), 'file');
  rmSync(`${base}/store/new/file`);
  symlinkSync('../dir', `${base}/store/new/file`);
  assert.is(type('new/file'), 'directory');
  rmSync(`${base}/store/new/file`);
  mkdirSync(`${base}/store/new/file`);
  assert.is(resolver.resolve('new/file', { followLast: true, op: 'writeFile' }).path, 'new/file');
  rmSync(`${base}/store/new/file`, { recursive: true });
  assert.is(type('new/file'), undefined);
});

test('a parent that became a link after the plan is refused at apply', () => {
  using own = makeWorld();
  const { resolver, base } = own;
  assert.is(own.resolve('dir/sub/file').path, 'dir/sub/file');
  resolver.verifyParent('dir/sub/file', 'apply');
  rmSync(`${base}/store/dir/sub`, { recursive: true });
  symlinkSync('../../outside', `${base}/store/dir/sub`);
  resolver.forget();
  assert.throwsWithCode(() => resolver.verifyParent('dir/sub/file', 'apply'), 'ERR_PATH_ESCAPE');
  assert.throwsWithCode(() => own.resolve('dir/sub/secret'), 'ERR_PATH_ESCAPE');
});

test('the parents of a path to be renamed onto are real directories, or it is refused', () => {
  for (const path of ['file', 'dir/file', 'dir/sub/x', 'escape', 'loop', 'named:inside/x', 'inner/x', ''])
    verify(path);
  // Even a link that stays inside: the plan has resolved it, so it is new.
  for (const path of ['to-dir/file', 'to-root/dir/x', 'escape/secret', 'dangling/x', 'dir/up/x']) {
    assert.throwsWithCode(() => verify(path), 'ERR_PATH_ESCAPE');
  }
  assert.throwsWithCode(() => verify('file/x'), 'ERR_NOT_DIRECTORY');
  assert.throwsWithCode(() => verify('nothing/x'), 'ERR_NOT_FOUND');
  assert.throwsWithCode(() => verify('nothing/x/y'), 'ERR_NOT_FOUND');
  assert.throwsWithCode(() => verify('.forewrit/x'), 'ERR_PATH_RESERVED');
});

test('a path through a spelling of the root that is a link arrives where the root is', () => {
  const path = parsePath(`${world.base}/alias/to-dir/file`, world.roots, 'readFile', 'posix');
  assert.is(world.resolve(path).path, 'dir/file');
  assert.is(dirname(world.resolve(path).absolute), `${world.base}/store/dir`);
});

test('on Windows links are read as Windows writes them', () => {
  const windows = windowsWorld({
    relative: 'dir\\sub',
    up: 'dir\\..\\dir',
    'out-and-in': '..\\STORE\\dir',
    absolute: 'C:\\Store\\dir',
    'other-case': 'c:/store/dir',
    long: '\\\\?\\C:\\Store\\dir',
    escape: '..\\x',
    'escape-drive': 'D:\\Store\\dir',
    'escape-prefix': 'C:\\Storeroom',
    'escape-share': '\\\\server\\share\\x',
    'current-drive': '\\Store\\dir',
    'current-directory': 'C:dir',
    log: 'dir\\..\\.FOREWRIT\\log',
  });
  const resolve = (path: string): string => windows.resolve(path, { followLast: true, op: 'writeFile' }).path;
  assert.is(resolve('relative'), 'dir/sub');
  for (const path of ['up', 'out-and-in', 'absolute', 'other-case', 'long'])
    assert.is(resolve(path), 'dir', path);
  assert.is(resolve('absolute/new'), 'dir/new');
  const refused = [
    'escape',
    'escape-drive',
    'escape-prefix',
    'escape-share',
    'current-drive',
    'current-directory',
  ];
  for (const path of refused) assert.throwsWithCode(() => resolve(path), 'ERR_PATH_ESCAPE');
  assert.throwsWithCode(() => resolve('log'), 'ERR_PATH_RESERVED');
});

function verify(path: string): void {
  world.resolver.forget();
  world.resolver.verifyParent(path, 'apply');
}

test.run();
