/**
 * Stores whose log is damaged in `log-damage.slow.test.ts`, and of which the fixtures of the format are made: small, so
 * that every bit of the log can have its turn, and between them with every kind of record that a log holds.
 *
 * They are made by a process that claims to run on another boot, so that a copy is judged as after a power cut wherever
 * and whenever it is opened.
 */
import * as assert from '@forewrit/testkit/assert';
import { TestProcess } from '@forewrit/testkit/child-process';

/** One transaction. */
export interface Step {
  /** What came before has been checkpointed by then: a directory moves only when nothing below it is waiting for that. */
  readonly checkpointed?: boolean;
  readonly writes?: Readonly<Record<string, string>>;
  readonly renames?: Readonly<Record<string, string>>;
  readonly removals?: readonly string[];
  readonly puts?: Readonly<Record<string, number>>;
  readonly deletions?: readonly string[];
}

export interface ReferenceStore {
  readonly steps: readonly Step[];
  /** The process is killed when the last step is committed, before a file is touched. Otherwise it closes the store. */
  readonly killed: boolean;
}

/** What a store holds after some of its steps. */
export interface Version {
  readonly files: Readonly<Record<string, string>>;
  readonly entries: Readonly<Record<string, number>>;
}

export interface ReferenceRequest extends ReferenceStore {
  readonly root: string;
}

export type ReferenceMessage = { readonly type: 'made' };

/** Content up to this size travels in the log, larger content is staged. */
export const inlineLimitBytes = 1000;
export const collection = 'notes';

export const referenceStores = {
  /** Several revisions, all of them checkpointed: the log holds rows, and no record. */
  clean: {
    killed: false,
    steps: [
      { writes: { 'a.txt': 'a, first', 'b.txt': 'b, first' }, puts: { first: 1, second: 2 } },
      { writes: { 'a.txt': 'a, second', 'deep/c.txt': 'c, second' }, puts: { second: 22, third: 3 } },
      { writes: { 'b.txt': 'b, third', 'deep/c.txt': 'c, third' }, deletions: ['first'] },
    ],
  },
  /** The log holds the only copy of what the last step has written. */
  inline: {
    killed: true,
    steps: [
      { writes: { 'a.txt': 'a, first', 'b.txt': 'b, first', 'deep/c.txt': 'c, first' }, puts: { first: 1 } },
      { writes: { 'a.txt': 'a, second' }, puts: { second: 2 } },
      { writes: { 'a.txt': 'a, last', 'b.txt': 'b, last', 'd.txt': 'd, last' }, puts: { first: 11 } },
    ],
  },
  /** Staged content, a directory that moves with its files, and things that go. */
  large: {
    killed: true,
    steps: [
      {
        writes: { 'big.txt': 'big, first', 'gone.txt': 'gone', 'old/x.txt': 'x, first', 'old/y.txt': 'y' },
        puts: { first: 1, second: 2 },
      },
      {
        checkpointed: true,
        renames: { old: 'new' },
        writes: { 'big.txt': 'big, last '.repeat(300), 'new/x.txt': 'x, last' },
        removals: ['gone.txt'],
        puts: { third: 3 },
        deletions: ['first'],
      },
    ],
  },
} as const satisfies Record<string, ReferenceStore>;

export async function makeReference(root: string, store: ReferenceStore): Promise<void> {
  const request: ReferenceRequest = { root, ...store };
  await using child = new TestProcess<ReferenceMessage>(new URL('./reference-child.js', import.meta.url), {
    request,
  });
  const { code, signal } = await child.end();
  assert.is(store.killed ? signal : code, store.killed ? 'SIGKILL' : 0, 'how the making of a store ends');
}

/** Of each number of steps, beginning with none. */
export function versionsOf({ steps }: ReferenceStore): Version[] {
  const versions: Version[] = [{ files: {}, entries: {} }];
  for (const step of steps) versions.push(after(versions.at(-1)!, step));
  return versions;
}

function after(version: Version, step: Step): Version {
  const files = new Map(Object.entries(version.files));
  const entries = new Map(Object.entries(version.entries));
  for (const [from, to] of Object.entries(step.renames ?? {})) {
    for (const [path, content] of Object.entries(version.files)) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      files.delete(path);
      files.set(`${to}${path.slice(from.length)}`, content);
    }
  }
  for (const [path, content] of Object.entries(step.writes ?? {})) files.set(path, content);
  for (const path of step.removals ?? []) files.delete(path);
  for (const [key, value] of Object.entries(step.puts ?? {})) entries.set(key, value);
  for (const key of step.deletions ?? []) entries.delete(key);
  return { files: Object.fromEntries(files), entries: Object.fromEntries(entries) };
}
