import {
  absolutePath,
  ancestors,
  baseName,
  isBelow,
  isReservedPath,
  joinPath,
  locate,
  parentPath,
  pathNames,
  rebase,
  type Roots,
  splitAbsolute,
} from '#src/path/path.js';
import { assert, suite } from '@forewrit/testkit';

const roots: Roots = {
  root: '/srv/store',
  named: new Map([
    ['cache', '/var/cache'],
    ['inner', '/srv/store/sub/inner'],
  ]),
};

const test = suite('path');

test('the parent of a path is one name shorter, and a root has none', () => {
  const parents: readonly (readonly [string, string | undefined])[] = [
    ['', undefined],
    ['a', ''],
    ['a/b', 'a'],
    ['./x:y', ''],
    ['./x:y/z', './x:y'],
    ['a/x:y', 'a'],
    ['cache:', undefined],
    ['cache:a', 'cache:'],
    ['cache:a/b', 'cache:a'],
    ['cache:a:b', 'cache:'],
  ];
  for (const [path, parent] of parents) {
    assert.is(parentPath(path), parent, path);
    if (parent !== undefined) {
      assert.is(joinPath(parent, baseName(path)), path);
      assert.ok(isBelow(path, parent) && !isBelow(parent, path) && !isBelow(path, path));
    }
  }
});

test('the ancestors of a path are its directories from the nearest to the root', () => {
  assert.equal(ancestors('a/b/c'), ['a/b', 'a', '']);
  assert.equal(ancestors('./x:y/z'), ['./x:y', '']);
  assert.equal(ancestors('cache:a/b'), ['cache:a', 'cache:']);
  assert.equal(ancestors(''), []);
  assert.equal(ancestors('cache:'), []);
});

test('what is below a path begins with it as a whole', () => {
  assert.ok(isBelow('a/b', 'a'));
  assert.ok(isBelow('./x:y', ''));
  assert.ok(isBelow('cache:a', 'cache:'));
  assert.not.ok(isBelow('ab', 'a'));
  assert.not.ok(isBelow('cache:a', ''));
  assert.not.ok(isBelow('cache:', ''));
  assert.not.ok(isBelow('a', 'cache:'));
  assert.not.ok(isBelow('', ''));
});

test('a path moves with the directory that it is below', () => {
  assert.is(rebase('a/b/c', 'a', 'z'), 'z/b/c');
  assert.is(rebase('a', 'a', 'z'), 'z');
  assert.is(rebase('a/b', 'a', ''), 'b');
  assert.is(rebase('a/x:y', 'a', ''), './x:y');
  assert.is(rebase('./x:y/z', './x:y', 'cache:'), 'cache:z');
  assert.is(rebase('./x:y', '', 'cache:'), 'cache:x:y');
  assert.is(rebase('cache:a/b', 'cache:', ''), 'a/b');
  assert.throws(() => rebase('ab', 'a', 'z'), /not below/);
});

test('the names of a path are those below its root', () => {
  assert.equal(pathNames('./x:y/z'), ['x:y', 'z']);
  assert.equal(pathNames('cache:a/b'), ['a', 'b']);
  assert.equal(pathNames('cache:'), []);
  assert.is(baseName('cache:a'), 'a');
  assert.is(baseName('./x:y'), 'x:y');
  assert.is(baseName('cache:'), '');
});

test('a path of a root that the store was opened without has no place', () => {
  assert.throwsWithCode(() => absolutePath('gone:a', roots), 'ERR_INVALID_PATH');
});

test('an absolute path is found below the main root first, then below the others', () => {
  assert.is(place('/srv/store/sub/inner/a'), 'sub/inner/a');
  assert.is(place('/var/cache/a'), 'cache:a');
  assert.is(place('/var'), undefined);
  assert.is(splitAbsolute('a/b', 'posix'), undefined);
});

test("the store's own places are reserved in every spelling, and only those", () => {
  assert.ok(
    isReservedPath('.forewrit') &&
      isReservedPath('cache:.forewrit/x') &&
      isReservedPath('a/.forewrit-staged'),
  );
  assert.not.ok(isReservedPath('') || isReservedPath('a/.forewrit') || isReservedPath('./x:.forewrit'));
});

function place(path: string): string | undefined {
  return locate(splitAbsolute(path, 'posix') ?? [], roots, 'posix');
}

test.run();
