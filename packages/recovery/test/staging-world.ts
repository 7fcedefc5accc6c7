/** Staging over time in the simulated world: the same code as in a store, over the simulated disk. */

import {
  asyncOver,
  type Commit,
  type Content,
  fileOf,
  findResumable,
  type FoundResumable,
  type Operation,
  parsePath,
  Resumables,
  type StageOptions,
  type StagedContent,
  StagingPlaces,
  type StagingRequest,
  type StorePath,
} from '@forewrit/core';
import type { SimulatedProcess, World } from './world.js';

/** Far from the counters that the process itself gives to its transactions. */
const firstCounter = 1000;

export class Stager {
  readonly process: SimulatedProcess;
  readonly #resumables: Resumables;

  /** `afterRead`: what happens while the answer to a read is on its way. */
  constructor(
    process: SimulatedProcess,
    { afterRead = async () => undefined }: { readonly afterRead?: () => Promise<void> } = {},
  ) {
    this.process = process;
    let counter = firstCounter;
    const { context } = process;
    const { log, fileSystem, roots, clock } = context;
    const over = asyncOver(fileSystem);
    this.#resumables = new Resumables(
      {
        log,
        asyncFileSystem: {
          ...over,
          read: async (...call) => {
            const count = await over.read(...call);
            await afterRead();
            return count;
          },
        },
        stagingPlaces: new StagingPlaces({
          fileSystem,
          roots,
          resolve: (path) => context.resolver.resolve(path, { followLast: true, op: 'stage' }).path,
          openArea: (volume) => this.#record({ kind: 'open-area', volume }),
        }),
        parse: (path, op) => parsePath(path, roots, op),
        maxFileBytes: undefined,
        requireSpace: () => undefined,
        unpack: () => undefined,
        nowMs: () => clock.nowMs(),
      },
      () => counter++,
    );
  }

  stage(id: string, options: StageOptions = {}): Promise<StagedContent> {
    return this.#resumables.stage(this.#committer, id, options);
  }

  discard(id: string): Promise<boolean> {
    return this.#resumables.discard(this.#committer, id);
  }

  /** As `store.writeFile(path, staged)` does. */
  async write(path: StorePath, staged: StagedContent, ...more: readonly Operation[]): Promise<Commit> {
    const file = fileOf(staged);
    file.hold('writeFile');
    let content: Content;
    try {
      content = await file.content();
    } finally {
      file.letGo();
    }
    const commit = this.process.commit({ type: 'write', path, content, options: {} }, ...more);
    await file.adopted();
    return commit;
  }

  async #record(request: StagingRequest): Promise<void> {
    const [refusal] = this.process.engine.resumables.run([request]);
    if (refusal !== undefined) throw refusal;
  }

  get #committer(): Parameters<Resumables['stage']>[0] {
    const { owner } = this.process;
    return {
      state: { ownerNumber: owner.number, ownerId: owner.id, recovery: this.process.recovery! },
      stage: (request) => this.#record(request),
      recoverDead: async () => {
        await this.process.recover();
      },
    };
  }
}

export function recordOf(world: World, id: string): FoundResumable | undefined {
  return findResumable(
    {
      get: (table, key) => world.log.rows(table).get(key),
      range: (table, range) => world.log.rows(table).range(range),
    },
    id,
  );
}
