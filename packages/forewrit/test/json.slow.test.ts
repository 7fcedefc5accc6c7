/**
 * What every verb prints with --json: valid by schemas/command.json, and as it was written down in json.snapshot.json.
 * FOREWRIT_UPDATE_SNAPSHOT=1 writes it down again when a change is meant.
 */

import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { assert, suite } from '@forewrit/testkit';
import { runCommand } from './command-run.js';
import { DamagedStore } from './damaged/damaged-store.js';
import { schemaErrors, verbsWithSchema } from './json-schema.js';

const test = suite('JSON of the command', { timeoutMs: 90_000 });

const snapshot = new URL('../test/json.snapshot.json', import.meta.url);
const printed: Record<string, unknown> = {};
const seen = new Set<string>();

/** The title of a document that shows how far something had come: it is not written down. */
const hurried = 'how far it has come';

/** Runs it, validates what it prints, and returns it. */
async function validated(
  store: DamagedStore,
  {
    verb,
    title = verb,
    args,
  }: { readonly verb: string; readonly title?: string; readonly args: readonly string[] },
): Promise<{ readonly [key: string]: unknown }> {
  const { stdout, stderr } = await runCommand(['--json', '--root', store.root, ...args]);
  assert.is(stderr, '', title);
  const document = JSON.parse(stdout) as { readonly [key: string]: unknown };
  assert.is(schemaErrors(verb, document), '', `${title}: ${stdout}`);
  seen.add(verb);
  if (title !== hurried) printed[title] = masked(store, document);
  return document;
}

async function store(): Promise<DamagedStore> {
  const made = new DamagedStore();
  await made.fill();
  return made;
}

const dying = {
  saves: [{ 'a.txt': 'new a\n', 'n.txt': 'new n\n' }],
  failpoint: { name: 'apply.target', action: 'kill' as const, skip: 1 },
};

test('of a store that is clean', async () => {
  await using world = await store();
  await validated(world, { verb: 'status', title: 'status, clean', args: ['status'] });
  await validated(world, { verb: 'check', title: 'check, clean', args: ['check', '--read-data'] });
  await validated(world, {
    verb: 'recover --dry-run',
    title: 'recover --dry-run, clean',
    args: ['recover', '--dry-run'],
  });
  await validated(world, { verb: 'recover', title: 'recover, clean', args: ['recover'] });
});

test('of a store that a process died in', async () => {
  await using world = await store();
  await world.die(dying);
  await validated(world, { verb: 'status', args: ['status'] });
  await validated(world, { verb: 'check', args: ['check'] });
  await validated(world, { verb: 'dump', args: ['dump'] });
  await validated(world, { verb: 'dump --stats', args: ['dump', '--stats'] });
  await validated(world, { verb: 'recover --dry-run', args: ['recover', '--dry-run'] });
  writeFileSync(`${world.root}/n.txt`, 'somebody else\n');
  await validated(world, { verb: 'recover', args: ['recover'] });
  writeFileSync(`${world.root}/a.txt`, 'edited\n');
  unlinkSync(`${world.root}/n.txt`);
  await validated(world, { verb: 'check', title: 'check --read-data', args: ['check', '--read-data'] });
  await validated(world, { verb: 'accept', args: ['accept', '--yes', 'a.txt', 'd/b.txt'] });
});

test('of a store with a blocked transaction, and with staged content', async () => {
  await using world = await store();
  await world.block({ 'a.txt': 'new a\n', 'd/b.txt': 'new b\n' });
  await validated(world, { verb: 'check', title: 'check, blocked', args: ['check'] });
  await validated(world, { verb: 'repair', args: ['repair', '2-1', '--back'] });
  await world.use(async (it) => {
    const content = await it.stage('upload');
    await content.append('a part\n');
    await content.sync();
    await content.close();
  });
  await validated(world, { verb: 'status', title: 'status, staged content', args: ['status'] });
  await validated(world, { verb: 'dump', title: 'dump, staged content', args: ['dump'] });
  await validated(world, { verb: 'recover --discard', args: ['recover', '--discard', 'upload', '--yes'] });
});

test('of a store with history', async () => {
  await using world = await store();
  await world.use(
    async (it) => {
      await it.writeFiles({ 'a.txt': 'second\n', 'n.txt': 'n\n' });
      await it.transact((transaction) => transaction.put('notes', 'one', 'changed'));
      await it.writeFile('a.txt', 'third\n');
    },
    { history: {} },
  );
  const { transactions } = await validated(world, { verb: 'history', args: ['history'] });
  const [newest] = transactions as readonly { readonly transaction: string }[];
  await validated(world, { verb: 'undo', args: ['undo', newest!.transaction, '--yes'] });
  await validated(world, { verb: 'status', title: 'status, history', args: ['status'] });
});

test('of a store with a damaged log', async () => {
  await using world = await store();
  world.flipBit('entry two');
  await validated(world, { verb: 'status', title: 'status, damaged', args: ['status'] });
  await validated(world, { verb: 'check', title: 'check, damaged', args: ['check'] });
  await validated(world, { verb: 'error', args: ['recover'] });
  await validated(world, { verb: 'recover --reset-log', args: ['recover', '--reset-log', '--yes'] });
  await validated(world, { verb: 'error', title: 'error, wrong usage', args: ['recover', '--nonsense'] });
  await validated(world, {
    verb: 'error',
    title: 'error, no such transaction',
    args: ['repair', '9-9', '--back'],
  });
});

test('of a store with a log that cannot be read', async () => {
  await using world = await store();
  world.overwrite(world.data, Buffer.alloc(8192), 0);
  await validated(world, { verb: 'status', title: 'status, unreadable', args: ['status'] });
  await validated(world, { verb: 'dump', title: 'dump, unreadable', args: ['dump'] });
  const stats = ['dump', '--stats'];
  await validated(world, { verb: 'dump --stats', title: 'dump --stats, unreadable', args: stats });
});

test('of what is followed, a document on each line', async () => {
  await using world = await store();
  await world.die(dying);
  let lines = '';
  const { exitCode, stdout } = await runCommand(['dump', '--follow', '--json', '--root', world.root], {
    signal: { name: 'SIGINT', when: () => lines.trimEnd().split('\n').length >= 8 },
    onOutput: (text) => {
      lines += text;
    },
  });
  assert.is(exitCode, 130);
  const documents = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  assert.ok(documents.length >= 8);
  for (const document of documents) assert.is(schemaErrors('dump --follow', document), '');
  seen.add('dump --follow');
  printed['dump --follow'] = masked(world, documents[0]);
});

test('of tasks, the demo and the completion', async () => {
  await using world = await store();
  const run = ['tasks', 'run', '--wait', '--label', 'a label', '--tag', 'one', '--group', 'g', 'echo done'];
  const { id } = await validated(world, { verb: 'tasks run', args: run });
  const task = String(id);
  await validated(world, { verb: 'tasks show', args: ['tasks', 'show', task] });
  await validated(world, { verb: 'tasks list', args: ['tasks', 'list'] });
  await validated(world, { verb: 'tasks output', args: ['tasks', 'output', task] });
  await validated(world, { verb: 'tasks wait', args: ['tasks', 'wait', task] });
  await validated(world, { verb: 'tasks group', args: ['tasks', 'group', 'g', '--parallel', '2'] });
  await validated(world, { verb: 'tasks restart', title: hurried, args: ['tasks', 'restart', task] });
  await runCommand(['tasks', 'wait', task, '--root', world.root]);
  const { id: second } = await validated(world, {
    verb: 'tasks run',
    title: hurried,
    args: ['tasks', 'run', '--', 'sleep', '60'],
  });
  await validated(world, { verb: 'tasks stop', title: hurried, args: ['tasks', 'stop', String(second)] });
  const file = `${world.directory}/tasks.json`;
  writeFileSync(file, '{}');
  await validated(world, { verb: 'tasks import', args: ['tasks', 'import', file] });
  await validated(world, { verb: 'tasks prune', args: ['tasks', 'prune', '--max-count', '0'] });
  await validated(world, { verb: 'demo', args: ['demo', '--kills', '1'] });
  await validated(world, { verb: 'completion', args: ['completion', 'bash'] });
});

test('every verb has a schema, and what is printed is what was written down', () => {
  assert.ok(verbsWithSchema.length > 20);
  for (const verb of verbsWithSchema) assert.ok(seen.has(verb), `no document of '${verb}' was validated`);
  const now = `${JSON.stringify(printed, undefined, 2)}\n`;
  if (process.env['FOREWRIT_UPDATE_SNAPSHOT'] === '1') writeFileSync(snapshot, now);
  assert.equal(JSON.parse(now), JSON.parse(readFileSync(snapshot, 'utf8')));
});

/** What differs from run to run has a name. */
function masked(world: DamagedStore, value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((each) => masked(world, each, key));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, masked(world, each, name)]));
  if (typeof value === 'number' && varying.test(key)) return 0;
  if (typeof value !== 'string') return value;
  if (key === 'script' || key === 'boot' || key === 'at') return `<${key}>`;
  return value
    .replaceAll(String.raw`it'\''s a store`, "it's a store")
    .replaceAll(world.directory, '')
    .replaceAll(process.cwd(), '<cwd>')
    .replaceAll(/process \d+/g, 'process 4711')
    .replaceAll(/^[0-9a-f]{32}$/g, '<id>')
    .replaceAll(/^[0-9a-z]{17}$/g, '<task>')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>');
}

const varying =
  /(?:At|duration|age|median|max)Ms$|^(?:pid|usedBytes|fileBytes|bytes|acknowledgedSaves|mixedSets|tornFiles|lostSaves|redone|undone)$/;

test.run();
