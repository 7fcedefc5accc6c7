/** What the tests of this package share: a store, contexts of realistic content, and a look at the files as they are. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Store, StoreOptions } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { assert } from '@forewrit/testkit';
import { ContextManager, type ContextManagerOptions } from '#src/index.js';

export interface Message {
  readonly role: 'user' | 'assistant' | 'tool';
  readonly content: string;
  readonly version: number;
}

export interface Versioned {
  version: number;
}

export type TestContext = ContextManager<Message, Versioned, Versioned & { notes: string[] }, Versioned>;

export const fileNames = ['messages.json', 'metadata.json', 'state.json', 'global_context.json'] as const;

/** Checkpoints only when asked for: what they do is not part of a save. */
export function openTestStore(root: string, options: StoreOptions = {}): Promise<Store> {
  return openStore(root, { committer: 'inline', checkpointIntervalMs: 3_600_000, ...options });
}

export function managerOf(store: Store, options: Partial<ContextManagerOptions> = {}): TestContext {
  return new ContextManager({ store, directory: 'context', ...options });
}

/** Every part says which version it is; about 420 bytes a message. */
export function fill(manager: TestContext, version: number, messageCount = 3): void {
  const roles = ['user', 'assistant', 'tool'] as const;
  manager.messages = Array.from({ length: messageCount }, (_, index) => ({
    role: roles[index % 3] ?? 'user',
    content: `${index}: „Grüße“ — ${'the quick brown fox; '.repeat(16)}`,
    version,
  }));
  manager.metadata = { ...manager.metadata, version };
  manager.state = { version, notes: [`step ${version}`] };
  manager.globalContext = { version };
}

/** Fails unless all four parts are of one version; returns it. */
export function wholeVersion(manager: TestContext): number {
  const { messages, metadata, state, globalContext } = manager;
  const versions = new Set([
    ...messages.map(({ version }) => version),
    metadata.version,
    state.version,
    globalContext.version,
  ]);
  assert.is(versions.size, 1, `mixed versions: ${[...versions].join(', ')}`);
  assert.is(metadata.message_count, messages.length);
  return state.version;
}

/** The bytes of each file of a directory, by name. */
export function bytesIn(directory: string): Record<string, string> {
  if (!existsSync(directory)) return {};
  return Object.fromEntries(
    readdirSync(directory)
      .filter((name) => statSync(join(directory, name)).isFile())
      .toSorted()
      .map((name) => [name, readFileSync(join(directory, name)).toString('base64')]),
  );
}

/** Names that a save has left in the store's own directories below a root. */
export function leftovers(root: string, own = '.forewrit'): string[] {
  return ['staged', 'before', 'conflicts'].flatMap((area) => {
    const directory = join(root, own, area);
    return existsSync(directory) ? readdirSync(directory).map((name) => `${area}/${name}`) : [];
  });
}
