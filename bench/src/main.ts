/**
 * `npm run bench [-- save|open|large|tasks] [--directory DIR] [--rounds N] [--transactions N] [--mebibytes N] [--pairs N]
 * [--tasks N] [--json] [--check]`
 *
 * `--check` compares the ratios with the limits that the project promises and exits 1 if one is over.
 */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { describeEnvironment } from './environment.js';
import { measureLarge } from './large.js';
import { measureOpen } from './open.js';
import { measureSave } from './save.js';
import { measureTasks } from './tasks.js';

/** Promised, on the disk that the check runs on. */
const limits = {
  saveToWriteFile: 1.2,
  saveToWriteFileAtomic: 0.5,
  openManyToFew: 1.25,
  largeToWriteStream: 1 / 0.9,
  batchManyToFew: 1.5,
} as const;
const taskLimitsMs = { start: 3, get: 5, list: 5 } as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    directory: { type: 'string' },
    rounds: { type: 'string', default: '1000' },
    transactions: { type: 'string', default: '100000' },
    mebibytes: { type: 'string', default: '1024' },
    pairs: { type: 'string', default: '5' },
    tasks: { type: 'string', default: '10000' },
    json: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  const scenarios = positionals.length === 0 ? ['save', 'open', 'large', 'tasks'] : positionals;
  const base = values.directory ?? path.join(process.cwd(), '.bench');
  fs.mkdirSync(base, { recursive: true });
  const directory = fs.mkdtempSync(path.join(base, 'run-'));
  const failures: string[] = [];
  const results: Record<string, unknown> = {
    environment: describeEnvironment(directory),
    date: new Date().toISOString(),
  };
  const say = (line: string): void => {
    if (!values.json) process.stdout.write(`${line}${os.EOL}`);
  };
  const judge = (what: string, ratio: number, limit: number): void => {
    const verdict = ratio <= limit ? 'within' : 'OVER';
    say(`  ${what}: ${ratio.toFixed(2)} × (${verdict} the limit of ${limit})`);
    if (ratio > limit) failures.push(what);
  };
  const judgeMs = (what: string, ms: number, limitMs: number): void => {
    say(`  ${what}: ${ms <= limitMs ? 'within' : 'OVER'} the limit of ${limitMs} ms`);
    if (ms > limitMs) failures.push(what);
  };
  try {
    say(`On ${Object.values(results['environment'] as object).join(', ')}`);
    if (scenarios.includes('save')) {
      const save = await measureSave(path.join(directory, 'save'), Number(values.rounds));
      results['save'] = save;
      say(`save: four files, 24 KB, ${save.rounds} rounds in turn; p50 / p95 in ms`);
      say(`  Forewrit (durable, all or nothing)      ${show(save.storeMs)}`);
      say(`  fs.promises.writeFile × 4 (neither)     ${show(save.writeFileMs)}`);
      say(`  write-file-atomic × 4 (file by file)    ${show(save.writeFileAtomicMs)}`);
      const { writeFile, writeFileAtomic } = save.aloneMs;
      say(`  the same alone: ${writeFile.toFixed(3)} and ${writeFileAtomic.toFixed(3)}`);
      judge('against writeFile', save.ratioToWriteFile, limits.saveToWriteFile);
      judge('against write-file-atomic', save.ratioToWriteFileAtomic, limits.saveToWriteFileAtomic);
    }
    if (scenarios.includes('open')) {
      const open = await measureOpen(path.join(directory, 'open'), Number(values.transactions));
      results['open'] = open;
      say('open: a clean store; p50 in ms');
      say(`  after ${open.few.transactions} transactions   ${open.few.p50Ms.toFixed(1)}`);
      say(`  after ${open.many.transactions} transactions   ${open.many.p50Ms.toFixed(1)}`);
      judge('many against few', open.ratio, limits.openManyToFew);
    }
    if (scenarios.includes('large')) {
      const large = await measureLarge(path.join(directory, 'large'), {
        bytes: Number(values.mebibytes) * 2 ** 20,
        pairs: Number(values.pairs),
      });
      results['large'] = large;
      say(`large: one file of ${values.mebibytes} MiB, streamed, ${large.pairs} pairs in turn; seconds`);
      say(`  Forewrit (durable, atomic, hashed)      ${seconds(large.writerMs)}`);
      say(`  fs.createWriteStream, then fsync        ${seconds(large.writeStreamMs)}`);
      say(`  more memory than at rest: ${(large.moreMemoryBytes / 2 ** 20).toFixed(1)} MiB`);
      judge('time against createWriteStream, median', 1 / large.ratio, limits.largeToWriteStream);
      judge('memory, in 64 MiB', large.moreMemoryBytes / (64 * 2 ** 20), 1);
      const { fewMs, manyMs, ratio } = large.batch;
      say(`batch: files of 2 KB; ms a file: ${fewMs.toFixed(3)} of ten, ${manyMs.toFixed(3)} of a thousand`);
      judge('a file of a thousand against one of ten', ratio, limits.batchManyToFew);
    }
    if (scenarios.includes('tasks')) {
      const tasks = await measureTasks(
        path.join(directory, 'tasks'),
        Number(values.tasks),
        Number(values.rounds),
      );
      results['tasks'] = tasks;
      say(`tasks: beside ${tasks.finished} that have ended; p50 / p95 in ms`);
      say(`  start, durable, before the spawn   ${show(tasks.startMs)}`);
      say(`  one entry put, for comparison      ${show(tasks.putMs)}`);
      say(`  get                                ${show(tasks.getMs)}`);
      say(`  list, a page of 50                 ${show(tasks.listMs)}`);
      say(`    by tag                           ${show(tasks.listByTagMs)}`);
      say(`    by state                         ${show(tasks.listByStateMs)}`);
      say(`    in the middle                    ${show(tasks.listAtCursorMs)}`);
      say(`  once: open ${tasks.openMs.toFixed(1)} ms, remove a thousand ${tasks.pruneMs.toFixed(0)} ms`);
      judgeMs('start', tasks.startMs.p50, taskLimitsMs.start);
      judgeMs('get', tasks.getMs.p50, taskLimitsMs.get);
      judgeMs('list', tasks.listMs.p50, taskLimitsMs.list);
    }
    if (values.json) process.stdout.write(`${JSON.stringify(results, undefined, 2)}${os.EOL}`);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
  if (values.check && failures.length > 0) process.exitCode = 1;
}

function seconds(all: readonly number[]): string {
  return all.map((ms) => (ms / 1000).toFixed(2)).join(', ');
}

function show({ p50, p95 }: { p50: number; p95: number }): string {
  return `${p50.toFixed(3)} / ${p95.toFixed(3)}`;
}

await main();
