import { rmSync } from 'node:fs';
import { assert, suite } from '@forewrit/testkit';
import { inspect, openStore } from '#src/index.js';
import { type JsonError, runCommand, runJson } from './command-run.js';
import { StoreWorld } from './store-world.js';

const test = suite('stores in unusual states');

test('a store whose log is gone is told from a directory without a store', async () => {
  await using world = new StoreWorld();
  await world.save({ 'a.txt': 'one' });
  rmSync(`${world.root}/.forewrit/log`, { recursive: true });
  const { problems, clean } = await inspect(world.root);
  assert.equal([problems.map(({ code }) => code), clean], [['ERR_STORE_MISMATCH'], false]);
  await assert.rejectsWithCode(openStore(world.root), 'ERR_STORE_MISMATCH');
  await assert.rejectsWithCode(openStore(world.root, { readOnly: true }), 'ERR_STORE_MISMATCH');
  assert.is((await runCommand(['status', '--root', world.root])).exitCode, 1);
  const recovered = await runJson<JsonError>(['recover', '--root', world.root]);
  assert.equal([recovered.exitCode, recovered.json.error.code], [1, 'ERR_STORE_MISMATCH']);

  // Without the rest of it there is no store.
  rmSync(`${world.root}/.forewrit`, { recursive: true });
  await assert.rejectsWithCode(inspect(world.root), 'ERR_NOT_FOUND');
  assert.is((await runCommand(['status', '--root', world.root])).exitCode, 10);
});

test('a dry run says of content that can be continued that it waits', async () => {
  await using world = new StoreWorld();
  const store = await openStore(world.root);
  const staged = await store.stage('upload-1');
  await staged.append('seven b');
  await staged.close();
  await store.close();
  const { exitCode, stdout } = await runCommand(['recover', '--dry-run', '--root', world.root]);
  assert.is(exitCode, 0);
  assert.match(stdout, /^waits to be continued: upload-1, 7 bytes durable$/m);
  assert.not.match(stdout, /swept/);
  await runCommand(['recover', '--root', world.root]);
  await using again = await openStore(world.root);
  const continued = await again.stage('upload-1');
  assert.is(continued.offset, 7);
  await continued.discard();
});

test.run();
