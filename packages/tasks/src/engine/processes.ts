/** Which process this is, and whether that of another engine still runs: by core's own judgement of identities. */

import { type ProcessTable, systemProcessTable } from '@forewrit/core';
import type { Processes } from './options.js';

export function processesOf(table: ProcessTable = systemProcessTable()): Processes {
  return {
    identity() {
      const { pid, startTime, bootId } = table.identity();
      return { pid, startTime, bootId };
    },
    mayLive({ pid, startTime, bootId }) {
      const own = table.identity();
      if (bootId !== '' && own.bootId !== '' && bootId !== own.bootId) return false;
      const seen = table.look(pid);
      if (seen === undefined) return true;
      if (!seen.exists || seen.zombie) return false;
      return startTime === '' || seen.startTime === undefined || seen.startTime === startTime;
    },
  };
}
