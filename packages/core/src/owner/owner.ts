/**
 * The owner of transactions: one process at one open of the store; and whether it still lives.
 *
 * To take a living owner for dead would let recovery write the files that it is writing. So death must be proven, and
 * whoever cannot be proven dead is alive: stopped, in another pid namespace, without /proc. `forewrit recover
 * --owner-dead` is the way of a person who knows better.
 */

import type { ProcessIdentity, ProcessLook, ProcessTable } from './process-identity.js';
import { probeWitness, type WitnessAnswer } from './witness.js';

export interface Owner {
  /** Store-wide, +1 for every open. */
  readonly number: number;
  /** `number` in base 36, the first part of staged names. */
  readonly id: string;
  /** New for every open, so that an owner of a restored store is not taken for one of ours. */
  readonly nonce: string;
  readonly identity: ProcessIdentity;
  /** File name of its witness; absent where the system could not give it one. */
  readonly witness?: string;
  /** The mount that held the root when it opened; `undefined` where the platform cannot tell. */
  readonly mount: string | undefined;
  readonly openedAtMs: number;
}

export type Liveness =
  | { readonly alive: true; readonly why: 'self' | 'witness' | 'process' | 'unprovable' | 'other-namespace' }
  | {
      readonly alive: false;
      readonly why: 'boot' | 'witness-refused' | 'no-process' | 'zombie' | 'start-time';
    };

export interface OwnerObservations {
  /** An open of this very process, known to be running. */
  readonly self: boolean;
  /** Of the process that asks. */
  readonly identity: ProcessIdentity;
  /** The process that has the owner's pid in our own namespace; `undefined`: cannot tell. */
  readonly process: ProcessLook | undefined;
  /** `unknown` also where there is none. */
  readonly witness: WitnessAnswer;
}

/**
 * The first rule that applies decides:
 *
 * | observed | verdict |
 * | --- | --- |
 * | it is one of our own, and open | alive |
 * | its witness accepts | alive: no socket outlives its kernel. Before the boot id, which LXC and systemd-nspawn make up for each container |
 * | its boot id is another | dead |
 * | its witness refuses | dead, or its committer is |
 * | our pid namespace, and no such process, a zombie, or another start time | dead |
 * | our pid namespace, and the same start time | alive |
 * | anything else | unprovable, so alive |
 *
 * The proofs after the third rule hold on the same boot, and need not know that it is: were it another, it would be
 * dead by the third. So an unknown boot id neither proves death nor stands in the way of other proofs.
 */
export function judgeOwner(owner: Owner, observations: OwnerObservations): Liveness {
  const { self, identity, process, witness } = observations;
  const theirs = owner.identity;
  if (self) return { alive: true, why: 'self' };
  if (witness === 'accepted') return { alive: true, why: 'witness' };
  if (differ(theirs.bootId, identity.bootId)) return { alive: false, why: 'boot' };
  if (witness === 'refused') return { alive: false, why: 'witness-refused' };

  if (differ(theirs.pidNamespace, identity.pidNamespace)) return { alive: true, why: 'other-namespace' };
  const sameNamespace = theirs.pidNamespace !== '' && theirs.pidNamespace === identity.pidNamespace;
  if (!sameNamespace || process === undefined) return { alive: true, why: 'unprovable' };
  if (!process.exists) return { alive: false, why: 'no-process' };
  if (process.zombie) return { alive: false, why: 'zombie' };
  const startTime = process.startTime ?? '';
  if (differ(theirs.startTime, startTime)) return { alive: false, why: 'start-time' };
  return { alive: true, why: startTime !== '' && theirs.startTime === startTime ? 'process' : 'unprovable' };
}

export interface OwnerProbe {
  readonly processTable: ProcessTable;
  /** Where witnesses are. */
  readonly witnessDirectory: string;
  /** Owners of this process that are open now. */
  readonly selfNumbers?: ReadonlySet<number>;
  /** Asks the witness at a path; injected in simulations. */
  readonly probeWitness?: (path: string) => Promise<WitnessAnswer>;
}

/** Asynchronous, because connecting is: call it before the synchronous pass that needs the answer. */
export async function probeOwner(owner: Owner, probe: OwnerProbe): Promise<Liveness> {
  const identity = probe.processTable.identity();
  if (probe.selfNumbers?.has(owner.number) === true) return { alive: true, why: 'self' };
  const ask = probe.probeWitness ?? probeWitness;
  const witness =
    owner.witness === undefined ? 'unknown' : await ask(`${probe.witnessDirectory}/${owner.witness}`);
  // After the witness: an owner that ends in between is then found dead by one or the other.
  const process = probe.processTable.look(owner.identity.pid);
  return judgeOwner(owner, { self: false, identity, process, witness });
}

/** Whether what an owner has seen applied is still there: the same boot, and no remount since. Doubt is 'no'. */
export function sameBoot(owner: Owner, identity: ProcessIdentity, mountNow: string | undefined): boolean {
  const { bootId } = owner.identity;
  if (bootId === '' || bootId !== identity.bootId) return false;
  return owner.mount !== undefined && owner.mount === mountNow;
}

export function ownerId(number: number): string {
  return number.toString(36);
}

/** Both known, and not the same. */
function differ(one: string, other: string): boolean {
  return one !== '' && other !== '' && one !== other;
}
