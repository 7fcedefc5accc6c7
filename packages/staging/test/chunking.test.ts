import { Chunker, chunksOf, ChunkingStrategy } from '#src/chunking.js';
import { announceSeed, assert, Random, suite } from '@forewrit/testkit';

const test = suite('chunking');
const seed = announceSeed('chunking');
const strategies = Object.values(ChunkingStrategy);

async function cut(source: readonly (string | Uint8Array)[], strategy: ChunkingStrategy, sizeBytes: number) {
  const chunks: Buffer[] = [];
  for await (const chunk of chunksOf(source, { strategy, sizeBytes })) chunks.push(Buffer.from(chunk));
  return chunks;
}

function isWholeText(chunk: Uint8Array): boolean {
  return !new TextDecoder().decode(chunk).includes('\ufffd');
}

test('fixed: every chunk but the last has the size', async () => {
  const chunks = await cut(['0123456789', '0123456', '789'], 'fixed', 8);
  assert.equal(chunks.map(String), ['01234567', '89012345', '6789']);
});

test('line: chunks end after the last line that fits', async () => {
  const chunks = await cut(['one\ntwo\nthree\n', 'four\nfive'], 'line', 9);
  assert.equal(chunks.map(String), ['one\ntwo\n', 'three\n', 'four\nfive']);
});

test('line: a line longer than a chunk is cut between two characters', async () => {
  const chunks = await cut(['äöüß€𝄞'.repeat(5)], 'line', 7);
  assert.is(Buffer.concat(chunks).toString(), 'äöüß€𝄞'.repeat(5));
  assert.ok(chunks.every(isWholeText));
});

test('paragraph: chunks end after an empty line, else after a line', async () => {
  const text = 'One.\nStill one.\n\nTwo.\r\n\r\nThree is long\nand has two lines.\n';
  const chunks = await cut([text], 'paragraph', 30);
  assert.equal(chunks.map(String), [
    'One.\nStill one.\n\nTwo.\r\n\r\n',
    'Three is long\n',
    'and has two lines.\n',
  ]);
});

test('adaptive: chunks grow while they are quick, shrink when they are slow, and end with lines', () => {
  const chunker = new Chunker({ strategy: 'adaptive', sizeBytes: 8192 });
  chunker.measured(8192, 1);
  assert.is(chunker.sizeBytes, 16_384);
  for (let time = 0; time < 20; time += 1) chunker.measured(chunker.sizeBytes, 1);
  assert.is(chunker.sizeBytes, 4 * 1024 * 1024);
  for (let time = 0; time < 20; time += 1) chunker.measured(chunker.sizeBytes, 1000);
  assert.is(chunker.sizeBytes, 4096);
  chunker.measured(4096, 40);
  assert.is(chunker.sizeBytes, 4096);
  const lines = Buffer.from(`${'x'.repeat(99)}\n`.repeat(100));
  for (const chunk of chunker.push(lines)) assert.is(chunk.at(-1), 10);
});

test('adaptive: what waits is cut smaller when the chunks have become smaller meanwhile', () => {
  const chunker = new Chunker({ strategy: 'adaptive', sizeBytes: 65_536 });
  const bytes = Buffer.from('line\n'.repeat(10_000));
  const chunks = chunker.push(bytes);
  for (let time = 0; time < 20; time += 1) chunker.measured(chunker.sizeBytes, 1000);
  chunks.push(...chunker.push(Buffer.from('more\n')), ...chunker.flush());
  assert.ok(Buffer.concat(chunks).equals(Buffer.concat([bytes, Buffer.from('more\n')])));
  assert.ok(chunks.length > 10);
});

test('whatever comes in whatever pieces comes out, in chunks that are not too large', async () => {
  const random = new Random(seed);
  const alphabet = ['a', 'b', ' ', '\n', '\n\n', '\r\n', 'ä', '€', '𝄞'];
  for (let round = 0; round < 300; round += 1) {
    const text = Array.from({ length: random.below(400) }, () => random.pick(alphabet)).join('');
    const bytes = Buffer.from(text);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = 1 + random.below(40);
      pieces.push(bytes.subarray(at, at + length));
      at += length;
    }
    const sizeBytes = 4 + random.below(40);
    for (const strategy of strategies) {
      const chunks = await cut(pieces, strategy, sizeBytes);
      assert.ok(Buffer.concat(chunks).equals(bytes), `${strategy}, round ${round}`);
      assert.ok(chunks.every(({ length }) => length > 0 && length <= sizeBytes));
      if (strategy !== 'fixed') assert.ok(chunks.every(isWholeText), `${strategy}, round ${round}`);
    }
  }
});

test('bytes that are no text are cut, too', async () => {
  const bytes = Buffer.alloc(1000, 0x80);
  for (const strategy of strategies)
    assert.ok(Buffer.concat(await cut([bytes], strategy, 16)).equals(bytes), strategy);
});

test('whole chunks are views of what came in', () => {
  const bytes = Buffer.alloc(64);
  const chunks = new Chunker({ strategy: 'fixed', sizeBytes: 16 }).push(bytes);
  assert.is(chunks.length, 4);
  assert.ok(chunks.every(({ buffer }) => buffer === bytes.buffer));
});

test.run();
