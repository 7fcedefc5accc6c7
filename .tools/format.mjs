import { bootstrap } from './bootstrap.mjs';
import { runTool } from './run.mjs';

bootstrap();
process.exitCode = runTool('@biomejs/biome/bin/biome', ['format', '--write', ...process.argv.slice(2)]);
