// Checks, without changing anything, what the compiler does not: the lint rules (with types) and the format.
// `--only=lint` or `--only=format` runs one of the two.
import { build } from './build.mjs';
import { runTool } from './run.mjs';

const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length);
const checks = {
  lint: () => runTool('oxlint/bin/oxlint', ['--type-aware', '--deny-warnings']),
  format: () => runTool('@biomejs/biome/bin/biome', ['format']),
};

if (only !== undefined && !(only in checks)) {
  console.error(`--only=${only} is unknown: lint or format.`);
  process.exit(2);
}
build();
for (const [name, check] of Object.entries(checks)) {
  if (only !== undefined && only !== name) continue;
  if (check() !== 0) process.exitCode = 1;
}
