/** Runs in a process of its own and says what disks there are: it may hang, and is ended then. */

import * as nodeDiskInfo from 'node-disk-info';

const disks = nodeDiskInfo.getDiskInfoSync().map((disk) => ({
  fileSystem: disk.filesystem,
  mountPoint: disk.mounted,
  capacity: disk.capacity,
}));
process.stdout.write(JSON.stringify(disks));
