/** One way to damage a store, and what is to come of it. */

import type { FindingCode } from '@forewrit/recovery';
import type { DamagedStore } from './damaged-store.js';

export interface Damage {
  readonly name: string;
  /** Done to a store that was filled and closed. */
  readonly damage: (store: DamagedStore) => void | Promise<void>;
  /** What a check finds, without notes. */
  readonly finds: readonly FindingCode[];
  /** Look at the files as well. */
  readonly readData?: boolean;
  /** The commands that the findings name, one after the other; `forewrit`, the root, and repetitions left out. */
  readonly mends?: readonly string[];
  /** What a person has to do instead: then nothing is changed. */
  readonly person?: string;
  /** Files that are not as they were when the damage was done. */
  readonly files?: Readonly<Record<string, string | undefined>>;
  /** Entries afterwards, if not all of them. */
  readonly entries?: Readonly<Record<string, unknown>>;
  /** Contents that are kept aside. */
  readonly kept?: readonly string[];
  /** Of the last mend, if it is not 0. */
  readonly exitCode?: number;
}
