import { build } from './build.mjs';
import { runNode } from './run.mjs';

build();
process.exitCode = runNode('bench/dist/main.js', process.argv.slice(2));
