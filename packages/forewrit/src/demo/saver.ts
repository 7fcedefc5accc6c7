/**
 * The process that the demo kills: `node saver.js <method> <directory>`. It waits for a line with a version on its
 * standard input and saves from there on, one version after the other, without a pause. Each version is written to the
 * standard output when its save has resolved: what is read there was acknowledged. When the input ends, so does it: it
 * never outlives the demo.
 */

import { writeSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contextAt, contextFiles } from './context-set.js';
import { isMethod, type Method } from './method.js';

type Save = (files: Record<string, string>) => Promise<unknown>;
type Open = (directory: string) => Promise<Save>;

async function loadForewrit(): Promise<Open> {
  const { openStore } = await import('@forewrit/recovery');
  return async (directory) => {
    const store = await openStore(directory);
    return (files) => store.writeFiles(files);
  };
}

/** As programs do it that think of nothing: one file after the other, each written in place. */
async function loadNaive(): Promise<Open> {
  return async (directory) => {
    await mkdir(join(directory, 'session'), { recursive: true });
    return async (files) => {
      for (const path of contextFiles) await writeFile(join(directory, path), files[path]!);
    };
  };
}

const load: Record<Method, () => Promise<Open>> = { forewrit: loadForewrit, writeFile: loadNaive };

async function saveFrom(version: number, save: Save): Promise<never> {
  for (let next = version; ; next += 1) {
    await save(contextAt(next));
    // Synchronous: it is in the pipe before the next save begins, whenever the kill comes.
    writeSync(1, `${next}\n`);
  }
}

function failed(error: unknown): void {
  console.error(error);
  process.exit(1);
}

function main(): void {
  const [, , method, directory] = process.argv;
  if (!isMethod(method) || directory === undefined) throw new Error('usage: saver <method> <directory>');
  process.stdin.on('end', () => process.exit(0));
  const loaded = load[method]();
  loaded.catch(failed);
  process.stdin.once('data', (line) => {
    const run = async (): Promise<never> => saveFrom(Number(String(line)), await (await loaded)(directory));
    run().catch(failed);
  });
}

main();
