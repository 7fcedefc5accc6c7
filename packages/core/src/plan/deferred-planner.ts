/** Plans deferred saves: what the batch needs to know, and nothing in the staging areas. */

import type { Deferred, SaveTarget } from '../commit/deferred.js';
import { lockedBy } from '../commit/lock.js';
import type { FileStat } from '../files/file-system.js';
import type { Volume } from '../files/volume.js';
import type { StorePath } from '../path/path.js';
import { transactionId, type TransactionNumber } from '../record/record.js';
import type { StoreContext } from '../store/store-context.js';
import {
  lookAt,
  mustFollow,
  type Place,
  plannedSave,
  readRows,
  saveTarget,
  sizeOf,
} from './deferred-plan.js';
import { checkPermissions, checkSizes, estimateLogBytes } from './plan-check.js';
import type { Preparation } from './planner.js';
import { asRead, knownChecksum, refuseReads } from './read-check.js';
import type { CommitRequest } from './request.js';
import { volumeFor } from './volume-for.js';

export interface DeferredPlannerParts {
  readonly owner: number;
  readonly deferred: Deferred;
  readonly isEnding: (transaction: TransactionNumber) => boolean;
}

export class DeferredPlanner {
  readonly #context: StoreContext;
  readonly #parts: DeferredPlannerParts;

  constructor(context: StoreContext, parts: DeferredPlannerParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Nothing is staged: what can fail later is tried again, and what can be refused is refused here. */
  prepare(request: CommitRequest, places: readonly Place[]): Preparation {
    const context = this.#context;
    const { folding } = context;
    const { deferred, isEnding, owner } = this.#parts;
    const paths = places.map(({ path }) => path);
    const older = new Set(places.flatMap(({ name }) => deferred.at(name) ?? []));
    if (mustFollow(context, request, { places, older })) return { kind: 'deferred', records: [...older] };
    const fresh = paths.filter((_, index) => deferred.at(places[index]!.name) === undefined);
    const stoodOn = fresh.map((path) => ({ action: 'write', path }) as const);
    const rows = context.log.view((view) => {
      const locked = lockedBy(view, { targets: stoodOn, entries: [] }, folding, isEnding);
      return locked === undefined ? readRows(view, { paths: fresh, others: paths, folding }) : locked;
    });
    if ('lock' in rows) return { kind: 'locked', lock: rows.lock };
    const looked = new Map<StorePath, FileStat | undefined>();
    const volumes = new Map<StorePath, Volume>();
    const parents = new Set<StorePath>();
    const saves = places.map((place): SaveTarget => {
      // What is deferred is locked by us, and no row of it is read: the first look will do.
      const wasDeferred = deferred.at(place.name) !== undefined;
      const stat = wasDeferred ? place.stat : lookAt(context, place, parents);
      looked.set(place.path, stat);
      const volume = volumeFor(context, place, { looked, known: volumes }).path;
      const checksum = stat === undefined ? undefined : knownChecksum(rows.found.get(place.path), stat);
      return saveTarget(context, place, {
        stat,
        volume,
        checksum,
        wasDeferred,
      });
    });
    const planned = places.map((place) => plannedSave(place, looked.get(place.path)));
    checkSizes(context, planned);
    checkPermissions(context, planned);
    const required = places.flatMap(({ path, options }) =>
      options.ifRevision === undefined ? [] : asRead(rows.found.get(path)),
    );
    const forced = new Set(places.flatMap(({ path, options }) => (options.force === true ? [path] : [])));
    const lock = refuseReads(context, [...request.reads, ...required], { forced, deferred, owner });
    if (lock !== undefined) return { kind: 'locked', lock };
    const number = { owner: owner, counter: request.counter };
    const vacant = fresh.filter((path) => looked.get(path) === undefined);
    const targets = saves.map(({ target }) => target);
    return {
      kind: 'ready',
      staged: { id: transactionId(number), targets: [], contentBytes: sizeOf(targets) },
      saves,
      proposal: {
        number,
        targets: [],
        entries: [],
        reads: request.reads,
        brought: [],
        adopts: [],
        planReads: [...rows.values.values()],
        vacant: rows.vacancies.filter(({ path }) => vacant.includes(path)),
        requiredRevisions: places.flatMap(({ path, options: { ifRevision } }) =>
          ifRevision === undefined ? [] : [{ path, revision: ifRevision }],
        ),
        vacated: [],
      },
      logBytes: estimateLogBytes(
        [...targets, ...[...older].flatMap((each) => [...each.targets.values()].map(({ target }) => target))],
        [],
      ),
      forced: false,
    };
  }
}
