/** Content that is staged over time, as its user holds it. */

import { formatChecksum } from '../record/checksum.js';
import { checkEncoding } from '../record/text.js';
import { InvalidArgumentError } from '../errors.js';
import type { ResumableFile } from './resumable-file.js';

let reach: (content: StagedContent) => ResumableFile;

/**
 * Content that arrives over time, under an id: after a crash or in another process `store.stage(id)` goes on where it
 * was durable last. In no file until a transaction writes it: `tx.writeFile(path, staged)`.
 *
 * Calls are carried out in their order, whether or not they are awaited.
 */
export class StagedContent implements AsyncDisposable {
  static {
    reach = (content) => content.#file;
  }

  readonly id: string;
  /** As it was given when the id was staged for the first time. */
  readonly metadata: unknown;
  /** There was something to continue. */
  readonly resumed: boolean;
  readonly #file: ResumableFile;

  /** Use `store.stage()`. */
  constructor(
    file: ResumableFile,
    about: { readonly id: string; readonly metadata: unknown; readonly resumed: boolean },
  ) {
    this.#file = file;
    this.id = about.id;
    this.metadata = about.metadata;
    this.resumed = about.resumed;
  }

  /** Where the next byte goes. After opening: so many bytes were durable. */
  get offset(): number {
    return this.#file.offset;
  }

  /** So many bytes survive a crash. */
  get durableOffset(): number {
    return this.#file.durable;
  }

  /**
   * Adds to the end. The bytes must not be changed until it resolves. They are durable after `sync`, not before. One that
   * fails has added nothing, and may be tried again.
   *
   * @throws StoreError ERR_NO_SPACE, ERR_TOO_LARGE, ERR_IO
   */
  append(data: string | Uint8Array, encoding: BufferEncoding = 'utf8'): Promise<void> {
    if (typeof data === 'string') {
      checkEncoding('append', encoding);
      return this.#file.append(Buffer.from(data, encoding));
    }
    if (data instanceof Uint8Array) return this.#file.append(data);
    throw new InvalidArgumentError('append', 'data must be a string or a Uint8Array');
  }

  /**
   * On return everything that was appended survives a crash: a later `stage(id)` begins after it.
   *
   * @throws StoreError ERR_CONFLICT if another process has it now; ERR_IO after which it must be staged again
   */
  sync(): Promise<void> {
    return this.#file.sync();
  }

  /** xxh64 of everything that was appended, as 16 hexadecimal digits. */
  get checksum(): string {
    return formatChecksum(this.#file.checksum);
  }

  /** What was appended so far, for whoever wants another digest of it. Each piece is valid until the next one. */
  pieces(): AsyncGenerator<Uint8Array> {
    return this.#file.pieces();
  }

  /** Forgets it, and removes what was staged. */
  discard(): Promise<void> {
    return this.#file.discard();
  }

  /** Makes it durable and lets go of it; it can be staged again. Does nothing once it is written or discarded. */
  close(): Promise<void> {
    return this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}

export function fileOf(content: StagedContent): ResumableFile {
  return reach(content);
}
