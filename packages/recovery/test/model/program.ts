/**
 * Random programs: what several owners of one store do, what happens to them meanwhile, and who reads. A program says
 * nothing of contents, and names more than is there: what is not possible when its turn comes is left out. So every part
 * of a program can be taken away, and what is left still is a program.
 */

export const fileNames = ['a', 'b', 'c', 'd/a', 'd/b', 'e/a'] as const;
export const directoryNames = ['d', 'e', 'f', 'd/g'] as const;
/** A file, or a directory in its place. */
export const placeName = 'p';
export const keyNames = ['k', 'l'] as const;
/** Numbers that only ever go up by one, in a file and in an entry. */
export const counterFile = 'n';
export const counterKey = 'n';

export type Action =
  | { readonly do: 'write'; readonly path: string; readonly large: boolean; readonly how: WriteHow }
  | { readonly do: 'append' | 'remove' | 'mkdir' | 'read' | 'list'; readonly path: string }
  | { readonly do: 'copy' | 'move' | 'swap'; readonly from: string; readonly path: string }
  /** A directory comes in the place of another one, which goes. */
  | { readonly do: 'replace'; readonly from: string; readonly path: string }
  /** It takes the place of the file `placeName`; or is what has taken it, and goes, and a file comes. */
  | { readonly do: 'trade places'; readonly path: string }
  | { readonly do: 'put' | 'delete' | 'get'; readonly key: string }
  | { readonly do: 'range' | 'count in a file' | 'count in an entry' }
  /** Whatever is changed in between is taken back. */
  | { readonly do: 'take back'; readonly actions: readonly Action[] };

/** `guarded`: only if the file still has the revision that it had a moment before. */
export type WriteHow = 'blind' | 'guarded' | 'if absent' | 'forced';

export interface TransactionSpec {
  readonly actions: readonly Action[];
  readonly aborts: boolean;
  /** Its files follow later, if that can be. */
  readonly defers?: boolean;
}

export interface Edit {
  readonly path: string;
  readonly how: 'replace' | 'in place' | 'delete';
  /** The other program flushes what it has done. */
  readonly flushed: boolean;
}

/** What happens at a call to the file system, or at a commit of the log, of whoever is at work. */
export type Event = { readonly at: number } & (
  | { readonly what: 'edit'; readonly edit: Edit }
  | { readonly what: 'error'; readonly error: ErrorCode; readonly after: boolean; readonly sticky: boolean }
  | { readonly what: 'short write'; readonly bytes: number }
  | { readonly what: 'log fails' }
  | { readonly what: 'kill' }
  | { readonly what: 'power cut'; readonly seed: number }
  | { readonly what: 'checkpoint'; readonly owner: number }
);

export const errorCodes = ['EIO', 'ENOSPC', 'EACCES', 'EMFILE'] as const;
export type ErrorCode = (typeof errorCodes)[number];

export interface Rival {
  readonly owner: number;
  readonly transactions: readonly TransactionSpec[];
  /** At which call of the other; or afterwards, if it does not get there. */
  readonly at: number;
}

/** Reads while the others work: `pace` says how many of their steps pass between its own. */
export interface ReaderSpec {
  readonly owner: number;
  readonly how: 'readFiles' | 'snapshot' | 'transaction';
  readonly paths: readonly string[];
  readonly pace: readonly number[];
}

export type Step =
  | {
      readonly step: 'work';
      readonly owner: number;
      readonly transactions: readonly TransactionSpec[];
      readonly rivals: readonly Rival[];
      readonly events: readonly Event[];
      readonly readers: readonly ReaderSpec[];
    }
  | {
      readonly step: 'checkpoint' | 'recover' | 'materialize';
      readonly owner: number;
      readonly events: readonly Event[];
    }
  | { readonly step: 'record' | 'kill' | 'close'; readonly owner: number }
  | { readonly step: 'edit'; readonly edit: Edit }
  | { readonly step: 'power cut'; readonly seed: number };

export interface Program {
  /** From 0 for everything fsynced under its staged name to enough for everything in the log. */
  readonly inlineLimitBytes: number;
  readonly steps: readonly Step[];
  /** What happens in the last recoveries, one after the other. */
  readonly end: readonly Event[];
}

/** What may go wrong, besides deaths and power cuts. */
export interface Dangers {
  readonly edits: boolean;
  readonly faults: boolean;
}
