/**
 * A process of another boot that mounts the images of power cuts, one after the other, lets the file system and the
 * store recover, and says what is there. It is to run under `underAnotherBoot`.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import type { RecoveryReport } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { labelOf } from '../process/labelled-content.js';
import { setFiles, SetHistory } from '../process/set-history.js';
import { treeOf } from '../process/set-world.js';
import { type Configuration, mountImage, unmount } from './configurations.js';
import { forewrit, type SaverName } from './workload.js';

export interface JudgeRequest {
  /** For its mount points. */
  readonly directory: string;
}

export interface JudgeCommand {
  readonly image: string;
  readonly configuration: Configuration;
  readonly saver: SaverName;
  readonly seed: number;
  /** The newest version that was acknowledged before the cut, and the newest that was begun. */
  readonly oldest: number;
  readonly newest: number;
}

/**
 * - `whole`: one version, none older than the acknowledged one
 * - `lost`: one version, but older
 * - `mixed`: whole files of several versions
 * - `torn`: a file that nobody ever wrote so
 * - `wrong`: whatever else must not be: in the tree, in the store's directories or in its report
 * - `unmountable`: the file system is lost, so nothing can be said
 */
export type Outcome = 'whole' | 'lost' | 'mixed' | 'torn' | 'wrong' | 'unmountable';

export interface Verdict {
  readonly type: 'verdict';
  readonly outcome: Outcome;
  readonly version: number;
  readonly detail: string;
  readonly redone: number;
  readonly undone: number;
  readonly conflicts: number;
}

class Finding extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome, detail: string) {
    super(detail);
    this.outcome = outcome;
  }
}

const { directory } = requestOf<JudgeRequest>();
let count = 0;

async function judge(command: JudgeCommand): Promise<Verdict> {
  const point = `${directory}/${(count += 1)}`;
  mkdirSync(point);
  const verdict = { type: 'verdict', version: 0, detail: '', redone: 0, undone: 0, conflicts: 0 } as const;
  try {
    mountImage(command.image, point, command.configuration);
  } catch (error) {
    return { ...verdict, outcome: 'unmountable', detail: String(error) };
  }
  try {
    const root = `${point}/${command.saver}`;
    if (command.saver !== forewrit)
      return { ...verdict, outcome: 'whole', version: versionIn(root, command) };
    const { redone, undone, conflicts, ...report } = await recover(root);
    const version = versionIn(root, command);
    assertTree(root, version, command.seed);
    assertClean(root, report);
    await assertAtRest(root);
    const counts = { redone: redone.length, undone: undone.length, conflicts: conflicts.length };
    return { ...verdict, ...counts, outcome: 'whole', version };
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ...verdict, outcome: error instanceof Finding ? error.outcome : 'wrong', detail };
  } finally {
    unmount(point);
  }
}

async function recover(root: string): Promise<RecoveryReport> {
  const store = await openStore(root, { committer: 'inline' });
  await store.close();
  return store.recovery;
}

/** The version of the set, which is 0 before its first save. */
function versionIn(root: string, { oldest, newest }: JudgeCommand): number {
  const versions = new Set(setFiles.map((path) => versionOf(`${root}/${path}`, path)));
  const range = `versions ${[...versions].join(', ')}, not one from ${oldest} to ${newest}`;
  const [version = 0] = versions;
  if (versions.size > 1) throw new Finding('mixed', range);
  if (version < oldest) throw new Finding('lost', range);
  if (version > newest) throw new Finding('wrong', range);
  return version;
}

function versionOf(file: string, path: string): number {
  if (!existsSync(file)) return 0;
  try {
    return Number.parseInt(labelOf(readFileSync(file), path), 10);
  } catch (error) {
    throw new Finding('torn', String(error));
  }
}

function assertTree(root: string, version: number, seed: number): void {
  const history = new SetHistory({ seed });
  history.advanceTo(version);
  const [found, expected] = [treeOf(root), history.tree()];
  for (const path of new Set([...found.keys(), ...expected.keys()])) {
    const is = found.has(path) ? describe(found.get(path)) : 'not there';
    const shouldBe = expected.has(path) ? describe(expected.get(path)) : 'not there';
    const same = is === shouldBe && (found.get(path)?.equals(expected.get(path)!) ?? true);
    if (!same) throw new Finding('wrong', `version ${version}: '${path}' is ${is}, should be ${shouldBe}`);
  }
}

function describe(content: Buffer | undefined): string {
  return content === undefined ? 'a directory' : `a file of ${content.length} bytes`;
}

/** What is in `conflicts/` may be: content that the cut has torn, of which a copy is kept. */
function assertClean(root: string, { kept, blocked }: Pick<RecoveryReport, 'kept' | 'blocked'>): void {
  if (kept.length > 0) throw new Finding('wrong', `kept ${kept.join(', ')}, but nobody has edited anything`);
  if (blocked.length > 0) throw new Finding('wrong', `blocked ${blocked.join(', ')}`);
  for (const place of ['staged', 'before']) {
    const left = readdirSync(`${root}/.forewrit/${place}`);
    if (left.length > 0) throw new Finding('wrong', `left in ${place}: ${left.join(', ')}`);
  }
}

/** Recovering again finds nothing to do. */
async function assertAtRest(root: string): Promise<void> {
  const store = await openStore(root, { committer: 'inline' });
  const { findings } = await store.verify();
  await store.close();
  const { redone, undone, kept, blocked, conflicts, sweptFiles } = store.recovery;
  const again = [...redone, ...undone, ...kept, ...blocked, ...conflicts, ...findings];
  if (again.length > 0 || sweptFiles > 0) {
    throw new Finding('wrong', `not at rest: ${JSON.stringify({ ...store.recovery, findings })}`);
  }
}

onCommand<JudgeCommand>((command) => void judge(command).then(say));
