import { build } from './build.mjs';
import { runNode } from './run.mjs';

build();
process.exitCode = runNode('packages/forewrit/dist-test/docs/write-sessions.js', process.argv.slice(2));
