/** Whether writes can be expected to go well. */

import { describeDisks, type DiskDescription, type Store, type StoreSpace } from '@forewrit/core';

export interface Health {
  /** `degraded`: slow, or soon in the way. `unhealthy`: writes fail. */
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly problems: readonly string[];
  readonly space: StoreSpace;
  /** What the system tells of its disks, if it does so in time. */
  readonly disks: readonly DiskDescription[];
}

export async function healthOf(
  store: Store,
  limits: { readonly waiting: number; readonly atOnceMax: number; readonly spaceLowBytes: number },
): Promise<Health> {
  const problems: string[] = [];
  let isUnhealthy = false;
  if (store.status !== 'open') {
    problems.push(`the store is ${store.status}`);
    isUnhealthy = true;
  }
  const space = store.space();
  const usable = space.availableBytes - space.reserveBytes;
  if (usable <= 0) {
    problems.push('the disk is full up to its reserve');
    isUnhealthy = true;
  } else if (usable < limits.spaceLowBytes) problems.push(`${usable} bytes of the disk are left`);
  if (limits.waiting > limits.atOnceMax) problems.push(`${limits.waiting} operations wait for their turn`);
  const overdue = (await store.staged()).filter((each) => each.overdue && each.heldBy === 'nobody');
  if (overdue.length > 0) problems.push(`${overdue.length} staged contents are past their age`);
  return {
    status: isUnhealthy ? 'unhealthy' : problems.length > 0 ? 'degraded' : 'healthy',
    problems,
    space,
    disks: await describeDisks(),
  };
}
