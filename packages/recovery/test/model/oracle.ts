/**
 * What the store must hold: a plain map for each revision, one after the other in the order in which they were flushed.
 * Each transaction is carried out here as it commits, on what was there then, and what it had read is compared with
 * that: so whatever passes is serializable, in the order of the revisions.
 *
 * An edit by another program is a state of its own. One that lands between the commit of a transaction and its apply (or
 * its recovery) has no place in that order: its path is *disputed* until all is quiet again, and then is what it is. But
 * what was written there must not be gone: it is a *token* that has to be found, in the tree or aside, until a
 * transaction that has looked at the path since replaces it.
 */

import {
  type Change,
  changed,
  differences,
  emptyState,
  type Files,
  isAtOrBelow,
  isDirectory,
  isPossible,
  namesIn,
  parentOf,
  rebased,
  type State,
  shown,
} from './state.js';

/** What a transaction has read, other than its own writes. */
export type Read =
  | { readonly kind: 'file'; readonly path: string; readonly content: string | undefined }
  | { readonly kind: 'listing'; readonly path: string; readonly names: readonly string[] }
  | { readonly kind: 'entry'; readonly key: string; readonly value: string | undefined }
  | { readonly kind: 'entries'; readonly entries: ReadonlyMap<string, string> };

export interface Done {
  readonly name: string;
  readonly revision?: number | undefined;
  readonly changes: readonly Change[];
  readonly reads: readonly Read[];
}

/** A moment of the history: the state from here on, and the path that somebody has edited to make it. */
export interface Moment {
  readonly state: State;
  readonly edited?: string;
}

export interface ForeignEdit {
  readonly path: string;
  /** `undefined` if it was deleted. */
  readonly content: string | undefined;
  readonly flushed: boolean;
  /** What was there before. */
  readonly replaced: string | undefined;
  /** A transaction is committed, or about to be, that is not in its place yet. */
  readonly disputed: boolean;
}

interface Move {
  readonly from: string;
  readonly path: string;
  readonly revision: number | undefined;
}

interface Token {
  readonly text: string;
  /** Where it was last. */
  path: string;
  readonly flushed: boolean;
  readonly made: number;
  /** It is not in the tree any more. */
  aside: boolean;
}

/** What a transaction has replaced, so that it can be taken back. */
export interface Undo {
  readonly before: State;
  readonly after: State;
  readonly moment: number;
  /** What a power cut could have changed before. */
  readonly loose: readonly string[];
}

const imageLengthMax = 40;
const recentMany = 12;

export class Oracle {
  readonly history: Moment[] = [{ state: emptyState }];
  readonly #disputed = new Set<string>();
  /** Of edits that nobody has flushed: a power cut may bring back anything. */
  readonly #loose = new Set<string>();
  #moves: Move[] = [];
  /** In their place, but a power cut may bring back what was before, and recovery then carries them out once more. */
  #settledMoves: Move[] = [];
  /** Where the last edit was one of these. */
  readonly #unflushed = new Set<string>();
  #tokens: Token[] = [];
  everEdited = false;

  get now(): State {
    return this.history.at(-1)!.state;
  }

  get newest(): number {
    return this.history.length - 1;
  }

  get isSettled(): boolean {
    return this.#disputed.size === 0;
  }

  isDisputed(path: string): boolean {
    return this.#disputed.has(path);
  }

  /** It is flushed. `lookedSince`: whether its owner has looked at a path since that moment of the run. */
  commit(done: Done, lookedSince: (path: string, moment: number) => boolean): Undo {
    this.checkReads(done);
    const before = this.now;
    let after: State;
    try {
      after = changed(before, done.changes);
    } catch (error) {
      if (this.isSettled) throw violation(`${done.name} committed what is not possible: ${String(error)}`);
      // Of the files it is not known; entries are nobody else's.
      const entries = done.changes.filter(({ type }) => type === 'put' || type === 'delete');
      after = { files: before.files, entries: changed(before, entries).entries };
      for (const change of done.changes) {
        if (!('path' in change)) continue;
        // With parents that it may have made.
        for (let each = change.path; each !== ''; each = parentOf(each)) this.#dispute(each);
        const tops = change.type === 'move' ? [change.from, change.path] : [change.path];
        for (const path of before.files.keys()) {
          if (tops.some((top) => isAtOrBelow(path, top))) this.#dispute(path);
          if (change.type === 'move' && isAtOrBelow(path, change.from))
            this.#dispute(rebased(path, change.from, change.path));
        }
      }
    }
    for (const change of done.changes) {
      if (change.type === 'move') this.#moves.push({ ...change, revision: done.revision });
      if (change.type === 'copy' && this.isDisputed(change.from)) this.#dispute(change.path);
    }
    for (const path of Array.from(this.#disputed)) this.#dispute(path);
    this.#tokens = this.#tokens.filter(({ path, made, aside }) => {
      if (aside) return true;
      const places = this.#images(path).filter((each) =>
        done.changes.some((change) => touches(change, each)),
      );
      return !places.some((each) => lookedSince(each, made));
    });
    const loose = [...this.#loose];
    this.#settleLoose(done.changes, after);
    this.history.push({ state: after });
    return { before, after, moment: this.newest, loose };
  }

  /** It is taken back, and that is flushed: a new state, with what others have changed since. */
  undo({ before, after, moment, loose }: Undo): void {
    for (const path of loose) this.#loose.add(path);
    const files = new Map(this.now.files);
    const entries = new Map(this.now.entries);
    const editedSince = new Set(this.history.slice(moment + 1).flatMap(({ edited }) => edited ?? []));
    for (const path of differences(before.files, after.files)) {
      if (editedSince.has(path)) continue;
      const made = !before.files.has(path) && after.files.get(path) === undefined;
      if (made) {
        // A parent may stay, for others may have come to rely on it.
        this.#dispute(path);
        this.#loose.add(path);
      }
      if (before.files.has(path)) files.set(path, before.files.get(path));
      else files.delete(path);
    }
    for (const key of new Set([...before.entries.keys(), ...after.entries.keys()])) {
      if (before.entries.get(key) === after.entries.get(key)) continue;
      const value = before.entries.get(key);
      if (value === undefined) entries.delete(key);
      else entries.set(key, value);
    }
    this.history.push({ state: { files, entries } });
  }

  /** What was read must be what is there as the transaction commits. */
  checkReads({ name, reads }: Done): void {
    const { files, entries } = this.now;
    for (const read of reads) {
      switch (read.kind) {
        case 'file': {
          if (this.isDisputed(read.path)) break;
          const now = files.get(read.path);
          if (now !== read.content)
            throw violation(
              `${name} read ${read.content ?? 'nothing'} in ${read.path}, and committed when it was ${shown(files, read.path)}`,
            );
          break;
        }
        case 'listing': {
          const known = (names: readonly string[]): string =>
            names.filter((each) => !this.isDisputed(`${read.path}/${each}`)).join(' ');
          if (this.isDisputed(read.path)) break;
          const now = namesIn(files, read.path);
          if (known(now) !== known(read.names))
            throw violation(
              `${name} read ${known(read.names)} in ${read.path}, and committed when it was ${known(now)}`,
            );
          break;
        }
        case 'entry':
          if (entries.get(read.key) !== read.value)
            throw violation(
              `${name} read ${read.value} of entry ${read.key}, and committed when it was ${entries.get(read.key)}`,
            );
          break;
        case 'entries':
          if (sorted(entries) !== sorted(read.entries))
            throw violation(
              `${name} read entries ${sorted(read.entries)}, and committed when they were ${sorted(entries)}`,
            );
          break;
      }
    }
  }

  edit({ path, content, flushed, replaced, disputed }: ForeignEdit, moment: number): void {
    this.everEdited = true;
    const files = new Map(this.now.files);
    // What a power cut has left of an earlier edit goes with the next one.
    files.delete(`${path}~`);
    if (content === undefined) files.delete(path);
    else files.set(path, content);
    this.history.push({ state: { files, entries: this.now.entries }, edited: path });
    if (flushed) this.#unflushed.delete(path);
    else this.#unflushed.add(path);
    if (flushed && content !== undefined) this.#loose.delete(path);
    else for (const each of [path, `${path}~`]) this.#loose.add(each);
    this.#tokens = this.#tokens.filter(({ text }) => replaced?.includes(text) !== true);
    if (!disputed) return;
    this.#dispute(path);
    if (content !== undefined)
      this.#tokens.push({ text: content, path, flushed, made: moment, aside: false });
  }

  /** `logged`: revisions of the transactions that recovery may carry out once more. */
  powerCut(logged: ReadonlySet<number>): void {
    const again = this.#settledMoves.filter(({ revision }) => revision !== undefined && logged.has(revision));
    this.#moves = [...again, ...this.#moves];
    this.#settledMoves = [];
    for (const path of this.#loose) this.#dispute(path);
    this.#loose.clear();
    this.#tokens = this.#tokens.filter(({ flushed, aside }) => flushed && !aside);
  }

  /** Whether what it asks for made no difference a moment ago, when it was planned. */
  isIdle({ changes }: Done): boolean {
    if (!this.isSettled || changes.length === 0) return true;
    return this.history.slice(-recentMany).some(({ state }) => {
      if (!isPossible(state, changes)) return false;
      const { files, entries } = changed(state, changes);
      return differences(state.files, files).length === 0 && sorted(state.entries) === sorted(entries);
    });
  }

  /** All is quiet: the tree is what it must be, and what is disputed is settled by what is there. */
  settle(tree: Files, aside: readonly string[]): void {
    const expected = this.now.files;
    for (const path of differences(expected, tree)) {
      if (this.isDisputed(path)) {
        // What was committed over the edit has given way to it.
        if (this.#unflushed.has(path)) this.#loose.add(path);
        continue;
      }
      throw violation(`${path} is ${shown(tree, path)}, and must be ${shown(expected, path)}`);
    }
    for (const token of this.#tokens) {
      const found = [...tree].find(([, content]) => content?.includes(token.text));
      token.aside ||= found === undefined;
      token.path = found?.[0] ?? token.path;
      if (found !== undefined || aside.some((content) => content.includes(token.text))) continue;
      throw violation(`what another program wrote to ${token.path} is lost: ${token.text}`);
    }
    // What somebody has written and not flushed has moved with the directory that it is in.
    for (const path of Array.from(this.#loose))
      for (const image of this.#images(path)) this.#loose.add(image);
    this.#disputed.clear();
    this.#settledMoves.push(...this.#moves);
    this.#moves = [];
    if (differences(expected, tree).length > 0)
      this.history.push({ state: { files: tree, entries: this.now.entries } });
  }

  /** Nobody has anything under way any more: what was kept is in the tree, or in `conflicts/`. */
  checkTokens(contents: readonly string[]): void {
    for (const { text, path } of this.#tokens) {
      if (!contents.some((content) => content.includes(text)))
        throw violation(`what another program wrote to ${path} is lost at the end: ${text}`);
    }
  }

  #dispute(path: string): void {
    for (const image of this.#images(path)) this.#disputed.add(image);
  }

  /** A path, and wherever what is there may come from or go to. */
  #images(path: string): string[] {
    const images = new Set<string>();
    const pending = [path];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      images.add(next);
      for (const { from, path: to } of this.#moves) {
        for (const [one, other] of [
          [from, to],
          [to, from],
        ] as const) {
          if (!isAtOrBelow(next, one)) continue;
          const image = rebased(next, one, other);
          // Two moves may go round in circles.
          if (!images.has(image) && image.length < imageLengthMax) pending.push(image);
        }
      }
    }
    return [...images];
  }

  #settleLoose(changes: readonly Change[], { files }: State): void {
    for (const change of changes) {
      if (change.type === 'put' || change.type === 'delete') continue;
      if (change.type === 'move') {
        for (const path of [...this.#loose].filter((each) => each.startsWith(`${change.from}/`))) {
          this.#loose.delete(path);
          this.#loose.add(rebased(path, change.from, change.path));
        }
        this.#loose.delete(change.from);
      }
      // One that is there again has stayed, and has nothing to say on names that were not there when it was planned.
      if (change.type === 'remove' && !isDirectory(files, change.path))
        for (const path of Array.from(this.#loose))
          if (isAtOrBelow(path, change.path)) this.#loose.delete(path);
      // It may come back to where it was moved from, with what was written into it since.
      if (this.#loose.delete(change.path))
        for (const { path, from } of [...this.#moves, ...this.#settledMoves])
          if (path === change.path) this.#loose.add(from);
    }
  }
}

function touches(change: Change, path: string): boolean {
  if (change.type === 'put' || change.type === 'delete') return false;
  return isAtOrBelow(path, change.path) || (change.type === 'move' && isAtOrBelow(path, change.from));
}

function sorted(entries: ReadonlyMap<string, string>): string {
  return JSON.stringify([...entries].sort(([one], [other]) => (one < other ? -1 : 1)));
}

export class Violation extends Error {
  override readonly name = 'Violation';
}

export function violation(message: string): Violation {
  return new Violation(message);
}
