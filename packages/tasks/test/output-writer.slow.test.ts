import * as fs from 'node:fs';
import { announceSeed, assert, Random, suite, temporaryDirectory } from '@forewrit/testkit';
import type { StreamName } from '#src/shim/output-files.js';
import { OutputWriter, segmentBytesOf } from '#src/shim/output-writer.js';
import { readOutputPage } from '#src/supervision/output-reader.js';
import type { OutputBytes, OutputLimits } from '#src/supervision/supervisor.js';
import { sleep } from './task-world.js';

const test = suite('output in segments');

const roomy: OutputLimits = { maxBytes: 1 << 20, segmentBytes: 1000, overflow: 'drop-oldest' };

interface Written {
  readonly stream: StreamName;
  readonly bytes: Buffer;
}

/** What of the whole output has this stream, from one offset to another. */
function expected(
  written: readonly Written[],
  { from, to, stream }: { from: number; to: number; stream?: StreamName | undefined },
): string {
  let at = 0;
  const pieces: Buffer[] = [];
  for (const piece of written) {
    if (stream === undefined || piece.stream === stream) {
      pieces.push(piece.bytes.subarray(Math.max(from - at, 0), Math.max(to - at, 0)));
    }
    at += piece.bytes.length;
  }
  return Buffer.concat(pieces).toString('latin1');
}

function kept(directory: string): number {
  return fs.readdirSync(directory).reduce((sum, name) => sum + fs.statSync(`${directory}/${name}`).size, 0);
}

const text = (page: OutputBytes): string => Buffer.from(page.data).toString('latin1');

test('random writes within random limits are read back byte for byte, by page, tail and stream', async () => {
  const random = new Random(announceSeed('output'));
  for (let round = 0; round < 60; round += 1) {
    using directory = temporaryDirectory('output');
    const limits: OutputLimits = {
      maxBytes: random.pick([0, 3, 8, 100, 1000, 5000, 100_000]),
      segmentBytes: random.pick([1, 10, 64, 1000, 1_000_000]),
      overflow: random.pick(['drop-oldest', 'drop-new', 'kill']),
    };
    let overflows = 0;
    const writer = new OutputWriter(directory.path, { limits, onOverflow: () => (overflows += 1) });
    const written: Written[] = [];
    let total = 0;
    for (let write = random.below(40); write >= 0; write -= 1) {
      const bytes = Buffer.from(
        Array.from({ length: random.below(random.pick([3, 50, 2000])) }, () => random.pick([10, 65, 66, 67])),
      );
      const stream = random.pick(['stdout', 'stderr'] as const);
      writer.write(stream, bytes);
      written.push({ stream, bytes });
      total += bytes.length;
      assert.ok(kept(directory.path) <= limits.maxBytes, JSON.stringify(limits));
    }
    writer.finish();
    assert.is(writer.outputBytes, total);
    const where = JSON.stringify({ limits, total, seed: random.seed, round });
    for (const stream of [undefined, 'stdout', 'stderr'] as const) {
      const of = stream === undefined ? {} : { stream };
      // Forwards, in pages of some size.
      let readBytes = 0;
      let page = await readOutputPage(directory.path, { ...of, maxBytes: 1 + random.below(300) });
      assert.is(page.outputBytes, total, where);
      for (;;) {
        assert.is(text(page), expected(written, { from: page.offset, to: page.nextOffset, stream }), where);
        readBytes += page.nextOffset - page.offset;
        assert.is(page.droppedBytes, page.offset - (readBytes - (page.nextOffset - page.offset)), where);
        if (page.nextOffset >= total || page.nextOffset === page.offset) break;
        page = await readOutputPage(directory.path, {
          ...of,
          offset: page.nextOffset,
          maxBytes: 1 + random.below(300),
        });
      }
      assert.is(total - readBytes, writer.droppedBytes, where);
    }
    if (limits.overflow === 'drop-oldest' && limits.maxBytes >= 1000) {
      // The tail is there, and not much less of it than allowed.
      assert.ok(total - writer.droppedBytes >= Math.min(total, limits.maxBytes / 4), where);
    }
    if (limits.overflow !== 'drop-oldest' && writer.droppedBytes > 0) {
      assert.is(overflows, limits.overflow === 'kill' ? 1 : 0);
      const all = await readOutputPage(directory.path, { maxBytes: 1_000_000 });
      assert.is(all.offset, writer.droppedBytes === total ? total : 0, where);
    }
  }
});

test('the last lines are found from the end, of each stream', async () => {
  using directory = temporaryDirectory('output');
  const writer = new OutputWriter(directory.path, { limits: { ...roomy, segmentBytes: 100 } });
  const lines: { stream: StreamName; line: string }[] = [];
  for (let index = 0; index < 300; index += 1) {
    const stream = index % 3 === 0 ? 'stderr' : 'stdout';
    const line = `${stream} line ${index} ${'x'.repeat(index % 50)}\n`;
    lines.push({ stream, line });
    writer.write(stream, Buffer.from(line));
  }
  for (const stream of [undefined, 'stdout', 'stderr'] as const) {
    const mine = lines
      .filter((entry) => stream === undefined || entry.stream === stream)
      .map(({ line }) => line);
    for (const tailLines of [0, 1, 2, 10, 99, 300, 1000]) {
      const page = await readOutputPage(directory.path, {
        tailLines,
        ...(stream === undefined ? {} : { stream }),
      });
      assert.is(text(page), tailLines === 0 ? '' : mine.slice(-tailLines).join(''), `${stream} ${tailLines}`);
      assert.is(page.nextOffset, page.outputBytes);
    }
  }
  // No more than asked for, and then the end of it.
  const whole = lines.map(({ line }) => line).join('');
  assert.is(text(await readOutputPage(directory.path, { tailLines: 300, maxBytes: 500 })), whole.slice(-500));
  writer.write('stdout', Buffer.from('no end'));
  assert.is(text(await readOutputPage(directory.path, { tailLines: 2 })), `${lines.at(-1)!.line}no end`);
});

test('however large the limits, a position in a segment can be told', () => {
  const overflow = 'drop-oldest';
  for (const maxBytes of [1, 8, 1e6, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
    for (const segmentBytes of [1, 1e6, 2 ** 31, Number.MAX_SAFE_INTEGER]) {
      const bytes = segmentBytesOf({ maxBytes, segmentBytes, overflow });
      assert.ok(bytes >= 1 && bytes <= 2 ** 30 && bytes <= maxBytes, `${maxBytes} ${segmentBytes} ${bytes}`);
    }
  }
  assert.is(segmentBytesOf({ maxBytes: 1 << 26, segmentBytes: 1 << 20, overflow }), 1 << 20);
});

test('an offset beyond the end reads nothing, and a directory without output is empty', async () => {
  using directory = temporaryDirectory('output');
  const nothing = { offset: 0, nextOffset: 0, droppedBytes: 0, outputBytes: 0 };
  for (const path of [directory.path, `${directory.path}/missing`]) {
    for (const request of [{}, { tailLines: 5 }, { offset: 0 }]) {
      const { data, ...rest } = await readOutputPage(path, request);
      assert.is(data.length, 0);
      assert.equal(rest, nothing);
    }
  }
  new OutputWriter(directory.path, { limits: roomy }).write('stdout', Buffer.from('hello'));
  const page = await readOutputPage(directory.path, { offset: 100 });
  assert.equal(
    { ...page, data: text(page) },
    { data: '', offset: 5, nextOffset: 5, droppedBytes: 0, outputBytes: 5 },
  );
});

test('what is dropped after the limit is counted for readers, before the end as well', async () => {
  using directory = temporaryDirectory('output');
  const writer = new OutputWriter(directory.path, {
    limits: { ...roomy, maxBytes: 1500, overflow: 'drop-new' },
  });
  for (let index = 0; index < 100; index += 1) writer.write('stdout', Buffer.alloc(100, 65 + (index % 26)));
  await sleep(60);
  writer.write('stdout', Buffer.from('more'));
  const page = await readOutputPage(directory.path, {});
  assert.is(page.offset, 0);
  assert.is(page.nextOffset, 1500);
  assert.is(page.outputBytes, 10_004);
  const end = await readOutputPage(directory.path, { offset: 1500 });
  assert.equal(
    { ...end, data: end.data.length },
    { data: 0, offset: 10_004, nextOffset: 10_004, droppedBytes: 8504, outputBytes: 10_004 },
  );
});

test('a disk that refuses makes a gap, the rest is written when it does no more, and readers see where it is', async () => {
  using directory = temporaryDirectory('output');
  let mood: 'fine' | 'full' | 'short' | 'no-files' = 'fine';
  const refusal = (): Error => Object.assign(new Error('full'), { code: 'ENOSPC' });
  const system = {
    openSync: (...args: Parameters<typeof fs.openSync>) => {
      if (mood === 'no-files') throw refusal();
      return fs.openSync(...args);
    },
    writeSync: (descriptor: number, bytes: Uint8Array, done: number, length: number) => {
      if (mood === 'full') throw refusal();
      if (mood !== 'short') return fs.writeSync(descriptor, bytes, done, length);
      mood = 'full';
      return fs.writeSync(descriptor, bytes, done, 3);
    },
  } as unknown as Pick<typeof fs, 'openSync' | 'writeSync'>;
  const writer = new OutputWriter(directory.path, { limits: roomy, system });
  writer.write('stdout', Buffer.from('before'));
  mood = 'short';
  writer.write('stdout', Buffer.from('abcdef'));
  assert.is(writer.droppedBytes, 3);
  // It is left in peace for a while.
  mood = 'fine';
  writer.write('stderr', Buffer.from('lost'));
  assert.is(writer.droppedBytes, 7);
  await sleep(1050);
  mood = 'full';
  writer.write('stderr', Buffer.from('refused'));
  await sleep(1050);
  mood = 'no-files';
  writer.write('stderr', Buffer.from('refused'));
  await sleep(1050);
  mood = 'fine';
  writer.write('stderr', Buffer.from('after'));
  writer.finish();
  assert.is(writer.outputBytes, 35);
  assert.is(writer.droppedBytes, 21);
  const first = await readOutputPage(directory.path, {});
  assert.is(text(first), 'beforeabc');
  const second = await readOutputPage(directory.path, { offset: first.nextOffset });
  assert.equal(
    { ...second, data: text(second) },
    { data: 'after', offset: 30, nextOffset: 35, droppedBytes: 21, outputBytes: 35 },
  );
  assert.is(text(await readOutputPage(directory.path, { stream: 'stderr', offset: 9 })), 'after');
  assert.is(text(await readOutputPage(directory.path, { tailLines: 5 })), 'after');
});

test('a reader beside a writer that drops gets later offsets, and never a wrong byte', async () => {
  using directory = temporaryDirectory('output');
  const writer = new OutputWriter(directory.path, {
    limits: { maxBytes: 4000, segmentBytes: 500, overflow: 'drop-oldest' },
  });
  // Each byte tells its offset modulo 251.
  const total = 2_000_000;
  const all = Buffer.from(Array.from({ length: total }, (_, index) => index % 251));
  let at = 0;
  let later = 0;
  let read = 0;
  const write = (): void => {
    if (at >= total) return;
    const length = 1 + ((at * 7919) % 1500);
    writer.write(at % 2 === 0 ? 'stdout' : 'stderr', all.subarray(at, at + length));
    at += Math.min(length, total - at);
    setImmediate(write);
  };
  write();
  for (let offset = 0; at < total; ) {
    const page = await readOutputPage(directory.path, { offset, maxBytes: 1200 });
    assert.ok(page.offset >= offset);
    assert.is(page.nextOffset, page.offset + page.data.length);
    assert.is(text(page), all.subarray(page.offset, page.nextOffset).toString('latin1'));
    if (page.offset > offset) later += 1;
    read += page.data.length;
    offset = page.nextOffset;
    const tail = await readOutputPage(directory.path, { tailLines: 3, maxBytes: 700, stream: 'stderr' });
    assert.ok(tail.data.length <= 700);
  }
  assert.ok(later > 0);
  assert.ok(read > 0);
});

test.run();
