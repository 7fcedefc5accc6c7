/** The situations that sessions of the pages begin in, each made by real processes that die where they are told. */

import { readdirSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { TestProcess, untilStopped } from '@forewrit/testkit/child-process';
import { openStore } from '#src/index.js';
import type { DyingMessage, DyingRequest } from './dying-child.js';

const old = { 'session/messages.json': '[]\n', 'session/state.json': '{"step":1}\n' };
const next = { 'session/messages.json': '["hello"]\n', 'session/state.json': '{"step":2}\n' };

const processLimitMs = 60_000;

class Situation {
  readonly root: string;
  readonly #processes: TestProcess<DyingMessage>[] = [];

  constructor(root: string) {
    this.root = root;
  }

  /** An orderly end of an ordinary use. */
  async save(): Promise<void> {
    const store = await openStore(this.root);
    await store.writeFiles(old);
    await store.close();
  }

  /** A process that has saved, and lives on with the store open. */
  async keepOpen(): Promise<void> {
    await this.#start({ saves: [next] }).next('saved', processLimitMs);
  }

  /** A process that dies at a named place of the protocol. */
  async die(request: Omit<DyingRequest, 'root' | 'saves'>, saves = [next]): Promise<void> {
    const end = await this.#start({ ...request, saves }).end(processLimitMs);
    if (end.signal !== 'SIGKILL') throw new Error(`the process ended with ${end.code}, not at its failpoint`);
  }

  /** A process that stops at a named place, and is neither dead nor of any use. */
  async stop(request: Omit<DyingRequest, 'root' | 'saves'>): Promise<void> {
    const child = this.#start({ ...request, saves: [next] });
    await untilStopped(child.pid, processLimitMs);
  }

  /** Dies when the first of two files is replaced; then the staged content of the second one rots. */
  async block(): Promise<void> {
    await this.save();
    const failpoint = { name: 'apply.target', action: 'kill', skip: 1 } as const;
    await this.die({ failpoint, inlineLimitBytes: 1 });
    const staged = `${this.root}/.forewrit/staged`;
    const second = readdirSync(staged).find((name) => name.endsWith('-1'));
    if (second === undefined) throw new Error('there is no second target');
    writeFileSync(`${staged}/${second}`, 'rotten');
  }

  async close(): Promise<void> {
    for (const child of this.#processes) await child[Symbol.asyncDispose]();
  }

  #start(request: Omit<DyingRequest, 'root'>): TestProcess<DyingMessage> {
    const options = { request: { ...request, root: this.root } };
    const child = new TestProcess<DyingMessage>(new URL('./dying-child.js', import.meta.url), options);
    this.#processes.push(child);
    return child;
  }
}

const situations: Readonly<Record<string, (situation: Situation) => Promise<void>>> = {
  async empty() {},

  async clean(it) {
    await it.save();
  },

  async 'in-use'(it) {
    await it.keepOpen();
  },

  async stopped(it) {
    await it.save();
    await it.stop({ failpoint: { name: 'apply.target', action: 'stop', skip: 1 } });
  },

  async 'killed-in-apply'(it) {
    await it.save();
    await it.die({ failpoint: { name: 'apply.target', action: 'kill', skip: 1 } });
  },

  async 'killed-before-commit'(it) {
    await it.save();
    await it.die({ failpoint: { name: 'stage.after', action: 'kill' } });
  },

  async edited(it) {
    await it.save();
    await it.die({ failpoint: { name: 'apply.target', action: 'kill' } });
    writeFileSync(`${it.root}/session/state.json`, '{"step":"mine"}\n');
  },

  async blocked(it) {
    await it.block();
  },

  async 'blocked-forward'(it) {
    await it.block();
  },

  async 'blocked-quarantine'(it) {
    await it.block();
  },

  async deferred(it) {
    await it.save();
    const failpoint = { name: 'materialize.before', action: 'kill' } as const;
    await it.die({ failpoint, materialize: 'deferred' }, [next, next]);
  },

  /** The last save was in its place, and not flushed there when the power went. */
  async torn(it) {
    await it.save();
    const bootId = '11111111-2222-3333-4444-555555555555';
    await it.die({ failpoint: { name: 'apply.after', action: 'kill' }, bootId });
    const path = `${it.root}/session/state.json`;
    const { mtimeMs } = statSync(path);
    truncateSync(path, 0);
    // Of a time that was flushed before the content: not of now, which would be somebody's.
    utimesSync(path, mtimeMs / 1000 - 1, mtimeMs / 1000 - 1);
  },

  async 'log-damaged'(it) {
    await it.save();
    writeFileSync(`${it.root}/.forewrit/log/data.mdb`, 'not a log');
  },

  async 'log-missing'(it) {
    await it.save();
  },
};

/** Makes the situation in `directory`, for as long as what is returned was not called. */
export async function prepare(name: string, directory: string): Promise<() => Promise<void>> {
  const make = situations[name];
  if (make === undefined) throw new Error(`There is no situation “${name}”.`);
  const situation = new Situation(directory);
  await make(situation);
  return () => situation.close();
}
