/** Builds what is on the medium after a power cut, from what was there for sure and what else survived. */
import { applyScatter } from './file-content.js';
import { applyWhole, applyWriteOutcome, type Effect, type WriteEffect } from './pending-effect.js';
import { mix32 } from './random.js';
import { type InodeId, type InodeTable, inodeAt, ownInode } from './simulated-inode.js';

export interface ImageBase {
  readonly table: InodeTable;
  readonly effects: readonly Effect[];
  readonly roots: readonly InodeId[];
  readonly sectorBytes: number;
}

export interface CrashImage {
  /** What can be reached. Its inodes belong to nobody. */
  readonly table: InodeTable;
  readonly linkCounts: number[];
}

/** `outcomes` has a number for each effect: 0 is lost, 1 whole, the others parts of a write. */
export function buildImage(base: ImageBase, outcomes: readonly number[]): CrashImage {
  const { effects, roots, sectorBytes } = base;
  const owner = {};
  const table = base.table.slice();
  for (let index = 0; index < effects.length; index += 1) {
    survive(table, effects[index] as Effect, { owner, outcome: outcomes[index] ?? 0, sectorBytes });
  }
  return { table, linkCounts: countLinks(table, roots) };
}

/** Puts on a table what survives of one effect. */
export function survive(
  table: InodeTable,
  effect: Effect,
  how: { owner: object; outcome: number; sectorBytes: number },
): void {
  const { outcome, owner } = how;
  if (outcome === 0) return;
  if (outcome === 1 || effect.kind !== 'write') applyWhole(table, effect, owner);
  else applyPart(table, effect, how);
}

function applyPart(
  table: InodeTable,
  effect: WriteEffect,
  { owner, outcome, sectorBytes }: { owner: object; outcome: number; sectorBytes: number },
): void {
  const name = effect.outcomes[outcome];
  if (name !== undefined) {
    applyWriteOutcome(table, effect, { owner, outcome: name, sectorBytes });
    return;
  }
  const keeps = (sector: number): boolean => (mix32(outcome * 0x10001 + sector) & 1) === 1;
  applyScatter(ownInode(table, effect.id, owner), effect, { keeps, sectorBytes });
}

/** Walks the tree, forgets what it does not reach, and gives the link counts of the rest. */
function countLinks(table: InodeTable, roots: readonly InodeId[]): number[] {
  const counts: number[] = [];
  for (let id = 0; id < table.length; id += 1) counts.push(0);
  const directories = roots.slice();
  for (const root of roots) counts[root] = 2;
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    for (const child of inodeAt(table, directory).entries.values()) {
      const count = counts[child] as number;
      if (inodeAt(table, child).kind !== 'directory') {
        counts[child] = count + 1;
        continue;
      }
      // The simulation's own mistake, and not one to be taken for a finding.
      if (count !== 0) throw new Error(`Simulated disk: directory ${child} is in two places`);
      counts[child] = 2;
      counts[directory] = (counts[directory] as number) + 1;
      directories.push(child);
    }
  }
  for (let id = 0; id < table.length; id += 1) if (counts[id] === 0) table[id] = undefined;
  return counts;
}
