// Breaks the protocol in one place after the other, and runs the test that has to notice.
//
//   npm run mutants                        all of them
//   npm run mutants -- --only NAME         one (several: --only A --only B)
//   npm run mutants -- --sample 10         so many at random, by FOREWRIT_TEST_SEED
//   npm run mutants -- --write-list        only writes the list in docs/testing.md
//
// packages/recovery/test/mutants has the list and the machinery.
import { build } from './build.mjs';
import { runNode } from './run.mjs';

build();
process.exitCode = runNode('packages/recovery/dist-test/mutants/command.js', process.argv.slice(2));
