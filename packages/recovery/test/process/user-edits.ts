/**
 * What another program may do to a file right after a crash, and what must hold of it after recovery: on the same boot
 * it stays as that program left it, and on any boot its content is not gone.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';

export interface Edited {
  /** Content that is somebody's, and must be found somewhere. */
  readonly theirs: string | undefined;
  /** What is at the path now; `undefined` for nothing. */
  readonly left: string | undefined;
}

export interface EditedFile {
  readonly absolute: string;
  /** Open for writing since before the transaction; `undefined` where there was no file then. */
  readonly descriptor: number | undefined;
  /** What it was before the transaction. */
  readonly before: string | undefined;
}

type Edit = (file: EditedFile) => void;

/** Each leaves alone what it cannot be done to. */
export const userEdits: Readonly<Record<string, Edit>> = {
  nothing: () => undefined,
  append: ({ absolute }) => {
    appendFileSync(absolute, ' and theirs');
  },
  truncate: ({ absolute }) => {
    if (existsSync(absolute)) truncateSync(absolute, 3);
  },
  // To a time that is not newer than what the log knows.
  'append-backdated': ({ absolute }) => {
    appendFileSync(absolute, ' and theirs, long ago');
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(absolute, hourAgo, hourAgo);
  },
  replace: ({ absolute }) => {
    writeFileSync(`${absolute}.theirs`, `theirs in the place of ${absolute}`);
    renameSync(`${absolute}.theirs`, absolute);
  },
  delete: ({ absolute }) => {
    rmSync(absolute, { force: true });
  },
  recreate: ({ absolute }) => {
    rmSync(absolute, { force: true });
    writeFileSync(absolute, `theirs, anew, as ${absolute}`);
  },
  revert: ({ absolute, before }) => {
    if (before === undefined) rmSync(absolute, { force: true });
    else {
      writeFileSync(`${absolute}.theirs`, before);
      renameSync(`${absolute}.theirs`, absolute);
    }
  },
  // An editor that had the file open all the time.
  'late-write': ({ descriptor }) => {
    if (descriptor !== undefined) writeSync(descriptor, 'late', 0);
  },
};

export function editFile(edit: string, file: EditedFile): Edited {
  const previous = contentAt(file.absolute);
  userEdits[edit]!(file);
  const left = contentAt(file.absolute);
  if (file.descriptor !== undefined) closeSync(file.descriptor);
  if (edit === 'late-write' && file.descriptor !== undefined && file.before !== undefined) {
    return { theirs: `late${file.before.slice(4)}`, left };
  }
  return { theirs: left === previous ? undefined : left, left };
}

export function contentAt(absolute: string): string | undefined {
  return existsSync(absolute) ? readFileSync(absolute, 'utf8') : undefined;
}
