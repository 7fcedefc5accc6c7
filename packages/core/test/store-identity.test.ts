import { readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { storeLayout } from '#src/files/volume.js';
import { bindTree } from '#src/store/store-identity.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';

const test = suite('the id of a store');

/** Somebody sweeps what is being written, after another process has written `id`, or nobody has. */
class SweptFileSystem extends NodeFileSystem {
  readonly #id: string | undefined;

  constructor(id: string | undefined) {
    super();
    this.#id = id;
  }

  override rename(from: string, to: string): void {
    unlinkSync(from);
    if (this.#id !== undefined) writeFileSync(to, this.#id);
    super.rename(from, to);
  }
}

test('a first open whose copy was swept goes on with the one that another has written', () => {
  using directory = temporaryDirectory('identity');
  const layout = {
    ...storeLayout(directory.path),
    directory: directory.path,
    identity: `${directory.path}/id`,
  };
  bindTree(new SweptFileSystem('abc\n'), layout, 'abc', { readOnly: false, nonce: '01234567' });
  assert.equal(readdirSync(directory.path), ['id']);
  assert.is(readFileSync(layout.identity, 'utf8'), 'abc\n');
});

test('one whose copy is gone, and no other is there, fails', () => {
  using directory = temporaryDirectory('identity');
  const layout = {
    ...storeLayout(directory.path),
    directory: directory.path,
    identity: `${directory.path}/id`,
  };
  assert.throwsWithCode(
    () => bindTree(new SweptFileSystem(undefined), layout, 'abc', { readOnly: false, nonce: '01234567' }),
    'ENOENT',
  );
});

test.run();
