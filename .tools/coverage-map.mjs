// From what V8 has written about each process and thread to what ran of each TypeScript source, by c8.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Report } from 'c8';
import { workspace } from './run.mjs';

const packages = join(workspace, 'packages');

/** Compiled modules of all packages, by URL. Those that hold nothing but types are not among them: nobody loads them. */
function compiledModules() {
  const modules = new Map();
  for (const name of readdirSync(packages)) {
    const dist = join(packages, name, 'dist');
    for (const entry of readdirSync(dist, { recursive: true })) {
      if (!entry.endsWith('.js')) continue;
      const path = join(dist, entry);
      const text = readFileSync(path, 'utf8');
      const code = text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '').trim();
      if (code === 'export {};') continue;
      const sourceMap = new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8')));
      const hash = createHash('sha256').update(text).digest('hex');
      modules.set(pathToFileURL(path).href, { text, hash, sourceMap, known: new Map() });
    }
  }
  return modules;
}

// Helpers that the compiler puts before the first line of ours (for `using`, say) have no place in the sources.
function isOurs({ text, sourceMap, known }, { ranges: [whole] }) {
  const offset = whole.startOffset;
  if (offset === 0) return true;
  if (!known.has(offset)) {
    const before = text.slice(0, offset);
    const line = before.split('\n').length - 1;
    const column = offset - (before.lastIndexOf('\n') + 1);
    known.set(offset, 'originalLine' in sourceMap.findEntry(line, column));
  }
  return known.get(offset);
}

// V8 counts what comes after a loop without end, or after a `try` that returns, even if nothing but a line end does.
function withoutBlanks({ text }, each) {
  const ranges = each.ranges.filter(
    ({ startOffset, endOffset }) => text.slice(startOffset, endOffset).trim() !== '',
  );
  return { ...each, ranges };
}

function keepOurs(raw, modules, ran, seen) {
  const result = [];
  for (const script of raw.result) {
    const module = modules.get(script.url);
    // What ran of a module that has changed since says nothing of what it is now.
    if (module === undefined || ran[script.url] !== module.hash) continue;
    seen.add(script.url);
    const functions = script.functions.filter((each) => isOurs(module, each));
    result.push({ ...script, functions: functions.map((each) => withoutBlanks(module, each)) });
  }
  return result;
}

function neverLoaded(modules, seen) {
  return [...modules]
    .filter(([url]) => !seen.has(url))
    .map(([url, { text }]) => ({
      scriptId: '0',
      url,
      functions: [
        {
          functionName: '(empty-report)',
          ranges: [{ startOffset: 0, endOffset: text.length, count: 0 }],
          isBlockCoverage: true,
        },
      ],
    }));
}

/** Notes which modules a run of the tests is about to collect; returns the directory to collect in. */
export function beginRun(run) {
  const raw = join(run, 'raw');
  mkdirSync(raw, { recursive: true });
  const hashes = Object.fromEntries([...compiledModules()].map(([url, { hash }]) => [url, hash]));
  writeFileSync(join(run, 'modules.json'), JSON.stringify(hashes));
  return raw;
}

/** The coverage map of c8, by paths of sources, of what was collected in all runs. `work` is scratch space. */
export async function coverageMap(runs, work) {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const modules = compiledModules();
  const seen = new Set();
  let torn = 0;
  for (const run of runs) {
    const ran = JSON.parse(readFileSync(join(run, 'modules.json'), 'utf8'));
    for (const name of readdirSync(join(run, 'raw'))) {
      let parsed;
      try {
        parsed = JSON.parse(readFileSync(join(run, 'raw', name), 'utf8'));
      } catch {
        // Of a process that was killed while it wrote.
        torn += 1;
        continue;
      }
      const result = keepOurs(parsed, modules, ran, seen);
      if (result.length > 0) writeFileSync(join(work, name), JSON.stringify({ result }));
    }
  }
  const rest = neverLoaded(modules, seen);
  if (rest.length > 0) writeFileSync(join(work, 'never-loaded.json'), JSON.stringify({ result: rest }));
  const report = Report({
    tempDirectory: work,
    include: ['packages/*/dist/**'],
    exclude: [],
    extension: ['.js'],
    reporter: [],
    resolve: '',
    omitRelative: true,
    mergeAsync: true,
  });
  const map = await report.getCoverageMapFromAllCoverageFiles();
  return { map, threads: readdirSync(work).length, torn };
}

/** `packages/core/src/log/log.ts`, whatever the platform. */
export function sourceName(path) {
  return relative(workspace, path.startsWith('file:') ? fileURLToPath(path) : path).replaceAll(sep, '/');
}
