/**
 * A process that serves an image as a file over FUSE, for a loop device to stand on, and keeps a journal of every write
 * and every flush (the loop driver makes an fsync of one). What is written also goes to the image.
 *
 * Whoever uses the file waits for this process without a way to be interrupted. So it never touches a mount itself, and
 * it dies with the test: the kernel then fails what is waiting.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fstatSync, openSync, read, readSync, writeSync } from 'node:fs';
import { monotonicMs, onCommand, requestOf, say } from '@forewrit/testkit/child-process';
import { encodeEntry } from './device-journal.js';
import {
  attributesReply,
  emptyReply,
  errnoInputOutput,
  errnoNotImplemented,
  finishReply,
  type FuseRequest,
  initReply,
  opcodes,
  openReply,
  parseRequest,
  readRange,
  replyHeaderBytes,
  requestBytesMax,
  statfsReply,
  writeOf,
  writeReply,
} from './fuse-protocol.js';

export interface RecorderRequest {
  readonly image: string;
  /** An empty file, over which the image is mounted. */
  readonly point: string;
  /** Where the journal goes. */
  readonly journal: string;
}

export type RecorderMessage =
  | { readonly type: 'mounted' }
  | { readonly type: 'failed'; readonly error: string };

const { image, point, journal } = requestOf<RecorderRequest>();
// At the end of a process its threads are waited for, and one of them is always reading.
process.on('exit', () => process.kill(process.pid, 'SIGKILL'));
onCommand(() => undefined);

const imageDescriptor = openSync(image, 'r+');
const journalDescriptor = openSync(journal, 'wx');
const { size: imageBytes } = fstatSync(imageDescriptor);
const device = openSync('/dev/fuse', 'r+');
const buffer = Buffer.alloc(requestBytesMax);

function serve(): void {
  read(device, buffer, 0, buffer.length, null, (error, length) => {
    if (error === null) reply(parseRequest(buffer.subarray(0, length)));
    switch (error?.code) {
      case undefined:
      case 'EINTR':
      case 'EAGAIN':
      case 'ENOENT':
        serve();
        break;
      case 'EPERM': // It is not mounted yet.
        setTimeout(serve, 1);
        break;
      case 'ENODEV': // It was unmounted.
        process.exit(0);
        break;
      default:
        throw error!;
    }
  });
}

function reply(request: FuseRequest): void {
  const answer = answerTo(request);
  if (answer === undefined) return;
  try {
    writeSync(device, answer);
  } catch (error) {
    // Whoever asked was killed meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function answerTo(request: FuseRequest): Buffer | undefined {
  const { forget, batchForget, interrupt } = opcodes;
  if ([forget, batchForget, interrupt].some((opcode) => opcode === request.opcode)) return undefined;
  try {
    const answer = resultOf(request);
    return finishReply(
      answer ?? emptyReply(0),
      request.unique,
      answer === undefined ? errnoNotImplemented : 0,
    );
  } catch (error) {
    say({ type: 'failed', error: String(error) } satisfies RecorderMessage);
    return finishReply(emptyReply(0), request.unique, errnoInputOutput);
  }
}

/** `undefined`: not implemented, and the kernel will not ask again. */
function resultOf(request: FuseRequest): Buffer | undefined {
  switch (request.opcode) {
    case opcodes.init:
      return initReply();
    case opcodes.getAttributes:
    case opcodes.setAttributes:
      return attributesReply(imageBytes);
    case opcodes.open:
      return openReply();
    case opcodes.read:
      return readImage(readRange(request));
    case opcodes.write:
      return writeImage(writeOf(request));
    case opcodes.fsync:
      writeSync(journalDescriptor, encodeEntry({ type: 'flush', atMs: monotonicMs() }));
      return emptyReply(0);
    case opcodes.statfs:
      return statfsReply();
    case opcodes.flush:
    case opcodes.release:
    case opcodes.destroy:
      return emptyReply(0);
    default:
      return undefined;
  }
}

function readImage({ offset, length }: { offset: number; length: number }): Buffer {
  const answer = Buffer.allocUnsafe(replyHeaderBytes + length);
  const read = readSync(imageDescriptor, answer, replyHeaderBytes, length, offset);
  return answer.subarray(0, replyHeaderBytes + read);
}

function writeImage({ offset, bytes }: { offset: number; bytes: Buffer }): Buffer {
  writeSync(journalDescriptor, encodeEntry({ type: 'write', atMs: monotonicMs(), offset, bytes }));
  const written = writeSync(imageDescriptor, bytes, 0, bytes.length, offset);
  if (written !== bytes.length) throw new Error(`a write of ${bytes.length} bytes was cut at ${written}`);
  return writeReply(written);
}

function mount(): ChildProcess {
  const options = 'fd=3,rootmode=100000,user_id=0,group_id=0';
  return spawn('mount', ['-i', '-t', 'fuse', '-o', options, 'forewrit-recorder', point], {
    stdio: ['ignore', 'ignore', 'inherit', device],
  });
}

serve();
mount().on('exit', (code) => {
  if (code === 0) say({ type: 'mounted' } satisfies RecorderMessage);
  else {
    say({ type: 'failed', error: `mount ended with ${code}` } satisfies RecorderMessage);
    process.exit(1);
  }
});
