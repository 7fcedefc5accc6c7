/** Commits many one-file transactions in one group, and is killed before any of them is applied. */

import { onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { openStore } from '#src/index.js';

export interface GroupRequest {
  readonly root: string;
  readonly firstFile: number;
  readonly files: number;
}

export interface GroupMessage {
  readonly type: 'open';
}

const { root, firstFile, files } = requestOf<GroupRequest>();
const store = await openStore(root, {
  committer: 'inline',
  failpoint: { name: 'log.after', action: 'kill' },
});
onCommand(() => {
  for (let index = firstFile; index < firstFile + files; index += 1)
    void store.writeFile(`${index}.txt`, `content ${index}`);
});
say({ type: 'open' } satisfies GroupMessage);
