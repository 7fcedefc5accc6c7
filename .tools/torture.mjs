import { build } from './build.mjs';
import { runNode } from './run.mjs';

build();
process.exitCode = runNode('packages/recovery/dist-test/crash/torture.js', process.argv.slice(2));
