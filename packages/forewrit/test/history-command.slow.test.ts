/** `forewrit history` and `forewrit undo`. */

import { PassThrough } from 'node:stream';
import { Command } from 'commander';
import { assert, suite } from '@forewrit/testkit';
import { undo } from '#src/commands/undo.js';
import { openStore } from '#src/index.js';
import { openTerminal, type Terminal } from '#src/terminal.js';
import { type JsonError, runCommand, runJson } from './command-run.js';
import { StoreWorld } from './store-world.js';

const test = suite('history and undo', { timeoutMs: 60_000 });

interface Listed {
  readonly transactions: readonly {
    readonly transaction: string;
    readonly revision: number;
    readonly paths: readonly { readonly path: string; readonly did: string }[];
    readonly undoable: boolean;
    readonly obstacle: { readonly code: string; readonly path: string } | null;
  }[];
  readonly more: boolean;
}

interface Undone {
  readonly transaction: string;
  readonly by: string;
  readonly paths: readonly string[];
}

const at = (world: StoreWorld): string[] => ['--root', world.root];
const list = (world: StoreWorld, ...more: string[]) => runJson<Listed>(['history', ...more, ...at(world)]);

/** `a` written three times, `d/b` once. */
async function filled(): Promise<StoreWorld> {
  const world = new StoreWorld();
  const store = await openStore(world.root, { history: {} });
  await store.writeFile('a', 'one');
  await store.writeFiles({ a: 'two', 'd/b': 'b' });
  await store.writeFile('a', 'three');
  await store.close();
  return world;
}

test('history lists the newest first, all of it or what changed a path', async () => {
  await using world = await filled();
  const { exitCode, json } = await list(world);
  assert.is(exitCode, 0);
  assert.equal(
    json.transactions.map(({ revision, undoable }) => [revision, undoable]),
    [
      [3, true],
      [2, false],
      [1, false],
    ],
  );
  assert.equal(json.transactions[1]?.obstacle?.code, 'ERR_CONFLICT');
  assert.is(json.more, false);
  const below = (await list(world, 'd')).json;
  assert.equal(
    below.transactions.map(({ revision }) => revision),
    [2],
  );
  const some = (await list(world, '--limit', '2')).json;
  assert.equal([some.transactions.length, some.more], [2, true]);
  const { stdout } = await runCommand(['history', ...at(world)]);
  assert.match(stdout, /written a \(3 B → 5 B\)\n {2}can be undone\n/);
  assert.match(stdout, /cannot be undone: 'a' has changed since\n/);
  const status = await runCommand(['status', ...at(world)]);
  assert.match(status.stdout, /3 transactions in history, 6 B kept for undo\n/);
});

test('undo puts back what was there, and can be undone itself', async () => {
  await using world = await filled();
  const [newest] = (await list(world)).json.transactions;
  const { exitCode, json } = await runJson<Undone>(['undo', newest!.transaction, '--yes', ...at(world)]);
  assert.is(exitCode, 0);
  assert.equal(json.paths, ['a']);
  assert.is(world.read('a'), 'two');
  const again = await runCommand(['undo', json.by, '--yes', ...at(world)]);
  assert.is(again.exitCode, 0);
  assert.match(again.stdout, /^1 path as before; to take that back: forewrit undo /);
  assert.is(world.read('a'), 'three');
});

test('a transaction over entries alone is listed, and undone', async () => {
  await using world = await filled();
  const store = await openStore(world.root, { history: {} });
  const { transaction } = await store.collection('numbers').put('one', 1);
  await store.close();
  const { stdout } = await runCommand(['history', ...at(world)]);
  assert.match(stdout, /put numbers\/one\n {2}can be undone\n/);
  const undone = await runCommand(['undo', transaction, '--yes', ...at(world)]);
  assert.is(undone.exitCode, 0);
  assert.match(undone.stdout, /^its entries are as before; to take that back: forewrit undo /);
  const again = await openStore(world.root);
  assert.is(await again.collection('numbers').get('one'), undefined);
  await again.close();
});

test('undo refuses what has changed since, what is not there, and to go on without an answer', async () => {
  await using world = await filled();
  const { transactions } = (await list(world)).json;
  const older = await runJson<{ readonly error: { readonly code: string; readonly path?: string } }>([
    'undo',
    transactions[1]!.transaction,
    '--yes',
    ...at(world),
  ]);
  assert.equal([older.exitCode, older.json.error.code, older.json.error.path], [1, 'ERR_CONFLICT', 'a']);
  const none = await runJson<JsonError>(['undo', 'zz-1', '--yes', ...at(world)]);
  assert.equal([none.exitCode, none.json.error.code], [1, 'ERR_NOT_FOUND']);
  const nobody = await runCommand(['undo', transactions[0]!.transaction, ...at(world)]);
  assert.is(nobody.exitCode, 2);
  assert.match(nobody.stderr, /--yes/);
  const nowhere = await runCommand(['history', '--root', `${world.root}/nowhere`]);
  assert.is(nowhere.exitCode, 10);
  assert.is(world.read('a'), 'three');
});

test('on a terminal undo shows what it is about, and asks', async () => {
  await using world = await filled();
  const [newest] = (await list(world)).json.transactions;
  const answers = [false, true];
  let shown = '';
  const terminal: Terminal = {
    ...openTerminal({ stdout: new PassThrough(), stderr: new PassThrough(), env: {} }),
    writeError: (text) => {
      shown += text;
    },
    confirm: () => Promise.resolve(answers.shift()),
  };
  const context = { root: world.root, terminal, signal: new AbortController().signal };
  const asked = { yes: false, transaction: newest!.transaction };
  await assert.rejectsWithCode(undo(context, asked, new Command()), 'ERR_ABORTED');
  assert.match(shown, /written a/);
  assert.is(world.read('a'), 'three');
  assert.is((await undo(context, asked, new Command())).exitCode, 0);
  assert.is(world.read('a'), 'two');
  answers.push(true);
  await assert.rejectsWithCode(
    undo(context, { ...asked, transaction: 'zz-1' }, new Command()),
    'ERR_NOT_FOUND',
  );
});

test.run();
