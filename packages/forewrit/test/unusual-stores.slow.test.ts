import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
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

test('of a log that cannot be read, what nobody can know is unknown, and a socket that answers is somebody', async () => {
  await using world = new StoreWorld();
  const child = await world.keepOpen({ 'a.txt': 'one' });
  // It would meet the damage, and end; its socket answers all the same.
  await child.stop();
  const [socket] = world.witnesses();
  const log = openSync(`${world.root}/.forewrit/log/data.mdb`, 'r+');
  writeSync(log, Buffer.alloc(8192, 'rubbish '), 0, 8192, 0);
  closeSync(log);
  const at = ['--root', world.root];
  const text = (args: readonly string[]) => runCommand([...args, ...at]);
  const status = () => runJson<Readonly<Record<string, unknown>>>(['status', ...at]);
  const [said, { json }, dumped, stats, dumpJson, statsJson] = await Promise.all([
    text(['status']),
    status(),
    text(['dump']),
    text(['dump', '--stats']),
    runJson<{ readonly records: unknown }>(['dump', ...at]),
    runJson<{ readonly stats: unknown }>(['dump', '--stats', ...at]),
  ]);
  assert.match(said.stdout, `somebody has it open, as ${socket} in .forewrit/log answers`);
  assert.match(said.stdout, 'revision unknown, format unknown\n');
  assert.not.match(said.stdout, /nobody|0 applied/);
  const unknown = [
    'revision',
    'owners',
    'transactions',
    'checkpointLag',
    'leftovers',
    'conflicts',
    'history',
    'log',
  ];
  for (const key of unknown) assert.is(json[key], null, key);
  assert.equal(json['answering'], [socket]);
  for (const { exitCode, stdout } of [dumped, stats]) {
    assert.is(exitCode, 1);
    assert.match(stdout, /^not known what the log holds$/m);
    assert.not.match(stdout, /no records|0 B/);
  }
  assert.equal([dumpJson.json.records, statsJson.json.stats], [null, null]);
  const found = await inspect(world.root);
  assert.equal([found.revision, found.ownersKnown, found.answering], [undefined, false, [socket]]);

  // A dead one proves nothing: others may have it open that have no socket.
  await child.kill();
  const after = await text(['status']);
  assert.match(after.stdout, /^not known who has it open/m);
  assert.equal((await status()).json['answering'], []);
  assert.is((await status()).json['owners'], null);
});

test.run();
