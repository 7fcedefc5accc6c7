/**
 * Opens damaged copies of a reference store, one after the other, and says what each did. LMDB may take this process
 * down with it: then the copy that it had in hand stays, for the test to look at.
 */
import { isDeepStrictEqual } from 'node:util';
import { type FileSystem, isStoreError, type Store, systemProcessTable } from '@forewrit/core';
import { openStore } from '@forewrit/recovery';
import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { collection, type Version } from './reference-stores.js';
import { type Damage, filesAt, removeCopy, Specimen } from './specimen.js';

export interface DamageRequest {
  readonly reference: string;
  /** Where copies are made. */
  readonly root: string;
  readonly versions: readonly Version[];
}

export type DamageMessage = { readonly type: 'ready' } | { readonly type: 'case'; readonly outcome: string };
export type DamageCommand = { readonly cases: readonly Damage[] };

/** No value of theirs. */
const missing = -1;

const { reference, root, versions } = requestOf<DamageRequest>();
// It reads who we are only once.
const processTable = systemProcessTable();
const specimen = new Specimen(reference);

onCommand<DamageCommand>(({ cases }) => void run(cases));
say({ type: 'ready' });

async function run(cases: readonly Damage[]): Promise<void> {
  for (const damage of cases) {
    const fileSystem = specimen.copyTo(root, damage);
    const outcome = await examine(fileSystem);
    removeCopy(root);
    say({ type: 'case', outcome });
  }
}

/**
 * - `correct`; `older`: a whole version, but not the newest
 * - `lost …`: entries are missing, all else is as in a version; `parted …`: files of one version, entries of another
 * - the code of a refusal, when opened or as `read <code>`
 * - `wrong …`: something that never was; `failed …`: an error without a code of ours
 */
async function examine(fileSystem: FileSystem): Promise<string> {
  let store: Store | undefined;
  try {
    store = await openStore(root, {
      committer: 'inline',
      fileSystem,
      processTable,
      lockTimeoutMs: 500,
      checkpointIntervalMs: 1_000_000,
    });
    const seen = await read(store);
    await store.close();
    const files = filesAt(root);
    if (!isDeepStrictEqual(files, seen.files)) return `wrong tree ${JSON.stringify(files)}`;
    return judge(seen);
  } catch (error) {
    const when = store === undefined ? '' : 'read ';
    const files = filesAt(root);
    if (!versions.some((version) => isDeepStrictEqual(version.files, files)))
      return `wrong tree after ${String(error)} ${JSON.stringify(files)}`;
    if (isStoreError(error)) return `${when}${error.code}`;
    return `failed ${when}${error instanceof Error ? error.stack?.split('\n').slice(0, 6).join(' ') : String(error)}`;
  } finally {
    await store?.close().catch(() => undefined);
  }
}

/** A key may be found in a range, and not by itself. */
async function readOneByOne(store: Store): Promise<Record<string, number>> {
  const keys = Object.keys(versions.at(-1)!.entries);
  const found: Record<string, number> = {};
  for (const key of keys) found[key] = (await store.collection<number>(collection).get(key)) ?? missing;
  return found;
}

function judge(seen: Version): string {
  const same = versions.findIndex((version) => isDeepStrictEqual(version, seen));
  if (same !== -1) return same === versions.length - 1 ? 'correct' : 'older';
  const shown = JSON.stringify(seen);
  const whole = versions.filter(({ files }) => isDeepStrictEqual(files, seen.files));
  if (whole.length === 0) return `wrong ${shown}`;
  const isOf = ({ entries }: Version): boolean =>
    Object.entries(seen.entries).every(([key, value]) => entries[key] === value);
  if (whole.some(isOf)) return `lost ${shown}`;
  return `${versions.some(isOf) ? 'parted' : 'wrong'} ${shown}`;
}

async function read(store: Store): Promise<Version> {
  const paths = Object.keys(filesAt(root));
  const contents = await store.readFiles(paths, 'utf8');
  const entries = Object.fromEntries(await store.collection<number>(collection).range());
  return { files: Object.fromEntries(contents), entries: { ...entries, ...(await readOneByOne(store)) } };
}
