import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { assert, suite } from '@forewrit/testkit';
import { runProgram } from '#src/program.js';
import { openTerminal, type Terminal } from '#src/terminal.js';
import { type JsonError, runCommand, runJson } from './command-run.js';
import { StoreWorld } from './store-world.js';

const test = suite('the verbs of the command', { timeoutMs: 60_000 });

interface Status {
  readonly root: string;
  readonly storeId: string;
  readonly revision: number;
  readonly clean: boolean;
  readonly owners: readonly { readonly id: string; readonly pid: number; readonly alive: boolean }[];
  readonly transactions: readonly {
    readonly id: string;
    readonly state: string;
    readonly owner: string;
    readonly ownerAlive: boolean;
    readonly paths: readonly { readonly path: string }[];
  }[];
  readonly checkpointLag: { readonly transactions: number; readonly ageMs: number | null };
  readonly leftovers: readonly string[];
  readonly conflicts: readonly string[];
  readonly log: { readonly usedBytes: number; readonly fileBytes: number };
  readonly problems: readonly { readonly code: string }[];
}

interface Dump {
  readonly records: readonly {
    readonly transaction: string;
    readonly kind: string;
    readonly path?: string;
  }[];
}

interface DryRun {
  readonly clean: boolean;
  readonly transactions: readonly {
    readonly id: string;
    readonly paths: readonly { readonly path: string; readonly verdict: string; readonly row: number }[];
  }[];
  readonly leftovers: readonly string[];
}

interface Recovery {
  readonly redone: readonly string[];
  readonly undone: readonly string[];
  readonly blocked: readonly string[];
  readonly conflicts: readonly { readonly path: string; readonly savedAs: string }[];
  readonly sweptFiles: number;
}

const at = (world: StoreWorld): string[] => ['--root', world.root];
const status = (world: StoreWorld) => runJson<Status>(['status', ...at(world)]);

test('a store that was closed in an orderly way is clean', async () => {
  await using world = new StoreWorld();
  await world.save({ 'a.txt': 'one', 'd/b.txt': 'two' });
  const { exitCode, json } = await status(world);
  assert.is(exitCode, 0);
  assert.is(json.root, world.root);
  assert.match(json.storeId, /^[0-9a-f]{32}$/);
  assert.is(json.revision, 1);
  assert.is(json.clean, true);
  assert.equal(
    [json.owners, json.transactions, json.leftovers, json.conflicts, json.problems],
    [[], [], [], [], []],
  );
  assert.equal(json.checkpointLag, { transactions: 0, ageMs: null });
  assert.ok(json.log.usedBytes > 0 && json.log.usedBytes <= json.log.fileBytes);

  const text = await runCommand(['status', ...at(world)]);
  assert.is(text.exitCode, 0);
  assert.match(text.stdout, /\nclean\n$/);
  assert.equal(await runJson(['dump', ...at(world)]), { exitCode: 0, json: { records: [], problems: [] } });
  const dryRun = await runJson<DryRun>(['recover', '--dry-run', ...at(world)]);
  assert.is(dryRun.exitCode, 0);
  assert.is(dryRun.json.clean, true);
  const recovered = await runCommand(['recover', ...at(world)]);
  assert.equal(recovered, { exitCode: 0, stdout: 'nothing to recover\n', stderr: '' });
});

test('an open store is looked at without disturbing it', async () => {
  await using world = new StoreWorld();
  const child = await world.keepOpen({ 'a.txt': 'one', 'd/b.txt': 'two' });
  const { exitCode, json } = await status(world);
  assert.is(exitCode, 0);
  assert.equal(
    json.owners.map(({ id, pid, alive }) => ({ id, pid, alive })),
    [{ id: '1', pid: child.pid, alive: true }],
  );
  assert.equal(
    json.transactions.map(({ id, state, owner, ownerAlive }) => ({ id, state, owner, ownerAlive })),
    [{ id: '1-1', state: 'applied', owner: '1', ownerAlive: true }],
  );
  assert.is(json.checkpointLag.transactions, 1);
  assert.ok(json.checkpointLag.ageMs !== null && json.checkpointLag.ageMs >= 0);

  const { json: dump } = await runJson<Dump>(['dump', ...at(world)]);
  const kinds = dump.records.map(({ kind }) => kind);
  assert.is(kinds[0], 'begin');
  assert.equal(kinds.slice(-2), ['commit', 'applied']);
  const paths = dump.records.flatMap(({ kind, path }) => (kind === 'rename' ? [path] : []));
  assert.equal(paths, ['d', 'a.txt', 'd/b.txt']);
  const limited = await runJson<Dump>(['dump', '--limit', '2', ...at(world)]);
  assert.equal(limited.json.records, dump.records.slice(-2));
  const lines = await runCommand(['dump', ...at(world)]);
  assert.is(lines.stdout.trimEnd().split('\n').length, dump.records.length);
  const stats = await runJson<{ stats: Record<string, number> }>(['dump', '--stats', ...at(world)]);
  assert.is(stats.json.stats['records'], dump.records.length);
  assert.is(stats.json.stats['contentBytes'], 6);
  assert.match((await runCommand(['dump', '--stats', ...at(world)])).stdout, /^records +12$/m);

  // Recovery leaves the living alone, whatever is asked of it.
  assert.is((await runCommand(['recover', ...at(world)])).exitCode, 0);
  const repaired = await runJson<JsonError>(['repair', '1-1', '--back', ...at(world)]);
  assert.is(repaired.exitCode, 11);
  assert.is(repaired.json.error.code, 'ERR_STORE_LOCKED');
  assert.equal((await status(world)).json.owners, json.owners);
  assert.is(child.hasEnded, false);
});

test('a committed save of a process that died is carried out', async () => {
  await using world = new StoreWorld();
  await world.save({ 'a.txt': 'old', 'd/b.txt': 'old' });
  await world.die({
    saves: [{ 'a.txt': 'new', 'd/b.txt': 'new', 'c.txt': 'new' }],
    failpoint: { name: 'apply.target', action: 'kill', skip: 1 },
  });
  const before = await status(world);
  assert.is(before.exitCode, 1);
  assert.equal(
    before.json.transactions.map(({ id, state, ownerAlive }) => ({ id, state, ownerAlive })),
    [{ id: '2-1', state: 'committed', ownerAlive: false }],
  );
  const dryRun = await runJson<DryRun>(['recover', '--dry-run', ...at(world)]);
  assert.is(dryRun.exitCode, 1);
  assert.equal(
    dryRun.json.transactions[0]!.paths.map(({ path, verdict, row }) => [path, verdict, row]),
    [
      ['a.txt', 'keep', 6],
      ['c.txt', 'redo', 8],
      ['d/b.txt', 'redo', 8],
    ],
  );
  assert.match(
    (await runCommand(['recover', '--dry-run', ...at(world)])).stdout,
    /^c\.txt +write +redo +8 /m,
  );
  assert.equal([world.read('a.txt'), world.read('d/b.txt')], ['new', 'old'], 'a dry run changes nothing');

  const { exitCode, json } = await runJson<Recovery>(['recover', ...at(world)]);
  assert.is(exitCode, 0);
  assert.equal(json.redone, ['2-1']);
  assert.equal([world.read('a.txt'), world.read('c.txt'), world.read('d/b.txt')], ['new', 'new', 'new']);
  const after = await status(world);
  assert.is(after.exitCode, 0);
  assert.equal([world.names('staged'), world.names('before')], [[], []]);
  assert.is((await runCommand(['recover', ...at(world)])).stdout, 'nothing to recover\n');
});

test('what a process had staged and not committed when it died is swept', async () => {
  await using world = new StoreWorld();
  await world.save({ 'a.txt': 'old' });
  await world.die({
    saves: [{ 'a.txt': 'new', 'c.txt': 'new' }],
    failpoint: { name: 'stage.after', action: 'kill' },
  });
  const before = await status(world);
  assert.is(before.exitCode, 1);
  assert.ok(before.json.leftovers.length > 0);
  const dryRun = await runJson<DryRun>(['recover', '--dry-run', ...at(world)]);
  assert.is(dryRun.exitCode, 1);
  assert.equal(dryRun.json.leftovers, before.json.leftovers);
  const { exitCode, stdout, stderr } = await runCommand(['recover', ...at(world)]);
  assert.is(exitCode, 0);
  assert.is(stderr, '');
  assert.match(stdout, /not been committed: 2-1\n/);
  assert.equal([world.read('a.txt'), world.read('c.txt')], ['old', undefined]);
  assert.is((await status(world)).exitCode, 0);
});

test('an edit that recovery would not destroy is a finding', async () => {
  await using world = new StoreWorld();
  await world.save({ 'a.txt': 'old' });
  await world.die({ saves: [{ 'a.txt': 'new' }], failpoint: { name: 'apply.target', action: 'kill' } });
  writeFileSync(`${world.root}/a.txt`, 'edited by hand');
  const { exitCode, json } = await runJson<Recovery>(['recover', ...at(world)]);
  assert.is(exitCode, 1);
  assert.is(world.read('a.txt'), 'edited by hand');
  assert.equal(
    json.conflicts.map(({ path }) => path),
    ['a.txt'],
  );
  assert.is(readFileSync(json.conflicts[0]!.savedAs, 'utf8'), 'new');
  const { exitCode: later, json: found } = await status(world);
  assert.is(later, 0);
  assert.is(found.conflicts.length, 1);
});

/** One target applied, one whose content has rotted, one to be done. */
async function blockedWorld(): Promise<StoreWorld> {
  const world = new StoreWorld();
  await world.save({ 'a.txt': 'old', 'd/b.txt': 'old' });
  await world.block({ 'a.txt': 'new', 'c.txt': 'new', 'd/b.txt': 'new' });
  return world;
}

test('a transaction that cannot be carried out is blocked, and shown', async () => {
  await using world = await blockedWorld();
  const { exitCode, json } = await runJson<Recovery>(['recover', ...at(world)]);
  assert.is(exitCode, 1);
  assert.equal(json.blocked, ['2-1']);
  assert.match((await runCommand(['recover', ...at(world)])).stdout, /run: forewrit repair 2-1 --forward/);
  const found = await status(world);
  assert.is(found.exitCode, 1);
  assert.is(found.json.transactions[0]?.state, 'blocked');
  assert.match((await runCommand(['status', ...at(world)])).stdout, /run: forewrit repair 2-1 --forward/);
});

const repairs = [
  { direction: 'forward', files: ['new', undefined, 'new'], aside: ['c.txt: rotten'] },
  { direction: 'back', files: ['old', undefined, 'old'], aside: ['a.txt: new'] },
  {
    direction: 'quarantine',
    files: ['new', undefined, 'old'],
    aside: ['a.txt: old', 'c.txt: rotten', 'd/b.txt: new'],
  },
] as const;
for (const { direction, files, aside } of repairs) {
  test(`repair --${direction} settles a blocked transaction`, async () => {
    await using world = await blockedWorld();
    await runCommand(['recover', ...at(world)]);
    const { exitCode, json } = await runJson<{
      direction: string;
      paths: readonly { path: string; did: string }[];
      conflicts: readonly { path: string; savedAs: string }[];
    }>(['repair', '2-1', `--${direction}`, ...at(world)]);
    assert.is(exitCode, 0);
    assert.is(json.direction, direction);
    assert.equal(json.paths.map(({ path }) => path).sort(), ['a.txt', 'c.txt', 'd/b.txt']);
    assert.equal(
      ['a.txt', 'c.txt', 'd/b.txt'].map((path) => world.read(path)),
      files,
    );
    const kept = json.conflicts.map(({ path, savedAs }) => `${path}: ${readFileSync(savedAs, 'utf8')}`);
    assert.equal(kept.sort(), aside);
    assert.is((await status(world)).exitCode, 0);
    // The store is usable again.
    await world.save({ 'c.txt': 'later' });
    assert.is(world.read('c.txt'), 'later');
    const again = await runJson<JsonError>(['repair', '2-1', `--${direction}`, ...at(world)]);
    assert.is(again.exitCode, 1);
    assert.is(again.json.error.code, 'ERR_NOT_FOUND');
  });
}

test('what is left, kept aside and settled is told in words as well', async () => {
  await using world = await blockedWorld();
  const dryRun = await runCommand(['recover', '--dry-run', ...at(world)]);
  assert.match(dryRun.stdout, /^c\.txt +write +block/m);
  const recovered = await runCommand(['recover', ...at(world)]);
  assert.is(recovered.exitCode, 1);
  const repaired = await runCommand(['repair', '2-1', '--quarantine', ...at(world)]);
  assert.is(repaired.exitCode, 0);
  assert.match(repaired.stdout, /^kept: a\.txt$/m);
  assert.match(repaired.stdout, /^kept aside: c\.txt is now /m);
  assert.match(repaired.stdout, /\ntransaction 2-1 is settled\n$/);
  assert.match((await runCommand(['status', ...at(world)])).stdout, /^kept aside for you to look at:\n {2}/m);
  await world.die({ saves: [{ 'n.txt': 'x' }], failpoint: { name: 'stage.after', action: 'kill' } });
  assert.match((await runCommand(['status', ...at(world)])).stdout, /^1 staged name of nobody$/m);
  assert.match((await runCommand(['recover', '--dry-run', ...at(world)])).stdout, /would be swept$/m);
});

test('a store in use is shown in words with its owner and what waits for its checkpoint', async () => {
  await using world = new StoreWorld();
  const child = await world.keepOpen({ 'a.txt': 'one' });
  const { stdout } = await runCommand(['status', ...at(world)]);
  assert.match(stdout, String(child.pid));
  assert.match(stdout, 'alive');
  assert.match(stdout, /, the oldest for /);
  await child.kill();
  assert.match((await runCommand(['status', ...at(world)])).stdout, 'dead');
});

test('an owner that a person declares dead is recovered', async () => {
  await using world = new StoreWorld();
  const child = await world.keepOpen({ 'a.txt': 'one' });
  const unknown = await runJson<JsonError>(['recover', '--owner-dead', 'zz', ...at(world)]);
  assert.is(unknown.exitCode, 1);
  assert.is(unknown.json.error.code, 'ERR_NOT_FOUND');
  const dryRun = await runJson<DryRun>(['recover', '--dry-run', '--owner-dead', '1', ...at(world)]);
  assert.is(dryRun.exitCode, 1);
  assert.equal(
    dryRun.json.transactions.map(({ id }) => id),
    ['1-1'],
  );
  assert.is((await status(world)).json.owners.length, 1);
  await child.stop();
  assert.is((await runCommand(['recover', '--owner-dead', '1', '--yes', ...at(world)])).exitCode, 0);
  assert.equal((await status(world)).json.owners, []);
});

test('against the proof that a process is alive a person has to say yes', async () => {
  await using world = new StoreWorld();
  const child = await world.keepOpen({ 'a.txt': 'one' });
  const declare = ['recover', '--owner-dead', '1', ...at(world)];
  const proof = `Owner 1 is proven alive: process ${child.pid} answers at its socket, and may be writing now`;
  const refused = await runCommand(declare);
  assert.equal(refused, {
    exitCode: 2,
    stdout: '',
    stderr: `error: ${proof}; nobody can be asked here; say --yes\n`,
  });
  const asJson = await runJson<JsonError>(declare);
  assert.is(asJson.exitCode, 2);
  assert.equal(
    [asJson.json.error.code, asJson.json.error.message.startsWith(proof)],
    ['ERR_INVALID_ARGUMENT', true],
  );

  const asked: string[] = [];
  const answering = (answer: boolean): Promise<number> => {
    const stream = { write: () => true };
    const terminal: Terminal = {
      ...openTerminal({ stdout: stream, stderr: stream, env: {} }),
      confirm: async (question) => {
        asked.push(question);
        return answer;
      },
    };
    return runProgram({ args: declare, terminal, signal: new AbortController().signal });
  };
  assert.is(await answering(false), 1);
  assert.equal(
    (await status(world)).json.owners.map(({ id, alive }) => ({ id, alive })),
    [{ id: '1', alive: true }],
    'nothing was changed',
  );
  assert.is(await answering(true), 0);
  assert.equal(asked, Array(2).fill(`${proof}. Take it for dead, and finish or sweep what it has begun?`));
  assert.equal((await status(world)).json.owners, []);
});

const whyNotLinux =
  process.platform === 'linux' ? undefined : 'needs /proc, which tells when a process started';
test.skipIf(whyNotLinux, 'a process without a socket is proven alive by itself', async () => {
  await using world = new StoreWorld();
  const child = await world.keepOpen({ 'a.txt': 'one' });
  unlinkSync(`${world.root}/.forewrit/log/${world.witnesses()[0]}`);
  const refused = await runCommand(['recover', '--owner-dead', '1', ...at(world)]);
  assert.is(refused.exitCode, 2);
  assert.match(refused.stderr, `process ${child.pid} is there, the same that opened the store`);
});

test('whom nothing proves alive may be declared dead without a question', async () => {
  await using world = new StoreWorld();
  const child = await world.keepOpen({ 'a.txt': 'one' });
  await child.kill();
  assert.is((await runCommand(['recover', '--owner-dead', '1', ...at(world)])).exitCode, 0);
  assert.equal((await status(world)).json.owners, []);
});

test('a damaged log is reported, and nothing is done', async () => {
  await using world = new StoreWorld();
  await world.save({ 'a.txt': 'one' });
  writeFileSync(`${world.root}/.forewrit/log/data.mdb`, 'not a log');
  const found = await status(world);
  assert.is(found.exitCode, 1);
  assert.is(found.json.problems[0]?.code, 'ERR_LOG_CORRUPT');
  assert.match((await runCommand(['status', ...at(world)])).stdout, /^ERR_LOG_CORRUPT: /m);
  for (const args of [['recover'], ['repair', '1-1', '--back']]) {
    const { exitCode, json } = await runJson<JsonError>([...args, ...at(world)]);
    assert.is(exitCode, 1);
    assert.is(json.error.code, 'ERR_LOG_CORRUPT');
  }
  assert.is((await runCommand(['recover', '--dry-run', ...at(world)])).exitCode, 1);
  assert.is(world.read('a.txt'), 'one');
});

test('what is logged from now on is shown as it comes, each record once', async () => {
  await using world = new StoreWorld();
  await world.save({ 'a.txt': 'old' });
  await world.die({ saves: [{ 'a.txt': 'new' }], failpoint: { name: 'log.after', action: 'kill' } });
  const { stdout: before } = await runCommand(['dump', ...at(world)]);
  let seen = '';
  let recovering: Promise<unknown> | undefined;
  const { exitCode, stdout } = await runCommand(['dump', '--follow', ...at(world)], {
    onOutput: (text) => {
      seen += text;
      if (seen.length < before.length) return;
      // Another process saves, and stays.
      recovering ??= world.keepOpen({ 'b.txt': 'more' });
    },
    signal: {
      name: 'SIGINT',
      when: () => /rename .*path=b\.txt/.test(seen) && /^\S+ +commit .*targets=1/m.test(seen),
    },
  });
  assert.is(exitCode, 130);
  assert.ok(stdout.startsWith(before));
  const lines = stdout.trimEnd().split('\n');
  assert.is(new Set(lines).size, lines.length);
  await recovering;
  const limited = await runCommand(['dump', '--follow', '--limit', '1', ...at(world)], {
    signal: { name: 'SIGINT', when: () => limitedSeen !== '' },
    onOutput: (text) => {
      limitedSeen += text;
    },
  });
  assert.is(limited.stdout.trimEnd().split('\n').length, 1);
});

let limitedSeen = '';

test('what a person has to say yes to is wrong usage where nobody can be asked', async () => {
  await using world = new StoreWorld();
  await world.save({ 'a.txt': 'one' });
  for (const args of [
    ['accept', 'a.txt'],
    ['recover', '--reset-log'],
    ['recover', '--discard', 'x'],
  ]) {
    const { exitCode, stderr, stdout } = await runCommand([...args, ...at(world)]);
    assert.is(exitCode, 2);
    assert.is(stdout, '');
    assert.match(stderr, '--yes');
  }
  const missing = await runJson<JsonError>(['recover', '--discard', 'x', '--yes', ...at(world)]);
  assert.equal([missing.exitCode, missing.json.error.code], [1, 'ERR_NOT_FOUND']);
  const unknown = await runJson<JsonError>(['accept', 'x', '--yes', ...at(world)]);
  assert.equal([unknown.exitCode, unknown.json.error.code], [1, 'ERR_NOT_FOUND']);
});

test('docs/command.md has the keys of every JSON document', async () => {
  const page = readFileSync(new URL('../../../docs/command.md', import.meta.url), 'utf8');
  const documented = (verb: string): string[] => {
    const line = page.split('\n').find((each) => each.startsWith(`| \`${verb}\` | `));
    assert.ok(line !== undefined, verb);
    return [...line.slice(verb.length + 6).matchAll(/`(\w+)`/g)].map((match) => match[1]!);
  };
  await using world = await blockedWorld();
  const verbs: readonly (readonly string[])[] = [
    ['status'],
    ['recover', '--dry-run'],
    ['recover'],
    ['dump'],
    ['dump', '--stats'],
    ['repair', '2-1', '--back'],
    ['check'],
    ['recover', '--reset-log', '--yes'],
    ['accept', 'a.txt', '--yes'],
    ['completion', 'bash'],
    ['demo', '--kills', '1'],
  ];
  for (const args of verbs) {
    const { json } = await runJson<object>([...args, ...at(world)]);
    const verb = args.filter((arg) => !/^(?:--(?:back|kills|yes)|\d+|2-1|a\.txt|bash)$/.test(arg)).join(' ');
    assert.equal(Object.keys(json), documented(verb), verb);
  }
});

test('NO_COLOR is honoured, FORCE_COLOR too', async () => {
  await using world = await blockedWorld();
  const [plain, coloured, piped] = await Promise.all([
    runCommand(['status', ...at(world)], { env: { NO_COLOR: '1', FORCE_COLOR: '1' } }),
    runCommand(['status', ...at(world)], { env: { FORCE_COLOR: '1' } }),
    runCommand(['status', ...at(world)], { env: { CI: 'true' } }),
  ]);
  assert.ok(!plain.stdout.includes('\u001B'));
  assert.ok(!piped.stdout.includes('\u001B'));
  assert.ok(coloured.stdout.includes('\u001B'));
  assert.is(stripped(coloured.stdout), plain.stdout);
});

function stripped(text: string): string {
  // oxlint-disable-next-line no-control-regex -- colours are what is looked for
  return text.replaceAll(/\u001B\[\d+m/g, '');
}

test.run();
