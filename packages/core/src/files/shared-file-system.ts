/** File systems that several kernels may share: LMDB's locks and our fingerprints hold within one kernel only. */

import { StoreError } from '../errors.js';
import type { FileSystem } from './file-system.js';

/** `f_type` of statfs(2), from linux/magic.h and the file systems' own sources. */
const sharedTypes: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB2',
  0x01021997: '9p',
  0x65735546: 'FUSE or virtiofs',
  0x5346414f: 'AFS',
  0x73757245: 'Coda',
  0x00c36400: 'Ceph',
  0x01161970: 'GFS2',
  0x7461636f: 'OCFS2',
  0x0bd00bd0: 'Lustre',
  0x47504653: 'GPFS',
  0x19830326: 'BeeGFS',
  0x786f4256: 'VirtualBox shared folder',
  0xbacbacbc: 'VMware shared folder',
};

export function refuseSharedFileSystem(fileSystem: FileSystem, directory: string): void {
  const type = fileSystem.space(directory).type >>> 0;
  const name = sharedTypes[type];
  if (name === undefined) return;
  throw new StoreError('ERR_NETWORK_FS', `'${directory}' is on a file system that can be shared (${name})`, {
    op: 'open',
    path: directory,
    hint: 'Put the store on a local disk, or pass { allowSharedFileSystem: true } and let one machine at a time use it.',
  });
}
