import { changedCodes, hasCode } from '../errors.js';
import type { StorePath } from '../path/path.js';

/** What was planned on is not there any more: plan again. */
export class PlanOutdated extends Error {
  override readonly name = 'PlanOutdated';
  readonly path: StorePath;
  constructor(path: StorePath) {
    super(`'${path}' changed since the plan was made`);
    this.path = path;
  }
}

/** For an error that was met at a path which the plan stands on: outdated, or the error as it is. */
export function outdatedBy(error: unknown, path: StorePath): unknown {
  return hasCode(error, changedCodes) ? new PlanOutdated(path) : error;
}
