// Installs if need be, compiles every project of tsconfig.json, and removes what a deleted source left behind.
import { chmodSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bootstrap } from './bootstrap.mjs';
import { runTool, workspace } from './run.mjs';

const outputSuffix = /\.(?:js|js\.map|d\.ts|d\.ts\.map)$/;

// A compiled file whose source is gone would still be run as a test, or published.
function removeOrphans(outputs, sources) {
  if (!existsSync(outputs)) return;
  for (const entry of readdirSync(outputs, { recursive: true })) {
    const path = join(outputs, entry);
    if (!outputSuffix.test(entry) || !statSync(path).isFile()) continue;
    const source = join(sources, entry.replace(outputSuffix, '.ts'));
    if (!existsSync(source)) rmSync(path);
  }
}

export function build() {
  bootstrap();
  const code = runTool('typescript/bin/tsc', ['-b']);
  if (code !== 0) process.exit(code);

  const projects = readdirSync(join(workspace, 'packages')).map((name) => join(workspace, 'packages', name));
  for (const project of [...projects, join(workspace, 'bench')]) {
    removeOrphans(join(project, 'dist'), join(project, 'src'));
    removeOrphans(join(project, 'dist-test'), join(project, 'test'));
  }
  chmodSync(join(workspace, 'packages/forewrit/dist/cli.js'), 0o755);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) build();
