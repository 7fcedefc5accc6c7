/**
 * The process that the demo kills: `node saver.js <method> <directory>`. It waits for a line with a version on its
 * standard input and saves from there on, one version after the other, without a pause. Each version is written to the
 * standard output when its save has resolved: what is read there was acknowledged. When the input ends, so does it: it
 * never outlives the demo.
 */

import { writeSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openStore } from '@forewrit/recovery';
import { contextAt, contextFiles } from './context-set.js';
import { isMethod, type Method } from './method.js';

type Save = (files: Record<string, string>) => Promise<unknown>;

async function openForewrit(directory: string): Promise<Save> {
  const store = await openStore(directory);
  return (files) => store.writeFiles(files);
}

/** As programs do it that think of nothing: one file after the other, each written in place. */
async function openNaive(directory: string): Promise<Save> {
  await mkdir(join(directory, 'session'), { recursive: true });
  return async (files) => {
    for (const path of contextFiles) await writeFile(join(directory, path), files[path]!);
  };
}

const open: Record<Method, (directory: string) => Promise<Save>> = {
  forewrit: openForewrit,
  writeFile: openNaive,
};

async function saveFrom(version: number, method: Method, directory: string): Promise<never> {
  const save = await open[method](directory);
  for (let next = version; ; next += 1) {
    await save(contextAt(next));
    // Synchronous: it is in the pipe before the next save begins, whenever the kill comes.
    writeSync(1, `${next}\n`);
  }
}

function main(): void {
  const [, , method, directory] = process.argv;
  if (!isMethod(method) || directory === undefined) throw new Error('usage: saver <method> <directory>');
  process.stdin.on('end', () => process.exit(0));
  process.stdin.once('data', (line) => {
    saveFrom(Number(String(line)), method, directory).catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  });
}

main();
