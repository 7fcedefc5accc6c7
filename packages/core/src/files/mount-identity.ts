/**
 * Tells whether a file system was mounted again since somebody last looked, on Linux.
 *
 * Neither the device number nor the mount id of `/proc/self/mountinfo` can: both are handed out again as soon as they
 * are free, so that unmounting and mounting gives the old ones back. What never comes back within a boot is the inode
 * number that sysfs gives to the directory of a mounted ext4, xfs, f2fs or btrfs: it is counted up for each new one.
 * That directory stands for the superblock, so it is also the same in every mount namespace and bind mount. For other
 * file systems the mount id has to do: there a change is proof of another mount, and no change is none.
 */

export interface MountProbe {
  /** The content of a small text file; `undefined` if it cannot be read. */
  readText(path: string): string | undefined;
  /** The inode number of what the path leads to (symbolic links are followed); `undefined` if there is nothing. */
  inodeOf(path: string): bigint | undefined;
  /** What a symbolic link holds; `undefined` if it is none. */
  readLink(path: string): string | undefined;
  list(path: string): readonly string[];
}

export interface MountEntry {
  readonly id: string;
  /** `major:minor` */
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
}

/** `undefined` where there is no `/proc`, or where it does not know the path. */
export function mountIdentity(probe: MountProbe, path: string, device: bigint): string | undefined {
  const table = probe.readText('/proc/self/mountinfo');
  if (table === undefined) return undefined;
  const entry = mountOf(parseMountTable(table), path);
  if (entry === undefined) return undefined;
  const instance = superblockInstance(probe, entry);
  const place = instance === undefined ? `mount ${entry.id}` : `instance ${instance}`;
  return `${entry.type} ${place} device ${device}`;
}

export function parseMountTable(table: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of table.split('\n')) {
    const fields = line.split(' ');
    // Optional fields end with a lone hyphen; type and source come after it.
    const end = fields.indexOf('-', 6);
    const [id, , device, , mountPoint] = fields;
    const type = fields[end + 1];
    const source = fields[end + 2];
    if (end < 0 || !id || !device || !mountPoint || !type || source === undefined) continue;
    entries.push({ id, device, mountPoint: unescapeOctal(mountPoint), type, source: unescapeOctal(source) });
  }
  return entries;
}

/** The mount that a path is on: the longest mount point above it, the last one of those that cover each other. */
export function mountOf(entries: readonly MountEntry[], path: string): MountEntry | undefined {
  let best: MountEntry | undefined;
  for (const entry of entries) {
    const point = entry.mountPoint;
    const covers = point === '/' || path === point || path.startsWith(`${point}/`);
    if (covers && (best === undefined || point.length >= best.mountPoint.length)) best = entry;
  }
  return best;
}

function superblockInstance(probe: MountProbe, entry: MountEntry): string | undefined {
  const directory = sysfsDirectory(probe, entry);
  return directory === undefined ? undefined : probe.inodeOf(directory)?.toString();
}

function sysfsDirectory(probe: MountProbe, entry: MountEntry): string | undefined {
  switch (entry.type) {
    case 'ext2':
    case 'ext3':
    case 'ext4':
      return ofBlockDevice(probe, '/sys/fs/ext4', entry.device);
    case 'xfs':
    case 'f2fs':
      return ofBlockDevice(probe, `/sys/fs/${entry.type}`, entry.device);
    case 'btrfs':
      return ofBtrfs(probe, entry.source);
    default:
      return undefined;
  }
}

function ofBlockDevice(probe: MountProbe, parent: string, device: string): string | undefined {
  const name = lastComponent(probe.readLink(`/sys/dev/block/${device}`));
  return name === undefined ? undefined : `${parent}/${name}`;
}

// A btrfs has a device number of its own and is known by its uuid; its directory lists the block devices below it.
function ofBtrfs(probe: MountProbe, source: string): string | undefined {
  const name = lastComponent(source);
  if (name === undefined) return undefined;
  const uuid = probe
    .list('/sys/fs/btrfs')
    .find((each) => probe.inodeOf(`/sys/fs/btrfs/${each}/devices/${name}`) !== undefined);
  return uuid === undefined ? undefined : `/sys/fs/btrfs/${uuid}`;
}

function lastComponent(path: string | undefined): string | undefined {
  const name = path?.slice(path.lastIndexOf('/') + 1);
  return name === '' ? undefined : name;
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
