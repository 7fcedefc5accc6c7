/**
 * The store's own directories: what is missing, what belongs to nobody, what is not ours, and who may get there. Names are
 * looked at, contents are not.
 */

import {
  type FileStat,
  type FileSystem,
  isTokenAlive,
  normalizationMarker,
  type ProcessTable,
  type StoreLayout,
  storeLayout,
  systemCode,
  witnessPrefix,
} from '@forewrit/core';
import { parseStagingName } from '../undo.js';
import { finding, type Finding, forewrit, shown } from './finding.js';
import { setAsideName, unfinishedName } from './set-aside.js';
import { takenPlace, takenPlaces } from './taken.js';

export interface PlaceLook {
  /** The root of the store. */
  readonly root: string;
  readonly fileSystem: FileSystem;
  readonly processTable: ProcessTable;
  readonly probeWitness: (path: string) => Promise<'refused' | 'accepted' | 'unknown'>;
  /** Of the store's own area, and of others that are there. */
  readonly areas: readonly string[];
  /** What the log says. Absent where it cannot be read: then nothing can be said to belong to nobody. */
  readonly log?: {
    readonly ownerIds: ReadonlySet<string>;
    readonly witnesses: ReadonlySet<string>;
  };
}

/** `<id>.<nonce>`: what a first open writes before it renames it. */
export const temporaryIdentity = /^id\.[0-9a-f]{8}$/;
const ownNames = ['.gitignore', 'id', 'log', 'staged', 'before', 'conflicts', 'spare', 'tasks', setAsideName];
const ownLogNames = ['data.mdb', 'lock.mdb', 'queue', 'queue-wanted', 'flush-failed'];
const makingPrefixes = ['creating-', 'queue-new-'];

export async function checkPlaces(look: PlaceLook): Promise<Finding[]> {
  const layout = storeLayout(look.root);
  return [
    ...takenPlaces(look.root, look.fileSystem),
    ...topNames(look, layout),
    ...(await logNames(look, layout)),
    ...look.areas.flatMap((area) => areaNames(look, area)),
    ...spares(look, layout),
    ...permissions(look, layout),
  ];
}

function topNames(look: PlaceLook, layout: StoreLayout): Finding[] {
  const names = namesIn(look, layout.directory);
  const known = new Set([...ownNames, normalizationMarker, normalizationMarker.normalize('NFD')]);
  const hasIdentity = names.includes('id');
  const found = names.flatMap((name) => {
    const path = `${layout.directory}/${name}`;
    if (known.has(name)) return [];
    if (!temporaryIdentity.test(name)) return foreign(look, path);
    const message = `${path} was written by a first open that did not come to its end`;
    return [finding('leftover', { path, message, remedy: { command: forewrit(look.root, 'recover') } })];
  });
  const hasLog = lookAt(look, `${layout.log}/data.mdb`) !== undefined;
  if (!hasIdentity && hasLog) {
    const message = `${layout.identity} is missing`;
    const remedy = { command: forewrit(look.root, 'recover') };
    found.push(finding('identity-missing', { path: layout.identity, message, remedy }));
  }
  return [
    ...found,
    ...setAside(look, names.includes(setAsideName) ? `${layout.directory}/${setAsideName}` : undefined),
  ];
}

function setAside(look: PlaceLook, directory: string | undefined): Finding[] {
  if (directory === undefined) return [];
  return namesIn(look, directory).map((name) => {
    const path = `${directory}/${name}`;
    if (lookAt(look, `${path}/${unfinishedName}`) === undefined) {
      const message = `A log that was reset is kept in ${path}`;
      return finding('set-aside', { path, message, remedy: { advice: 'Nothing has to be done.' } });
    }
    const command = forewrit(look.root, 'recover', '--reset-log', '--yes');
    const message = `A reset of the log did not come to its end: ${path}`;
    return finding('reset-unfinished', { path, message, remedy: { command } });
  });
}

async function logNames(look: PlaceLook, { log }: StoreLayout): Promise<Finding[]> {
  const { root, processTable } = look;
  const recover = { command: forewrit(root, 'recover') };
  const found: Finding[] = [];
  for (const name of namesIn(look, log)) {
    const path = `${log}/${name}`;
    const making = makingPrefixes.find((prefix) => name.startsWith(prefix));
    if (name === 'flush-failed') {
      const message = `A flush of the log has failed: ${path}`;
      found.push(finding('flush-failed', { path, message, remedy: recover }));
    } else if (ownLogNames.includes(name)) continue;
    else if (name.startsWith(witnessPrefix)) {
      const isRegistered = look.log?.witnesses.has(name) ?? true;
      if (isRegistered || (await look.probeWitness(path)) !== 'refused') continue;
      const message = `The socket ${path} refuses connections, and no owner has registered it`;
      found.push(finding('socket-stale', { path, message, remedy: recover }));
    } else if (making !== undefined) {
      if (isTokenAlive(name.slice(making.length), processTable)) continue;
      const message = `${path} was being made by a process that is dead`;
      found.push(finding('leftover', { path, message, remedy: recover }));
    } else found.push(...foreign(look, path));
  }
  if (lookAt(look, `${log}/queue`)?.type === 'directory') {
    for (const name of namesIn(look, `${log}/queue`))
      if (name !== 'free' && !name.startsWith('held-')) found.push(...foreign(look, `${log}/queue/${name}`));
  }
  return found;
}

/** What is ours there and belongs to nobody is known by the log. */
function areaNames(look: PlaceLook, area: string): Finding[] {
  // Where we may not look nothing is known to be missing.
  if (tolerant(() => look.fileSystem.list(area)) === undefined) return [];
  return ['staged', 'before', 'conflicts'].flatMap((place) => {
    const directory = `${area}/${place}`;
    const stat = lookAt(look, directory);
    if (stat === undefined || stat.type !== 'directory') return [missingPlace(look, directory, stat)];
    const names = namesIn(look, directory);
    if (place === 'conflicts') return kept(directory, names);
    return names
      .filter((name) => parseStagingName(name) === undefined)
      .flatMap((name) => foreign(look, `${directory}/${name}`));
  });
}

function kept(directory: string, names: readonly string[]): Finding[] {
  if (names.length === 0) return [];
  const message = `${names.length} kept aside in ${directory}: ${shown(names)}`;
  return [finding('kept-aside', { path: directory, message, remedy: { advice: 'Nothing has to be done.' } })];
}

function missingPlace(look: PlaceLook, path: string, stat: FileStat | undefined): Finding {
  if (stat !== undefined) return takenPlace(path, { ...look, is: stat.type, wanted: 'directory' });
  const remedy = { command: forewrit(look.root, 'recover') };
  return finding('place-missing', { path, message: `The directory ${path} is missing`, remedy });
}

function foreign({ root }: PlaceLook, path: string): Finding[] {
  const conflicts = `${storeLayout(root).directory}/conflicts/`;
  const advice = 'The command moves it to where content is kept for you to look at; or delete it.';
  const message = `${path} is not of this store’s making`;
  return [
    finding('foreign-name', {
      path,
      message,
      remedy: { command: ['mv', '-n', '--', path, conflicts], advice },
    }),
  ];
}

function spares(look: PlaceLook, { spare }: StoreLayout): Finding[] {
  if (look.log === undefined || lookAt(look, spare)?.type !== 'directory') return [];
  const { ownerIds } = look.log;
  const orphans = namesIn(look, spare).filter((name) => !ownerIds.has(name.split('-')[0] ?? ''));
  if (orphans.length === 0) return [];
  const message = `${orphans.length} spare of nobody in ${spare}: ${shown(orphans)}`;
  return [
    finding('spare-orphan', { path: spare, message, remedy: { command: forewrit(look.root, 'recover') } }),
  ];
}

/** Of what the store made for itself. Files in `staged/` and `before/` are links of yours, and keep your modes. */
function permissions(look: PlaceLook, layout: StoreLayout): Finding[] {
  const { directory, log, identity, gitignore, spare, tasks } = layout;
  const inLog = namesIn(look, log).map((name) => `${log}/${name}`);
  const areas = look.areas.flatMap((area) => [
    area,
    ...['staged', 'before', 'conflicts'].map((name) => `${area}/${name}`),
  ]);
  const places = [...new Set([directory, log, spare, tasks, ...areas, identity, gitignore, ...inLog])];
  const store = lookAt(look, directory);
  const found: Finding[] = [];
  const strangers: string[] = [];
  for (const path of places) {
    const stat = lookAt(look, path);
    if (stat === undefined || store === undefined) continue;
    if (stat.uid !== store.uid) strangers.push(path);
    if (stat.type !== 'directory' && stat.type !== 'file') continue;
    const wanted = stat.type === 'directory' ? 0o700 : 0o600;
    if ((stat.mode & 0o777 & ~0o700) === 0 && (stat.mode & wanted) === wanted) continue;
    const octal = wanted.toString(8);
    const message = `${path} has mode ${(stat.mode & 0o777).toString(8).padStart(3, '0')}, and should have ${octal}`;
    found.push(finding('permissions', { path, message, remedy: { command: ['chmod', octal, path] } }));
  }
  if (strangers.length > 0 && store !== undefined) {
    const change = ['chown', '-h', `${store.uid}:${store.gid}`, ...strangers];
    const message = `${shown(strangers)} should belong to the user ${store.uid}`;
    const remedy = { command: process.getuid?.() === 0 ? change : ['sudo', ...change] };
    found.push(finding('foreign-owner', { path: strangers[0]!, message, remedy }));
  }
  return found;
}

/** Nothing where we may not look: that is another finding. */
function namesIn({ fileSystem }: PlaceLook, directory: string): string[] {
  return tolerant(() => fileSystem.list(directory).sort()) ?? [];
}

function lookAt({ fileSystem }: PlaceLook, path: string): FileStat | undefined {
  return tolerant(() => fileSystem.lstat(path));
}

const tolerated = new Set(['EACCES', 'EPERM', 'ENOENT', 'ENOTDIR']);

function tolerant<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (tolerated.has(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}
