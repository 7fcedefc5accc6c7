import { loadChecksum } from '#src/record/checksum.js';
import {
  entryKey,
  entryLockKey,
  entryRange,
  type Folding,
  isEntryLockKey,
  type KeyRange,
  normalizationMarker,
  ownerRange,
  parseEntryKey,
  parseRevisionKey,
  parseTransactionKey,
  pathKey,
  pathKeyBytesMax,
  prefixRange,
  probeFolding,
  revisionKey,
  subtreeRange,
  transactionKey,
  transactionRange,
} from '#src/record/key.js';
import { parseTransactionId } from '#src/record/record.js';
import { tombstoneRevision } from '#src/record/rows.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { isBelow } from '#src/path/path.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';

const exact: Folding = { caseInsensitive: false, normalizing: false };
const noCase: Folding = { caseInsensitive: true, normalizing: false };
const normal: Folding = { caseInsensitive: false, normalizing: true };
const both: Folding = { caseInsensitive: true, normalizing: true };
const foldings = [exact, noCase, normal, both];
/** The longest key that LMDB takes. */
const lmdbKeyBytesMax = 1978;

const test = suite('key');
test.before(loadChecksum);

test('the key of a path is its UTF-8 behind the name of its root', () => {
  assert.is(textOf(pathKey('a/é', exact)), '/a/é');
  assert.is(textOf(pathKey('', exact)), '/');
  assert.is(textOf(pathKey('./x:y', exact)), '/x:y');
  assert.is(textOf(pathKey('cache:a', exact)), 'cache:/a');
  assert.is(textOf(pathKey('cache:', exact)), 'cache:/');
});

test('two spellings have one key exactly where the file system takes them for one file', () => {
  const spellings: readonly (readonly [string, string, (folding: Folding) => boolean])[] = [
    ['A/b.TXT', 'a/B.txt', (f) => f.caseInsensitive],
    ['caf\u00e9', 'cafe\u0301', (f) => f.normalizing],
    ['CAF\u00c9', 'cafe\u0301', (f) => f.caseInsensitive && f.normalizing],
    ['\u1e9b\u0323', '\u017f\u0323\u0307', (f) => f.normalizing],
    ['ΟΔΟΣ', 'οδος', (f) => f.caseInsensitive],
    ['\uac00', '\u1100\u1161', (f) => f.normalizing],
    ['a', 'b', () => false],
    ['e', '\u00e9', () => false],
    ['cache:a', 'CACHE:a', () => false],
    ['./cache:a', 'cache:a', () => false],
  ];
  for (const [one, other, same] of spellings) {
    for (const folding of foldings) {
      const equal = Buffer.compare(pathKey(one, folding), pathKey(other, folding)) === 0;
      assert.is(equal, same(folding), `${one} and ${other}, ${JSON.stringify(folding)}`);
    }
  }
});

test('a path that is too long has a key of its own, short enough, and always the same', () => {
  const long = 'd/'.repeat(pathKeyBytesMax / 2);
  const paths = [`${long}a`, `${long}b`, `${long}${'c'.repeat(200)}`, `${long}${'c'.repeat(201)}`];
  const keys = paths.map((path) => pathKey(path, exact));
  for (const [index, key] of keys.entries()) {
    assert.is(key.length, pathKeyBytesMax + 9);
    assert.ok(key.length <= lmdbKeyBytesMax);
    assert.equal(key, pathKey(paths[index]!, exact));
  }
  assert.is(new Set(keys.map((key) => Buffer.from(key).toString('hex'))).size, paths.length);
  // The longest that is kept whole, and the first that is not.
  assert.is(pathKey('x'.repeat(pathKeyBytesMax - 1), exact).length, pathKeyBytesMax);
  assert.is(pathKey('x'.repeat(pathKeyBytesMax), exact).length, pathKeyBytesMax + 9);
});

test('the key of a long path can be found again in another process', () => {
  // Frozen: stores hold these keys.
  const key = Buffer.from(pathKey(`a/${'é'.repeat(1000)}`, exact));
  assert.is(key.subarray(pathKeyBytesMax).toString('hex'), 'ff184b775a50098a4f');
});

test('the range of a directory holds the keys of exactly what is below it', () => {
  const deep = Array.from({ length: 18 }, () => 'd'.repeat(99)).join('/');
  const deeper = `${deep}/${'e'.repeat(90)}`;
  const directories = ['', 'a', 'a/b', 'A', './x:y', 'x', 'cache:', 'cache:a', 'caché:', deep, deeper];
  const paths =
    ' |a|a/b|a/b/c|a/b/\u{10ffff}|a\u0001|a-|a0|ab|A/b|\u0001|\u{10ffff}/x|./x:y|./x:y/z|x|x/y|cache'.split(
      '|',
    );
  paths.push('', './cache:a', 'cache:', 'cache:a', 'cache:a/b', 'cache:a0', 'caché:a', 'caché:\u0001');
  paths.push(`${deep}/x`, `${deep}/${'y'.repeat(250)}`, `${deep}x`, deeper, `${deeper}/z`, `${deeper}z`);
  for (const folding of [exact, normal]) {
    for (const directory of directories) {
      for (const path of paths) {
        const inRange = isWithin(pathKey(path, folding), subtreeRange(directory, folding));
        assert.is(inRange, isBelow(path, directory), `${JSON.stringify(path)} below ${directory}`);
      }
    }
  }
  assert.ok(isWithin(pathKey('A/b', noCase), subtreeRange('a', noCase)));
  assert.not.ok(isWithin(pathKey('CACHE:a', noCase), subtreeRange('cache:', noCase)));
});

test('the range of a directory whose key is nearly too long leaves out nothing below it', () => {
  for (let length = pathKeyBytesMax - 12; length < pathKeyBytesMax + 12; length++) {
    const directory = 'd'.repeat(length);
    const range = subtreeRange(directory, exact);
    for (const path of [`${directory}/x`, `${directory}/${'y'.repeat(300)}`, `${directory}/\u{10ffff}`]) {
      assert.ok(isWithin(pathKey(path, exact), range), `${length}`);
    }
    assert.not.ok(isWithin(pathKey('e', exact), range));
    assert.not.ok(isWithin(pathKey('d'.repeat(pathKeyBytesMax - 20), exact), range));
  }
});

test('the key of a record orders by owner, transaction, sequence, and can be read back', () => {
  const positions = [
    [0, 0, 0],
    [0, 0, 1],
    [0, 0, 256],
    [0, 1, 0],
    [1, 0, 0],
    [1, 0xffff_ffff, 0xffff_ffff],
    [0xffff_ffff, 0, 0],
  ] as const;
  const keys = positions.map(([owner, transaction, sequence]) =>
    transactionKey(owner, transaction, sequence),
  );
  assert.equal(
    keys.toSorted((one, other) => Buffer.compare(one, other)),
    keys,
  );
  assert.equal(
    keys.map((key) => parseTransactionKey(key)),
    positions.map(([owner, transaction, sequence]) => ({ owner, transaction, sequence })),
  );
  assert.ok(isWithin(transactionKey(1, 0xffff_ffff, 0xffff_ffff), transactionRange(1, 0xffff_ffff)));
  assert.not.ok(isWithin(transactionKey(2, 0, 0), transactionRange(1, 0xffff_ffff)));
  assert.ok(isWithin(transactionKey(1, 7, 7), ownerRange(1)));
  assert.not.ok(isWithin(transactionKey(2, 0, 0), ownerRange(1)));
  for (const wrong of [-1, 0.5, 2 ** 32, Number.NaN]) {
    assert.throws(() => transactionKey(0, wrong, 0), /32-bit/);
  }
});

test('the key of a revision orders as its number, and can be read back', () => {
  const revisions = [0, 1, 255, 256, 2 ** 32, Number.MAX_SAFE_INTEGER];
  const keys = revisions.map(revisionKey);
  assert.equal(
    keys.toSorted((one, other) => Buffer.compare(one, other)),
    keys,
  );
  assert.equal(keys.map(parseRevisionKey), revisions);
  for (const wrong of [-1, 0.5, 2 ** 53]) assert.throws(() => revisionKey(wrong), /whole number/);
  assert.throws(() => parseRevisionKey(Buffer.alloc(8, 0xff)), /2\^53/);
});

test('the entries of a collection are one range, and none of another collection is in it', () => {
  for (const key of ['', 'k', 'k\0l', '\u{10ffff}']) {
    assert.equal(parseEntryKey(entryKey('tasks', key)), { collection: 'tasks', key });
    assert.ok(isWithin(entryKey('tasks', key), entryRange('tasks')));
    for (const other of ['task', 'tasks2', 'tasks\u0001', 'Tasks']) {
      assert.not.ok(isWithin(entryKey(other, key), entryRange('tasks')));
    }
  }
  assert.ok(isWithin(entryKey('tasks', 'a/b'), entryRange('tasks', 'a/')));
  assert.not.ok(isWithin(entryKey('tasks', 'a'), entryRange('tasks', 'a/')));
  for (const wrong of ['', 'a\0b']) assert.throws(() => entryKey(wrong, 'k'), /collection/);
  assert.throws(() => entryKey('c', 'k'.repeat(2000)), /bytes at most/);
});

test('no lock of an entry is the lock of a path', () => {
  const lock = entryLockKey('cache:', '/a');
  assert.ok(isEntryLockKey(lock) && lock.length <= lmdbKeyBytesMax);
  for (const path of ['', 'a', './x:y', 'cache:', 'cache:a']) {
    assert.not.ok(isEntryLockKey(pathKey(path, exact)));
  }
});

test('a prefix is followed by the first key that does not begin with it', () => {
  assert.equal([...prefixRange(Buffer.of(1, 2)).end], [1, 3]);
  assert.equal([...prefixRange(Buffer.of(1, 0xff, 0xff)).end], [2]);
  assert.throws(() => prefixRange(Buffer.of(0xff)), /0xff/);
});

test('a file system that tells apart case and normal forms is found to', () => {
  using directory = temporaryDirectory('folding');
  const fileSystem = new NodeFileSystem();
  const store = `${directory.path}/.forewrit`;
  fileSystem.makeDirectory(store, 0o700);
  fileSystem.close(fileSystem.create(`${store}/${normalizationMarker}`, 0o600));
  assert.equal(probeFolding(fileSystem, store), exact);
  // Somebody's directory of that name is another one.
  fileSystem.makeDirectory(`${directory.path}/.FOREWRIT`, 0o700);
  assert.equal(probeFolding(fileSystem, store), exact);
});

test('a file system that takes other spellings for one file is found to', () => {
  for (const folding of foldings) {
    const fileSystem = new FoldingFileSystem(folding, [
      '/s/.forewrit',
      `/s/.forewrit/${normalizationMarker}`,
    ]);
    assert.equal(probeFolding(fileSystem, '/s/.forewrit'), folding);
    assert.equal(probeFolding(fileSystem, '/s/.forewrit/'), folding);
  }
  assert.equal(probeFolding(new FoldingFileSystem(both, []), '/s/.forewrit'), exact);
});

/** Finds files as a folding file system would, on one that does not. */
class FoldingFileSystem extends NodeFileSystem {
  readonly #folding: Folding;
  readonly #files: readonly string[];

  constructor(folding: Folding, files: readonly string[]) {
    super();
    this.#folding = folding;
    this.#files = files;
  }

  override lstat(path: string): ReturnType<NodeFileSystem['lstat']> {
    const spelling = (text: string): string => {
      const form = this.#folding.normalizing ? text.normalize('NFD') : text;
      return (this.#folding.caseInsensitive ? form.toLowerCase() : form)
        .replace(/\/+/g, '/')
        .replace(/\/$/, '');
    };
    const index = this.#files.findIndex((file) => spelling(file) === spelling(path));
    const here = super.lstat('/');
    return index === -1 || here === undefined ? undefined : { ...here, ino: BigInt(index) };
  }
}

function isWithin(key: Uint8Array, { start, end }: KeyRange): boolean {
  return Buffer.compare(start, key) <= 0 && Buffer.compare(key, end) < 0;
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString();
}

test('what is no key of its table is refused as damage', () => {
  assert.throwsWithCode(() => parseTransactionKey(new Uint8Array(11)), 'ERR_LOG_CORRUPT');
  assert.throwsWithCode(() => parseEntryKey(Buffer.from('no separator')), 'ERR_LOG_CORRUPT');
  assert.throwsWithCode(() => parseEntryKey(Buffer.from('\0key')), 'ERR_LOG_CORRUPT');
  assert.throwsWithCode(() => tombstoneRevision(Buffer.from('tombstone\0short')), 'ERR_LOG_CORRUPT');
});

test('a transaction is named by what fits its key, and by nothing else', () => {
  assert.equal(parseTransactionId('1-a'), { owner: 1, counter: 10 });
  for (const text of ['', '1', '1-', '-1', '1-2-3', 'A-1', '1-zzzzzzzz', 'zzzzzzz-1', '1-zzzzzzz']) {
    assert.is(parseTransactionId(text), undefined, text);
  }
});

test.run();
