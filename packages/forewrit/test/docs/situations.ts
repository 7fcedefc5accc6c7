/** The situations that sessions of the pages begin in, each made by real processes that die where they are told. */

import { statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { StoreWorld } from '../store-world.js';

const old = { 'session/messages.json': '[]\n', 'session/state.json': '{"step":1}\n' };
const next = { 'session/messages.json': '["hello"]\n', 'session/state.json': '{"step":2}\n' };

const situations: Readonly<Record<string, (world: StoreWorld) => Promise<void>>> = {
  async empty() {},

  async clean(world) {
    await world.save(old);
  },

  async 'in-use'(world) {
    await world.keepOpen(next);
  },

  async 'killed-in-apply'(world) {
    await world.save(old);
    await world.die({ saves: [next], failpoint: { name: 'apply.target', action: 'kill', skip: 1 } });
  },

  async 'killed-before-commit'(world) {
    await world.save(old);
    await world.die({ saves: [next], failpoint: { name: 'stage.after', action: 'kill' } });
  },

  async edited(world) {
    await world.save(old);
    await world.die({ saves: [next], failpoint: { name: 'apply.target', action: 'kill' } });
    writeFileSync(`${world.root}/session/state.json`, '{"step":"mine"}\n');
  },

  async blocked(world) {
    await world.save(old);
    await world.block(next);
  },

  async 'blocked-forward'(world) {
    await world.save(old);
    await world.block(next);
  },

  async 'blocked-quarantine'(world) {
    await world.save(old);
    await world.block(next);
  },

  async deferred(world) {
    await world.save(old);
    await world.die({
      saves: [next, next],
      failpoint: { name: 'materialize.before', action: 'kill' },
      materialize: 'deferred',
    });
  },

  /** The last save was in its place, and not flushed there when the power went. */
  async torn(world) {
    await world.save(old);
    const bootId = '11111111-2222-3333-4444-555555555555';
    await world.die({ saves: [next], failpoint: { name: 'apply.after', action: 'kill' }, bootId });
    const path = `${world.root}/session/state.json`;
    const { mtimeMs } = statSync(path);
    truncateSync(path, 0);
    // Of a time that was flushed before the content: not of now, which would be somebody's.
    utimesSync(path, mtimeMs / 1000 - 1, mtimeMs / 1000 - 1);
  },

  async 'log-damaged'(world) {
    await world.save(old);
    writeFileSync(`${world.root}/.forewrit/log/data.mdb`, 'not a log');
  },

  async 'log-missing'(world) {
    await world.save(old);
  },
};

/** Makes the situation in `directory`, for as long as what is returned was not called. */
export async function prepare(name: string, directory: string): Promise<() => Promise<void>> {
  const make = situations[name];
  if (make === undefined) throw new Error(`There is no situation “${name}”.`);
  const world = new StoreWorld(directory);
  await make(world);
  return () => world[Symbol.asyncDispose]();
}
