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
