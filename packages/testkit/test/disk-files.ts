/** Files of a simulated disk, as tests want to write and see them. */
import type { FileSystem } from '@forewrit/core';
import { everyChoice } from '#src/crash-choice.js';
import type { PersistenceModel } from '#src/crash-point.js';
import { SimulatedDisk, type SimulatedDiskOptions } from '#src/simulated-disk.js';
import type { SimulatedFileSystem } from '#src/simulated-file-system.js';

/** A disk on which what `prepare` does is durable. */
export function diskWith(
  prepare: (fileSystem: SimulatedFileSystem) => void,
  options: SimulatedDiskOptions = {},
): { disk: SimulatedDisk; fileSystem: SimulatedFileSystem } {
  const disk = new SimulatedDisk(options);
  const fileSystem = disk.mount();
  prepare(fileSystem);
  disk.settle();
  return { disk, fileSystem };
}

export interface PutOptions {
  /** Whether the file is flushed; its directory never is. */
  readonly sync?: boolean;
}

/** Creates a file with this content. */
export function put(
  fileSystem: FileSystem,
  path: string,
  text: string,
  { sync = false }: PutOptions = {},
): void {
  const descriptor = fileSystem.create(path, 0o644);
  fileSystem.write(descriptor, Buffer.from(text), 0);
  if (sync) fileSystem.sync(descriptor);
  fileSystem.close(descriptor);
}

/** The content, or `undefined` where there is no file. */
export function textOf(fileSystem: FileSystem, path: string): string | undefined {
  const stat = fileSystem.lstat(path);
  if (stat === undefined) return undefined;
  const descriptor = fileSystem.openRead(path);
  const bytes = Buffer.alloc(stat.size);
  fileSystem.read(descriptor, bytes, 0);
  fileSystem.close(descriptor);
  return bytes.toString('latin1');
}

/** Whatever a power cut now may leave, each as one text, sorted. */
export function imagesOf(disk: SimulatedDisk, model: PersistenceModel = 'weakest'): string[] {
  const point = disk.crashPoint(model);
  const found = new Set<string>();
  for (const choice of everyChoice(point.effects)) found.add(shown(point.image(choice)));
  return [...found].sort();
}

/** The tree in one line, directories before their content and without the root. */
export function shown(disk: SimulatedDisk): string {
  return disk.listing().slice(1).join('  ').replaceAll('\\u0000', '0');
}
