/**
 * A transaction on many files at once, a kill in the middle of it, and then each file edited in its own way before the
 * store is opened again (`user-edits.ts`), on the same boot or on another.
 */
import { lstatSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import {
  type ProcessTable,
  type RecoveryReport,
  type StoreOptions,
  systemProcessTable,
} from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import * as assert from '@forewrit/testkit/assert';
import { TestProcess } from '@forewrit/testkit/child-process';
import { temporaryDirectory } from '@forewrit/testkit/temp-directory';
import type { OnceMessage } from './once-child.js';
import { treeOf } from './set-world.js';
import { contentAt, editFile, userEdits } from './user-edits.js';

/**
 * What the transaction does at a path; each once for each edit. There are two moves: while a file has both names, what
 * is done to it under one is done to the other, so one is edited at its source, and one at its destination.
 */
const actions = ['write', 'create', 'remove', 'from', 'unedited-to', 'unedited-from', 'to'] as const;
type Action = (typeof actions)[number];

const moves = { from: 'unedited-to', 'unedited-from': 'to' } as const;

interface Target {
  readonly path: string;
  readonly action: Action;
  readonly edit: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

const targets: readonly Target[] = Object.keys(userEdits).flatMap((edit) =>
  actions.map((action) => targetOf(edit, action)),
);

function targetOf(edit: string, action: Action): Target {
  const path = `${edit}/${action}`;
  const isNew = action === 'create' || action === 'to' || action === 'unedited-to';
  const after: Readonly<Record<Action, string | undefined>> = {
    write: `new content of ${path}`,
    create: `first content of ${path}`,
    remove: undefined,
    from: undefined,
    'unedited-to': `old content of ${edit}/from`,
    'unedited-from': undefined,
    to: `old content of ${edit}/unedited-from`,
  };
  return {
    path,
    action,
    edit: action.startsWith('unedited') ? 'nothing' : edit,
    before: isNew ? undefined : `old content of ${path}`,
    after: after[action],
  };
}

export const targetCount = targets.length;

export interface EditScenario {
  /** Where the process is killed. */
  readonly failpoint: string;
  readonly skip?: number;
  /** 0: no content travels in the log. */
  readonly inlineLimitBytes: number;
  readonly boot: 'same' | 'other';
  /** How the store is opened; by default in this process, which takes itself to be on that boot. */
  readonly open?: (root: string) => Promise<RecoveryReport>;
}

/** A file after the edit, and after recovery. */
interface Outcome {
  readonly target: Target;
  readonly applied: boolean;
  readonly edited: boolean;
  readonly theirs: string | undefined;
  readonly left: string | undefined;
  readonly final: string | undefined;
}

export async function editAfterKill(scenario: EditScenario): Promise<void> {
  const { failpoint: name, skip = 0, inlineLimitBytes, boot, open = (root) => openAs(root, boot) } = scenario;
  using directory = temporaryDirectory('edits');
  const root = directory.path;
  await makeFiles(root);
  const descriptors = targets.map(({ before, path }) =>
    before === undefined ? undefined : openSync(`${root}/${path}`, 'r+'),
  );
  await killInTransaction(root, {
    inlineLimitBytes,
    checkpointIntervalMs: 5,
    failpoint: { name, action: 'kill', skip },
  });
  // When the batch that forgets a before-image is flushed, to write to it is to write to a file that was removed.
  const isForgotten = name === 'checkpoint.sweep';
  const edited = targets.map((target, index) => {
    const edit = target.edit === 'late-write' && isForgotten ? 'nothing' : target.edit;
    return editTarget(root, { ...target, edit }, descriptors[index]);
  });

  const report = await open(root);
  const tree = treeOf(root);
  assert.equal(report.blocked, []);
  for (const place of ['staged', 'before']) assert.equal(readdirSync(`${root}/.forewrit/${place}`), []);
  const everywhere = new Set([...[...tree.values()].map(String), ...conflictsOf(root)]);
  for (const each of edited) {
    const final = tree.get(each.target.path)?.toString();
    assertOutcome({ ...each, final }, everywhere, boot);
  }
  const { durationMs: _, ...again } = await open(root);
  assert.equal(again, { redone: [], undone: [], kept: [], blocked: [], conflicts: [], sweptFiles: 0 });
  assert.equal(treeOf(root), tree, 'what is recovered stays as it is');
}

function editTarget(root: string, target: Target, descriptor: number | undefined): Omit<Outcome, 'final'> {
  const absolute = `${root}/${target.path}`;
  const look = () => lstatSync(absolute, { throwIfNoEntry: false, bigint: true });
  const found = contentAt(absolute);
  const before = look();
  const { theirs, left } = editFile(target.edit, { ...target, absolute, descriptor });
  const after = look();
  const edited = before?.ino !== after?.ino || before?.mtimeNs !== after?.mtimeNs;
  return { target, theirs, left, applied: found === target.after, edited };
}

function assertOutcome(outcome: Outcome, everywhere: ReadonlySet<string>, boot: 'same' | 'other'): void {
  const { target, theirs, left, applied, edited, final } = outcome;
  const { action, after } = target;
  const situation = JSON.stringify(outcome);
  if (theirs !== undefined) assert.ok(everywhere.has(theirs), `their content is gone: ${situation}`);
  if (!edited && !action.startsWith('unedited'))
    assert.is(final, after, `it was not completed: ${situation}`);
  const isMove = !['write', 'create', 'remove'].includes(action);
  // What is done to a file that is still to be moved goes with it.
  const stays = !isMove || (action === 'to' && applied);
  if (boot === 'same' && edited && stays)
    assert.is(final, left, `it did not stay as they left it: ${situation}`);
  if (boot === 'other' && edited && !isMove) assert.ok(final === left || final === after, situation);
  const isOurs = after !== undefined && !isMove && !applied;
  if (isOurs) assert.ok(everywhere.has(after), `our content is gone: ${situation}`);
}

/** Half of them by the store, half before there was one. */
async function makeFiles(root: string): Promise<void> {
  const made = targets.flatMap(({ path, before }) => (before === undefined ? [] : [[path, before] as const]));
  for (const edit of Object.keys(userEdits)) mkdirSync(`${root}/${edit}`);
  for (const [path, content] of made.filter((_, index) => index % 2 === 1))
    writeFileSync(`${root}/${path}`, content);
  const store = await openStore(root, { committer: 'inline' });
  await store.writeFiles(made.filter((_, index) => index % 2 === 0));
  await store.close();
}

async function killInTransaction(root: string, options: StoreOptions): Promise<void> {
  const of = (...wanted: readonly Action[]): readonly Target[] =>
    targets.filter(({ action }) => wanted.includes(action));
  const request = {
    root,
    options,
    writes: Object.fromEntries(of('write', 'create').map(({ path, after }) => [path, after])),
    renames: Object.fromEntries(
      Object.entries(moves).flatMap(([from, to]) =>
        Object.keys(userEdits).map((edit) => [`${edit}/${from}`, `${edit}/${to}`] as const),
      ),
    ),
    removals: of('remove').map(({ path }) => path),
  };
  await using child = new TestProcess<OnceMessage>(new URL('./once-child.js', import.meta.url), { request });
  assert.is((await child.end()).signal, 'SIGKILL', JSON.stringify(child.messages));
}

async function openAs(root: string, boot: 'same' | 'other'): Promise<RecoveryReport> {
  const processTable = boot === 'same' ? systemProcessTable() : otherBoot();
  const store = await openStore(root, { committer: 'inline', processTable });
  await store.close();
  return store.recovery;
}

function otherBoot(): ProcessTable {
  const { identity, look } = systemProcessTable();
  return { identity: () => ({ ...identity(), bootId: 'another' }), look };
}

function conflictsOf(root: string): string[] {
  const directory = `${root}/.forewrit/conflicts`;
  return readdirSync(directory).map((name) => readFileSync(`${directory}/${name}`, 'utf8'));
}
