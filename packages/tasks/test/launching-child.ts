/** A process that launches a task, as an engine would, for a test to kill. */

import { requestOf, say } from '@forewrit/testkit';
import { DetachedSupervisor } from '#src/supervision/detached-supervisor.js';
import type { LaunchOrder } from '#src/supervision/supervisor.js';

export interface LaunchingRequest {
  readonly directory: string;
  readonly order: LaunchOrder;
}

export interface LaunchingMessage {
  readonly type: 'launched';
  readonly pid: number;
}

async function main(): Promise<void> {
  const { directory, order } = requestOf<LaunchingRequest>();
  const supervisor = new DetachedSupervisor();
  const { pid } = await supervisor.launch(directory, order);
  const connection = await supervisor.connect(directory, order.nonce);
  connection?.onEvent(() => undefined);
  say({ type: 'launched', pid });
  setInterval(() => undefined, 60_000);
}

void main();
