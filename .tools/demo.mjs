import { build } from './build.mjs';
import { runNode } from './run.mjs';

build();
process.exitCode = runNode('packages/forewrit/dist/cli.js', ['demo', ...process.argv.slice(2)]);
