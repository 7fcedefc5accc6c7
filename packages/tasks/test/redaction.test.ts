import { announceSeed, assert, Random, suite } from '@forewrit/testkit';
import { Redaction } from '#src/shim/redaction.js';

const test = suite('redaction of secrets');

function redact(secrets: readonly string[], chunks: readonly (Buffer | string)[]): string {
  const redaction = new Redaction(secrets);
  const out = chunks.map((chunk) => Buffer.from(redaction.push(Buffer.from(chunk))));
  return Buffer.concat([...out, redaction.end()]).toString('latin1');
}

/** Every byte of every occurrence, by the definition. */
function naively(secrets: readonly string[], text: Buffer): string {
  const masked = Buffer.from(text);
  for (const secret of secrets.map((value) => Buffer.from(value))) {
    if (secret.length < 8) continue;
    for (let at = 0; at + secret.length <= text.length; at += 1) {
      if (text.subarray(at, at + secret.length).equals(secret)) masked.fill('*', at, at + secret.length);
    }
  }
  return masked.toString('latin1');
}

test('a secret is replaced by as many asterisks, and what is shorter than 8 bytes is not', () => {
  assert.is(redact(['password1', 'short'], ['a password1 and short\n']), 'a ********* and short\n');
  assert.is(redact([], ['anything']), 'anything');
  assert.is(redact(['password1'], []), '');
});

test('a secret that is cut anywhere between chunks is replaced', () => {
  const text = 'x password1 y';
  for (let one = 0; one <= text.length; one += 1) {
    for (let other = one; other <= text.length; other += 1) {
      const chunks = [text.slice(0, one), text.slice(one, other), text.slice(other)];
      assert.is(redact(['password1'], chunks), 'x ********* y');
    }
  }
  assert.is(redact(['password1'], text.split('')), 'x ********* y');
});

test('only what may begin a secret is held back, and the end lets it go', () => {
  const redaction = new Redaction(['password1']);
  assert.is(String(redaction.push(Buffer.from('a pass'))), 'a ');
  assert.is(String(redaction.push(Buffer.from('age pa'))), 'passage ');
  assert.is(String(redaction.end()), 'pa');
  assert.is(String(redaction.end()), '');
});

test('secrets that overlap, begin or contain one another are all replaced', () => {
  assert.is(redact(['abcdefgh', 'efghijkl'], ['-abcdefghijkl-']), '-************-');
  assert.is(redact(['abcdefgh', 'efghijkl'], ['-abcdefgh', 'ijkl-']), '-************-');
  assert.is(redact(['abcdefgh', 'efghijkl'], ['-abcdefgh', 'ijkx-']), '-********ijkx-');
  assert.is(redact(['abcdefghij', 'cdefghijkl'], ['-abcdefghijk', 'x-']), '-**********kx-');
  assert.is(redact(['12345678', '0123456789abcdef'], ['0123456789', 'x']), '0********9x');
  assert.is(redact(['aaaaaaaa'], ['a'.repeat(11), 'b']), '***********b');
});

test('secrets of several bytes a character are replaced byte for byte', () => {
  const secret = 'pässwörter€🔑';
  const bytes = Buffer.from(`x${secret}y`);
  const expected = `x${'*'.repeat(Buffer.byteLength(secret))}y`;
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    assert.is(redact([secret], [bytes.subarray(0, cut), bytes.subarray(cut)]), expected);
  }
  // Eight bytes, four characters.
  assert.is(redact(['ääää'], ['ääää']), '********');
});

test('random secrets in random chunks are replaced as the definition says', () => {
  const random = new Random(announceSeed('redaction'));
  const letters = 'ab';
  const word = (length: number): string =>
    Array.from({ length }, () => letters[random.below(letters.length)]).join('');
  for (let round = 0; round < 3000; round += 1) {
    const secrets = Array.from({ length: 1 + random.below(4) }, () => word(6 + random.below(9)));
    const text = Buffer.from(
      Array.from({ length: random.below(7) }, () =>
        random.below(2) === 0 ? word(random.below(21)) : secrets[random.below(secrets.length)],
      ).join(''),
    );
    const chunks: Buffer[] = [];
    for (let at = 0; at < text.length; ) {
      const length = 1 + random.below(9);
      chunks.push(text.subarray(at, at + length));
      at += length;
    }
    assert.is(
      redact(secrets, chunks),
      naively(secrets, text),
      JSON.stringify({ secrets, text: String(text) }),
    );
  }
});

test.run();
