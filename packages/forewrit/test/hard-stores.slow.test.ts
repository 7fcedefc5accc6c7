/** Every verb on stores that it cannot use: each says what it sees, what that means, and the exact command that mends it. */

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { formatRow, metaKeys } from '@forewrit/core';
import { assert, suite } from '@forewrit/testkit';
import { whyNotUnder } from '@forewrit/testkit/mounts';
import { type CommandOptions, runCommand, runJson } from './command-run.js';
import { DamagedStore } from './damaged/damaged-store.js';

const test = suite('verbs on hard stores', { timeoutMs: 120_000 });

const looking = [['status'], ['check'], ['dump'], ['dump', '--stats'], ['recover', '--dry-run']] as const;
const changing = [
  ['dump', '--follow'],
  ['recover'],
  ['recover', '--owner-dead', '1'],
  ['recover', '--discard', 'x', '--yes'],
  ['repair', '1-1', '--back'],
  ['accept', '--yes', 'a.txt'],
  ['tasks', 'list'],
  ['tasks', 'run', 'true'],
] as const;
const verbs: readonly (readonly string[])[] = [...looking, ...changing];

interface Said {
  readonly exitCode: number | null;
  /** On both streams. */
  readonly text: string;
}

async function say(store: DamagedStore, args: readonly string[], options?: CommandOptions): Promise<Said> {
  const { exitCode, stdout, stderr } = await runCommand([...args, '--root', store.root], options);
  return { exitCode, text: stdout + stderr };
}

async function filled(): Promise<DamagedStore> {
  const store = new DamagedStore();
  await store.fill();
  return store;
}

const quoted = (store: DamagedStore): string => `'${store.root.replaceAll("'", String.raw`'\''`)}'`;

/** Below the root: name, inode, size, time. */
function stateOf(store: DamagedStore): string[] {
  return readdirSync(store.root, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.endsWith('lock.mdb'))
    .map((name) => {
      const { ino, size, mtimeNs, mode } = lstatSync(`${store.root}/${name}`, { bigint: true });
      return [name, ino, size, mtimeNs, mode].join(' ');
    })
    .sort();
}

interface Hard {
  readonly name: string;
  readonly make: (store: DamagedStore) => void;
  readonly sees: string;
  readonly means: string;
  readonly mend: (store: DamagedStore) => string;
}

const reset = (store: DamagedStore): string =>
  `mend: forewrit recover --reset-log --yes --root ${quoted(store)}\n`;
const hard: readonly Hard[] = [
  {
    name: 'damaged',
    make: (store) => store.overwrite(store.data, Buffer.alloc(8192), 0),
    sees: 'is damaged: its meta page',
    means: 'The log cannot be trusted',
    mend: reset,
  },
  {
    name: 'half deleted',
    make: (store) => rmSync(store.log, { recursive: true }),
    sees: 'The log of this store is gone',
    means: 'The log is gone and the rest is there',
    mend: reset,
  },
  {
    name: 'from a newer format',
    make: (store) =>
      store.editLog((batch) => {
        const format = formatRow.decode(metaKeys.format, batch.get('meta', metaKeys.format)!);
        batch.put('meta', metaKeys.format, formatRow.encode(metaKeys.format, { ...format, version: 9 }));
      }),
    sees: 'The store has format 9, not 1',
    means: 'Another version of Forewrit wrote this store',
    mend: () => 'mend: npm install --global forewrit@latest\n',
  },
];

for (const { name, make, sees, means, mend } of hard) {
  test(`each verb says what to do with a store that is ${name}, and does nothing`, async () => {
    await using store = await filled();
    make(store);
    const files = stateOf(store).filter((line) => !line.startsWith('.forewrit'));
    const outputs = await Promise.all(verbs.map((args) => say(store, args)));
    for (const [index, { exitCode, text }] of outputs.entries()) {
      const verb = verbs[index]!.join(' ');
      assert.is(exitCode, 1, `${verb}: ${text}`);
      for (const expected of [sees, means, mend(store)]) assert.match(text, expected, verb);
    }
    assert.equal(
      stateOf(store).filter((line) => !line.startsWith('.forewrit')),
      files,
    );
  });
}

test('each verb says what stands in the place of `.forewrit`, and how the store is put back', async () => {
  await using store = await filled();
  const elsewhere = `${store.directory}/elsewhere`;
  renameSync(store.own, elsewhere);
  symlinkSync(elsewhere, store.own);
  const all = [...verbs, ['history'], ['recover', '--reset-log', '--yes']];
  const outputs = await Promise.all(all.map((args) => say(store, args)));
  for (const [index, { exitCode, text }] of outputs.entries()) {
    const verb = all[index]!.join(' ');
    assert.is(exitCode, 10, `${verb}: ${text}`);
    assert.match(text, `is a symbolic link to '${elsewhere}', and should be a directory itself`, verb);
    assert.match(text, 'Something else stands where the store needs a place of its own', verb);
    assert.not.match(text, '--root.', verb);
  }
  const line = /mend: (sh .*)\n/.exec(outputs[0]!.text)?.[1];
  assert.ok(line !== undefined, outputs[0]!.text);
  assert.is(spawnSync('sh', ['-c', line], { cwd: '/' }).status, 0);
  assert.is((await say(store, ['check'])).exitCode, 0);
});

test('the same with --json: the command that mends it is a key', async () => {
  await using store = await filled();
  rmSync(store.data);
  const mend = `forewrit recover --reset-log --yes --root ${quoted(store)}`;
  const { json: error } = await runJson<{ error: { remedy: { command: string }; meaning: string } }>([
    'recover',
    '--root',
    store.root,
  ]);
  assert.is(error.error.remedy.command, mend);
  assert.match(error.error.meaning, 'The log is gone');
  const { json: status } = await runJson<{ problems: { remedy: { command: string } }[] }>([
    'status',
    '--root',
    store.root,
  ]);
  assert.equal(
    status.problems.map(({ remedy }) => remedy.command),
    [mend],
  );
});

test('a newer format is not reset: nothing in it is damaged', async () => {
  await using store = await filled();
  hard.find(({ name }) => name === 'from a newer format')!.make(store);
  const { exitCode, text } = await say(store, ['recover', '--reset-log', '--yes']);
  assert.is(exitCode, 1);
  assert.match(text, 'ERR_UNSUPPORTED_FORMAT');
  assert.is(readdirSync(store.own).includes('set-aside'), false);
});

test('beside a living process, whoever looks finds nothing, and who would be in its way is told', async () => {
  await using store = await filled();
  const child = await store.keepOpen({ 'a.txt': 'new\n' });
  for (const args of [...looking, ['recover'], ['recover', '--reset-log', '--yes']]) {
    const { exitCode, text } = await say(store, args);
    assert.is(exitCode, 0, `${args.join(' ')}: ${text}`);
  }
  const { exitCode, text } = await say(store, ['repair', '2-1', '--back']);
  assert.is(exitCode, 11);
  assert.match(text, 'Another process is in the way');
  assert.match(text, `mend: forewrit status --root ${quoted(store)}\n`);
  assert.is(child.hasEnded, false);
});

test('a damaged log of a living process is not reset', async () => {
  await using store = await filled();
  const child = await store.keepOpen({ 'a.txt': 'new\n' });
  rmSync(store.data);
  const { exitCode, text } = await say(store, ['recover', '--reset-log', '--yes']);
  assert.is(exitCode, 11, text);
  assert.is(readdirSync(store.own).includes('set-aside'), false);
  assert.is(child.hasEnded, false);
});

const nobody = 65_534;
const isRoot = process.getuid?.() === 0;
const whyNotRoot = isRoot ? undefined : 'needs root, to be two users';

test.skipIf(whyNotRoot, 'each verb says whose store it is, and how to run it as that user', async () => {
  await using store = await filled();
  chmodSync(store.directory, 0o755);
  const all = [...verbs, ['recover', '--reset-log', '--yes']];
  const outputs = await Promise.all(all.map((args) => say(store, args, { uid: nobody, cwd: '/' })));
  for (const [index, { exitCode, text }] of outputs.entries()) {
    const words = all[index]!.join(' ');
    assert.is(exitCode, 1, `${words}: ${text}`);
    assert.match(text, /ERR_PERMISSION|no-permission/, words);
    assert.match(text, 'This user may not do here what has to be done');
    assert.match(text, `mend: sudo -u '#0' forewrit ${words} --root ${quoted(store)}\n`);
  }
});

test('a store whose owner has shut himself out is opened again by the command that is named', async () => {
  await using store = await filled();
  const uid = isRoot ? nobody : process.getuid!();
  chmodSync(store.directory, 0o755);
  if (isRoot) giveAway(store.root, uid);
  for (const place of ['.forewrit', '.forewrit/log', '.forewrit/log/data.mdb']) {
    chmodSync(`${store.root}/${place}`, 0);
    const options: CommandOptions = { cwd: '/', ...(isRoot ? { uid } : {}) };
    const { exitCode, text } = await say(store, ['check'], options);
    assert.is(exitCode, 1, text);
    const line = /mend: (chmod .*)\n/.exec(text)?.[1];
    assert.ok(line !== undefined, text);
    const owner = isRoot ? { uid, gid: uid } : {};
    assert.is(spawnSync('sh', ['-c', line], { cwd: '/', ...owner }).status, 0);
    const after = await say(store, ['check'], options);
    assert.is(after.exitCode, 0, after.text);
  }
});

function giveAway(path: string, uid: number): void {
  chownSync(path, uid, uid);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) giveAway(`${path}/${name}`, uid);
}

test.skipIf(
  whyNotRoot,
  'what another user has made in a store is given back by the command that is named',
  async () => {
    await using store = await filled();
    chownSync(store.data, nobody, nobody);
    chownSync(`${store.own}/staged`, nobody, nobody);
    const { exitCode, text } = await say(store, ['check']);
    assert.is(exitCode, 1);
    const line = /mend: (chown .*)\n/.exec(text)?.[1];
    assert.ok(line !== undefined, text);
    assert.is(spawnSync('sh', ['-c', line], { cwd: '/' }).status, 0);
    assert.is((await say(store, ['check'])).exitCode, 0);
  },
);

const withMounts = ['unshare', '-m', 'sh', '-ec'];
test.skipIf(
  whyNotUnder(['unshare', '-m']),
  'on a disk that is mounted read-only, looking works',
  async () => {
    await using store = await filled();
    const mounts = 'mount --bind "$0" "$0"; mount -o remount,ro,bind "$0"; exec "$@"';
    const under = [...withMounts, mounts, store.directory];
    for (const args of [...looking, ['check', '--read-data']]) {
      const { exitCode, text } = await say(store, args, { under });
      assert.is(exitCode, 0, `${args.join(' ')}: ${text}`);
    }
    for (const args of [['recover'], ['accept', '--yes', 'a.txt'], ['repair', '1-1', '--back']]) {
      const { exitCode, text } = await say(store, args, { under });
      assert.is(exitCode, 1, text);
      assert.match(text, `mend: mount -o remount,rw ${store.directory}\n`);
      assert.match(text, 'means: The file system is mounted read-only');
      assert.not.match(text, 'This user may not');
    }
  },
);

test.skipIf(
  whyNotUnder(['unshare', '-m']),
  'a reset on a full disk says that it is full, and that it goes on later',
  async () => {
    await using store = await filled();
    store.overwrite(store.data, Buffer.alloc(8192), 0);
    const fill = [
      'copy=$(mktemp -d); cp -a "$0/." "$copy"; mount -t tmpfs -o nr_inodes=200 none "$0"; cp -a "$copy/." "$0"',
      'rm -r "$copy"; i=0; while touch "$0/$i" 2>/dev/null; do i=$((i+1)); done; exec "$@"',
    ];
    const under = [...withMounts, fill.join('; '), store.directory];
    const { exitCode, text } = await say(store, ['recover', '--reset-log', '--yes'], { under });
    assert.is(exitCode, 1, text);
    for (const expected of [
      /\(ERR_NO_SPACE\)$/m,
      'means: The disk is full',
      `mend: df -h ${quoted(store)}\n`,
    ])
      assert.match(text, expected);
    assert.match(text, 'it goes on where it stopped');
  },
);

test.run();
