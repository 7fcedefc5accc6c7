/**
 * Opening: the directories, the log, the store's identity, and the registration of this owner. What every part of the
 * engine works with, in one place; no part reaches for anything else.
 */

import { loadChecksum } from '../record/checksum.js';
import { descriptorBudget } from '../files/descriptor-budget.js';
import { Failpoints } from '../failpoint.js';
import { StoreError } from '../errors.js';
import type { FileSystem } from '../files/file-system.js';
import { corrupt, formatVersion } from '../record/frame.js';
import { type Folding, parseTransactionKey, u32Key } from '../record/key.js';
import type { CommitOptions, Log, LogBatch, LogView } from '../log/log.js';
import { type Clock, defaults, type Logger, silent, type StoreOptions, systemClock } from './options.js';
import { type Owner, ownerId } from '../owner/owner.js';
import type { Roots, StorePath } from '../path/path.js';
import { PathResolver } from '../path/path-resolver.js';
import type { ProcessTable } from '../owner/process-identity.js';
import { formatRow, type FormatRow, metaKeys, numberRow, ownerRow, textRow } from '../record/rows.js';
import { SpareFiles } from '../commit/spare-files.js';
import { StagingArea } from '../commit/staging-area.js';
import { bindTree } from './store-identity.js';
import { type StoreLayout, Volumes } from '../files/volume.js';

export interface StoreContext {
  readonly roots: Roots;
  readonly layout: StoreLayout;
  readonly fileSystem: FileSystem;
  readonly log: Log;
  readonly volumes: Volumes;
  readonly resolver: PathResolver;
  readonly stagingArea: StagingArea;
  readonly spares: SpareFiles;
  readonly format: FormatRow;
  readonly folding: Folding;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly failpoints: Failpoints;
  readonly processTable: ProcessTable;
  readonly options: StoreOptions;
  readonly umask: number;
  /** Changes when the file system of the root is mounted again. */
  readonly mount: string;
}

/** Files made ahead of need: two saves of four files. */
const spareFilesMax = 8;

export interface ContextParts {
  readonly roots: Roots;
  readonly layout: StoreLayout;
  readonly fileSystem: FileSystem;
  readonly log: Log;
  readonly processTable: ProcessTable;
  /** Found out from the file system when the store is created. */
  readonly folding: Folding;
  readonly options: StoreOptions;
  /** A new store id. */
  readonly newStoreId: string;
  readonly umask: number;
  readonly privileged: boolean;
}

export async function openContext(parts: ContextParts): Promise<StoreContext> {
  await loadChecksum();
  const { roots, fileSystem, log, options, layout } = parts;
  const clock = options.clock ?? systemClock;
  const format = log.view(readFormat) ?? log.commit((batch) => createFormat(batch, parts, clock.nowMs()));
  refuseOtherFormat(format, roots);
  bindTree(fileSystem, layout, format.storeId, {
    readOnly: options.readOnly === true,
    nonce: parts.newStoreId.slice(0, 8),
  });
  const folding = { caseInsensitive: format.caseInsensitive, normalizing: format.normalizing };
  registerRoots(log, roots, options.readOnly === true);
  const volumes = new Volumes(fileSystem, roots);
  for (const place of log.view(readVolumes)) volumes.addIfThere(place);
  const spares = new SpareFiles({
    fileSystem,
    directory: layout.spare,
    mode: 0o666 & ~parts.umask,
    countMax: spareFilesMax,
  });
  return {
    roots,
    layout,
    fileSystem,
    log,
    volumes,
    spares,
    resolver: new PathResolver(fileSystem, roots, { symlinks: options.symlinks ?? 'follow' }),
    stagingArea: new StagingArea({
      fileSystem,
      roots,
      inlineLimitBytes: options.inlineLimitBytes ?? defaults.inlineLimitBytes,
      umask: parts.umask,
      privileged: parts.privileged,
      spares,
      descriptorsMax: descriptorBudget() / 2,
    }),
    format,
    folding,
    clock,
    logger: options.logger ?? silent,
    failpoints: new Failpoints(options.failpoint),
    processTable: parts.processTable,
    options,
    umask: parts.umask,
    mount: fileSystem.mountId(roots.root) ?? '',
  };
}

/** A store of another version, or a log that is not of this tree. For those who write nothing. */
export function refuseForeignLog(
  { fileSystem, layout, roots }: Pick<ContextParts, 'fileSystem' | 'layout' | 'roots'>,
  format: FormatRow,
): void {
  refuseOtherFormat(format, roots);
  bindTree(fileSystem, layout, format.storeId, { readOnly: true, nonce: '' });
}

function refuseOtherFormat({ version }: FormatRow, { root }: Roots): void {
  if (version === formatVersion) return;
  throw new StoreError('ERR_UNSUPPORTED_FORMAT', `The store has format ${version}, not ${formatVersion}`, {
    op: 'open',
    path: root,
    hint: 'Open it with the version of Forewrit that wrote it. Nothing was changed.',
  });
}

export function readFormat(view: LogView): FormatRow | undefined {
  const value = view.get('meta', metaKeys.format);
  return value === undefined ? undefined : formatRow.decode(metaKeys.format, value);
}

function createFormat(batch: LogBatch, parts: ContextParts, nowMs: number): FormatRow {
  const known = readFormat(batch);
  if (known !== undefined) return known;
  const row: FormatRow = {
    version: formatVersion,
    storeId: parts.newStoreId,
    createdAtMs: nowMs,
    ...parts.folding,
  };
  batch.put('meta', metaKeys.format, formatRow.encode(metaKeys.format, row));
  return row;
}

export function readVolumes(view: LogView): StorePath[] {
  return view
    .range('meta', metaKeys.volumes)
    .map(([key]) => Buffer.from(key).toString().slice('volume\0'.length));
}

/** A further staging area is known to the log, flushed, before anything is put there. */
export function registerVolume(log: Log, place: StorePath): void {
  const key = metaKeys.volume(place);
  if (log.view((view) => view.get('meta', key)) !== undefined) return;
  log.commit((batch) => batch.put('meta', key, textRow.encode(key, place)));
}

function registerRoots(log: Log, roots: Roots, readOnly: boolean): void {
  for (const [name, directory] of roots.named) {
    const key = metaKeys.root(name);
    const value = log.view((view) => view.get('meta', key));
    const known = value === undefined ? undefined : textRow.decode(key, value);
    if (known === directory || readOnly) continue;
    if (known !== undefined) {
      throw new StoreError('ERR_STORE_MISMATCH', `The root '${name}' was ${known}, not ${directory}`, {
        op: 'open',
        path: directory,
        hint: 'A name always means the same directory in one store. Choose another name.',
      });
    }
    log.commit((batch) => batch.put('meta', key, textRow.encode(key, directory)));
  }
}

export function readOwners(view: LogView): Owner[] {
  return view
    .range('owners', { start: new Uint8Array(0) })
    .map(([key, value]) => ownerRow.decode(key, value));
}

/** Registers this open as an owner. Its number is used once. */
export function registerOwner(
  context: StoreContext,
  details: { readonly nonce: string; readonly witness: string | undefined },
): Owner {
  return context.log.commit((batch) => {
    const last = batch.get('meta', metaKeys.owner);
    const number = (last === undefined ? 0 : numberRow.decode(metaKeys.owner, last)) + 1;
    if (newestOwner(batch) >= number)
      throw corrupt('the counter of owners', 'it is behind the owners there are');
    batch.put('meta', metaKeys.owner, numberRow.encode(metaKeys.owner, number));
    forgetWaiters(batch);
    const owner: Owner = {
      number,
      id: ownerId(number),
      nonce: details.nonce,
      identity: context.processTable.identity(),
      ...(details.witness === undefined ? {} : { witness: details.witness }),
      mount: context.mount === '' ? undefined : context.mount,
      openedAtMs: context.clock.nowMs(),
    };
    const key = u32Key(number);
    batch.put('owners', key, ownerRow.encode(key, owner));
    return owner;
  });
}

/** The highest number that is in use: registered, or in a record. */
function newestOwner(view: LogView): number {
  const last = { start: new Uint8Array(0), reverse: true, limit: 1 } as const;
  const [registered] = view.range('owners', last);
  const [record] = view.range('log', last);
  return Math.max(
    registered === undefined ? 0 : ownerRow.decode(...registered).number,
    record === undefined ? 0 : parseTransactionKey(record[0]).owner,
  );
}

/** Rows of owners that died while they waited. */
function forgetWaiters(batch: LogBatch): void {
  for (const [key, value] of batch.range('meta', metaKeys.waitings)) {
    const owner = numberRow.decode(key, value);
    if (batch.get('owners', u32Key(owner)) === undefined) batch.delete('meta', key);
  }
}

export function deregisterOwner(
  { log }: StoreContext,
  number: number,
  options: Pick<CommitOptions, 'timeoutMs'> = {},
): void {
  log.commit((batch) => batch.delete('owners', u32Key(number)), { essential: true, ...options });
}
