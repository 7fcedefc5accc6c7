/**
 * `check`: everything that can be wrong with a store, each with what it means and the command that mends it. It writes
 * nothing, also beside a living store. What others are just doing looks wrong for a moment: so whatever was found is
 * looked for once more, and only what is found both times is told.
 */

import {
  isStoreError,
  NodeFileSystem,
  openAccess,
  openReadOnlyParts,
  openRoot,
  probeWitness,
  StoreError,
  storeLayout,
  type StoreOptions,
  systemProcessTable,
  type Volume,
  volumeDirectory,
  withStoreCode,
} from '@forewrit/core';
import { inspect, type Inspection } from '../inspect.js';
import { checkFiles, type FilesChecked } from './files.js';
import { finding, type Finding, forewrit, isError, shown } from './finding.js';
import { findingOfError } from './explain.js';
import { checkHistory } from './history.js';
import { checkPlaces } from './places.js';
import { checkTransactions } from './transactions.js';

export interface CheckOptions
  extends Pick<StoreOptions, 'roots' | 'processTable' | 'probeWitness' | 'allowSharedFileSystem'> {
  /** Read every file, and all that history keeps, and compare it with its recorded checksum. Default: false. */
  readonly readData?: boolean;
  /** How many files of how many were read. */
  readonly onProgress?: (done: number, total: number) => void;
  /** How many transactions of history, of how many, were looked at. */
  readonly onHistoryProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface CheckReport {
  readonly root: string;
  /** Files that were read; 0 without `readData`. */
  readonly files: number;
  /** The worst first. */
  readonly findings: readonly Finding[];
  /** Whether nothing was found but notes. */
  readonly clean: boolean;
}

/**
 * Looks at the store at `root`, and changes nothing.
 *
 * @throws StoreError ERR_NOT_FOUND or ERR_NOT_DIRECTORY where there is no store; `signal.reason` when it is aborted
 */
export async function check(root: string | URL, options: CheckOptions = {}): Promise<CheckReport> {
  const { roots } = openRoot(root, { ...storeOptions(options), readOnly: true }, 'inspect');
  requireStore(roots.root);
  const first = await look(roots.root, options);
  const again = first.findings.some(isError) ? await look(roots.root, options) : first;
  const read = await readContents(roots.root, options, first);
  const confirmed = new Set(again.findings.map(identityOf));
  const findings = [...first.findings.filter((each) => confirmed.has(identityOf(each))), ...read.findings];
  return {
    root: roots.root,
    files: read.files,
    findings: findings.sort((a, b) => rankOf(a) - rankOf(b)),
    clean: !findings.some(isError),
  };
}

const order: readonly Finding['severity'][] = ['error', 'warning', 'note'];
/** What is in the way of mending others comes first. */
function rankOf({ severity, code }: Finding): number {
  return code === 'place-taken' ? -1 : order.indexOf(severity);
}

const nothingRead: FilesChecked = { files: 0, findings: [] };

function storeOptions({
  roots,
  processTable,
  probeWitness: probe,
  allowSharedFileSystem,
}: CheckOptions): StoreOptions {
  return {
    ...(roots === undefined ? {} : { roots }),
    ...(processTable === undefined ? {} : { processTable }),
    ...(probe === undefined ? {} : { probeWitness: probe }),
    ...(allowSharedFileSystem === undefined ? {} : { allowSharedFileSystem }),
  };
}

function identityOf({ code, path = '', transaction = '' }: Finding): string {
  return `${code}\0${path}\0${transaction}`;
}

/** What stands in the way of one look stands in the way of others. */
function withoutRepeats(found: readonly Finding[]): Finding[] {
  const first = new Map(found.toReversed().map((each) => [identityOf(each), each]));
  return found.filter((each) => each.code !== 'place-taken' || first.get(identityOf(each)) === each);
}

function requireStore(root: string): void {
  const { directory } = storeLayout(root);
  if (new NodeFileSystem().lstat(directory)?.type === 'directory') return;
  throw new StoreError('ERR_NOT_FOUND', `There is no store at '${root}'`, { op: 'inspect', path: root });
}

interface Look {
  readonly findings: readonly Finding[];
  /** Where the log can be read, and is of this tree. */
  readonly sound: Inspection | undefined;
}

async function look(root: string, options: CheckOptions): Promise<Look> {
  const fileSystem = new NodeFileSystem();
  const layout = storeLayout(root);
  const looked = await inspected(root, options);
  const { inspection } = looked;
  const found = [...looked.findings];
  if (inspection !== undefined) {
    found.push(...problems(inspection), ...leftovers(inspection), ...areas(inspection));
    if (inspection.problems.length === 0) {
      const readData = options.readData === true;
      found.push(...orErrors(root, () => checkTransactions({ inspection, fileSystem, readData })));
    }
  }
  const sound = inspection?.problems.length === 0 ? inspection : undefined;
  found.push(
    ...(await checkPlaces({
      root,
      fileSystem,
      processTable: options.processTable ?? systemProcessTable(),
      probeWitness: options.probeWitness ?? probeWitness,
      // Of a store that was never finished nothing else can be missing.
      areas: found.some(({ code }) => code === 'creation-unfinished')
        ? []
        : [layout.directory, ...areaDirectories(inspection)],
      ...(sound === undefined ? {} : { log: namesInLog(sound) }),
    })),
  );
  return { findings: withoutRepeats(found), sound };
}

/** What the system answers is a finding. */
function orErrors(root: string, body: () => Finding[]): Finding[] {
  try {
    return body();
  } catch (thrown) {
    const error = withStoreCode(thrown, { op: 'check', path: root });
    if (!isStoreError(error)) throw error;
    return [findingOfError(error, { root })];
  }
}

function namesInLog({ owners }: Inspection): { ownerIds: Set<string>; witnesses: Set<string> } {
  return {
    ownerIds: new Set(owners.map(({ id }) => id)),
    witnesses: new Set(owners.flatMap(({ witness }) => witness ?? [])),
  };
}

/** Areas on other file systems; the store's own is known. */
function areaDirectories(inspection: Inspection | undefined): string[] {
  return (inspection?.areas ?? []).flatMap(({ path, volume }) =>
    path === '' || volume === undefined ? [] : [volume.staged.slice(0, volume.staged.lastIndexOf('/'))],
  );
}

async function inspected(
  root: string,
  options: CheckOptions,
): Promise<{ readonly inspection?: Inspection; readonly findings: readonly Finding[] }> {
  try {
    return { inspection: await inspect(root, storeOptions(options)), findings: [] };
  } catch (thrown) {
    const error = withStoreCode(thrown, { op: 'inspect', path: root });
    if (!isStoreError(error)) throw error;
    if (error.code === 'ERR_NETWORK_FS') throw error;
    if (error.code !== 'ERR_NOT_FOUND') return { findings: [findingOfError(error, { root })] };
    const path = storeLayout(root).directory;
    const message = `${path} has neither a log nor the id of a store`;
    const remedy = { command: forewrit(root, 'recover') };
    return { findings: [finding('creation-unfinished', { path, message, remedy })] };
  }
}

/** Of several damaged records each is named, and one command mends them all. */
function problems({ root, problems: known }: Inspection): Finding[] {
  const said = new Set<string>();
  return known.flatMap(({ code, message }) => {
    if (said.has(message)) return [];
    said.add(message);
    const error = new StoreError(code as StoreError['code'], message, { op: 'inspect' });
    const found = findingOfError(error, { root });
    return [found.code === 'place-taken' ? found : { ...found, path: `${storeLayout(root).log}/data.mdb` }];
  });
}

function leftovers({ root, leftovers: names, areas: known }: Inspection): Finding[] {
  const remedy = { command: forewrit(root, 'recover') };
  return known.flatMap(({ volume }) => {
    if (volume === undefined) return [];
    return (['staged', 'before'] as const).flatMap((place) => {
      const directory = volume[place];
      const here = names
        .filter((name) => name.startsWith(`${directory}/`))
        .map((name) => name.slice(directory.length + 1));
      if (here.length === 0) return [];
      const message = `${here.length} ${here.length === 1 ? 'name' : 'names'} of nobody in ${directory}: ${shown(here)}`;
      return [finding(`${place}-orphan`, { path: directory, message, remedy })];
    });
  });
}

function areas({ root, areas: known }: Inspection): Finding[] {
  return known.flatMap(({ path, volume }) => {
    if (volume !== undefined) return [];
    const message = `The staging area '${volumeDirectory(path, path)}' is not there`;
    const remedy = { advice: 'Mount it, or open the store with its root, if files there are still used.' };
    return [finding('area-missing', { path: path === '' ? root : path, message, remedy })];
  });
}

async function readContents(root: string, options: CheckOptions, { sound }: Look): Promise<FilesChecked> {
  const { readData = false, onProgress, onHistoryProgress, signal } = options;
  const kept = sound?.history.transactions ?? 0;
  if (sound === undefined || (!readData && kept === 0)) return nothingRead;
  const readOnly = { ...storeOptions(options), readOnly: true };
  const opened = openRoot(root, readOnly, 'inspect');
  const parts = await openReadOnlyParts(opened, readOnly, {
    umask: 0o22,
    privileged: false,
    checkRowsAtOpen: false,
  });
  try {
    const progress = onProgress ?? (() => undefined);
    const { files, findings } = readData
      ? await checkFiles(openAccess(parts, readOnly, undefined), { root, progress, signal })
      : nothingRead;
    const { log, fileSystem } = parts;
    const ofHistory = await checkHistory({
      log,
      fileSystem,
      volumes: volumesIn(sound),
      readData,
      progress: (done) => onHistoryProgress?.(done, Math.max(done, kept)),
      signal,
    });
    return { files, findings: [...findings, ...ofHistory] };
  } finally {
    parts.log.close();
  }
}

function volumesIn({ areas: known }: Inspection): Map<string, Volume> {
  return new Map(known.flatMap(({ path, volume }) => (volume === undefined ? [] : [[path, volume]])));
}
