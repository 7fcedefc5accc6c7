/**
 * What a saving process does, version by version, and what the whole tree looks like after each: a pure function of the
 * seed, so that whoever looks at the tree after a kill knows all of it from the version that it finds.
 *
 * Every version writes the four files of the set; some make, move, copy, extend and remove others, and directories.
 */
import { Random } from '@forewrit/testkit/random';
import { contentOf, type LabelledContent } from './labelled-content.js';

export const setFiles = [
  'set/messages.json',
  'set/metadata.json',
  'set/state.json',
  'set/global.json',
] as const;

export type SetOperation =
  | { readonly type: 'write'; readonly path: string; readonly content: LabelledContent }
  | { readonly type: 'append'; readonly path: string; readonly content: LabelledContent }
  | { readonly type: 'copy' | 'rename'; readonly from: string; readonly path: string }
  | { readonly type: 'remove' | 'make-directory'; readonly path: string };

const extrasMax = 6;
const inlineSizesBytes = [12_000, 2_000, 8_000, 2_000] as const;
/** Beyond what travels in the log. */
const largeSizesBytes = [70_000, 200_000] as const;
/** Beyond what the caller's thread hands over: it stages this itself. */
const hugeSizeBytes = 1_100_000;

export interface SetHistoryOptions {
  readonly seed: number;
  /** Neither moves nor removes directories. */
  readonly leavesDirectories?: boolean | undefined;
}

export class SetHistory {
  readonly #options: SetHistoryOptions;
  #version = 0;
  readonly #files = new Map<string, readonly LabelledContent[]>();
  readonly #directories = new Set<string>();

  constructor(options: SetHistoryOptions) {
    this.#options = options;
  }

  get version(): number {
    return this.#version;
  }

  /** Everything that is to be in the tree: content by path; a directory has none. */
  tree(): Map<string, Buffer | undefined> {
    const tree = new Map<string, Buffer | undefined>();
    for (const directory of this.#directories) tree.set(directory, undefined);
    for (const [path, parts] of this.#files) tree.set(path, Buffer.concat(parts.map(contentOf)));
    return tree;
  }

  advanceTo(version: number): void {
    while (this.#version < version) this.advance();
  }

  /** What makes the next version of this one. */
  advance(): SetOperation[] {
    this.#version += 1;
    const random = new Random(this.#options.seed + this.#version);
    const operations = this.#saveSet(random);
    if (random.chance(0.25)) operations.push(...this.#changeFiles(random));
    if (random.chance(0.15)) operations.push(...this.#changeDirectories(random));
    for (const operation of operations) this.#apply(operation);
    return operations;
  }

  #saveSet(random: Random): SetOperation[] {
    const large = random.chance(0.1) ? random.below(setFiles.length) : -1;
    const largeSizeBytes = random.chance(0.1) ? hugeSizeBytes : random.pick(largeSizesBytes);
    return setFiles.map((path, index) => {
      const sizeBytes = index === large ? largeSizeBytes : inlineSizesBytes[index]! + random.below(1000);
      return this.#write(path, sizeBytes);
    });
  }

  #changeFiles(random: Random): SetOperation[] {
    const extras = [...this.#files.keys()].filter((path) => path.startsWith('extra/'));
    const fresh = `extra/${this.#version}`;
    const some = extras.length === 0 ? undefined : random.pick(extras);
    if (some === undefined) return [this.#write(fresh, 100 + random.below(3000))];
    if (extras.length >= extrasMax) return [{ type: 'remove', path: some }];
    switch (random.below(6)) {
      case 0:
        return [{ type: 'rename', from: some, path: fresh }];
      case 1:
        return [{ type: 'copy', from: some, path: fresh }];
      case 2:
        return [{ type: 'remove', path: some }, this.#write(`${fresh}/inner/file`, 500)];
      case 3:
        return [{ type: 'append', path: some, content: this.#content(some, 300) }];
      default:
        return [this.#write(fresh, 100 + random.below(3000))];
    }
  }

  #changeDirectories(random: Random): SetOperation[] {
    const { leavesDirectories } = this.#options;
    const tops = leavesDirectories ? [] : [...this.#directories].filter((path) => /^top-\d+$/.test(path));
    const fresh = `top-${this.#version}`;
    const some = tops.length === 0 ? undefined : random.pick(tops);
    if (some !== undefined && random.chance(0.3)) return [{ type: 'remove', path: some }];
    if (some !== undefined && random.chance(0.5)) return [{ type: 'rename', from: some, path: fresh }];
    const inner = `${fresh}/below`;
    return [
      { type: 'make-directory', path: fresh },
      { type: 'make-directory', path: inner },
      this.#write(`${inner}/file`, 400),
    ];
  }

  #write(path: string, sizeBytes: number): SetOperation {
    return { type: 'write', path, content: this.#content(path, sizeBytes) };
  }

  #content(path: string, sizeBytes: number): LabelledContent {
    return { label: `${this.#version} ${path}`, sizeBytes };
  }

  #apply(operation: SetOperation): void {
    const { type, path } = operation;
    switch (type) {
      case 'write':
        this.#addParents(path);
        this.#files.set(path, [operation.content]);
        break;
      case 'append':
        this.#files.set(path, [...this.#files.get(path)!, operation.content]);
        break;
      case 'copy':
        this.#addParents(path);
        this.#files.set(path, this.#files.get(operation.from)!);
        break;
      case 'rename':
        this.#addParents(path);
        this.#move(operation.from, path);
        break;
      case 'remove':
        this.#files.delete(path);
        this.#directories.delete(path);
        for (const below of this.#below(path)) {
          this.#files.delete(below);
          this.#directories.delete(below);
        }
        break;
      case 'make-directory':
        this.#directories.add(path);
        break;
    }
  }

  #move(from: string, to: string): void {
    for (const path of [from, ...this.#below(from)]) {
      const moved = `${to}${path.slice(from.length)}`;
      const content = this.#files.get(path);
      if (content !== undefined) this.#files.set(moved, content);
      if (this.#directories.has(path)) this.#directories.add(moved);
      this.#files.delete(path);
      this.#directories.delete(path);
    }
  }

  #below(top: string): string[] {
    return [...this.#files.keys(), ...this.#directories].filter((path) => path.startsWith(`${top}/`));
  }

  #addParents(path: string): void {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth += 1)
      this.#directories.add(parts.slice(0, depth).join('/'));
  }
}
