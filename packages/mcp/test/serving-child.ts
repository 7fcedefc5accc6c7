/** The server as the command runs it, with a place at which it is killed: `<root> <failpoint as JSON>`. */

import { serveStdio } from '#src/stdio.js';
import type { StoreOptions } from '@forewrit/core';

const [, , root, failpoint] = process.argv;

await serveStdio({
  root: root!,
  store: { failpoint: JSON.parse(failpoint!) as NonNullable<StoreOptions['failpoint']> },
});
