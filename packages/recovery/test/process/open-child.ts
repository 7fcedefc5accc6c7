/** A process that opens a store, says what recovery did, and closes it. */
import type { RecoveryReport, StoreOptions } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { requestOf, say } from '@forewrit/testkit/child-process';

export interface OpenRequest {
  readonly root: string;
  readonly options?: StoreOptions;
}

export interface OpenMessage {
  readonly type: 'open';
  readonly recovery: RecoveryReport;
}

const { root, options } = requestOf<OpenRequest>();
const store = await openStore(root, options);
await store.close();
say({ type: 'open', recovery: store.recovery });
