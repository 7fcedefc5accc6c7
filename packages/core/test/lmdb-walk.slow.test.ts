/** The walk through the trees of `data.mdb`: a log that is whole passes it at any moment, one that is damaged does not. */
import { readFileSync, writeFileSync } from 'node:fs';
import { isStoreError } from '#src/errors.js';
import type { FileStat } from '#src/files/file-system.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { walkLogFile, type WalkOptions } from '#src/log/lmdb-walk.js';
import { type Log, type LogBatch, tables } from '#src/log/log.js';
import { assert, suite, temporaryDirectory, type TemporaryDirectory } from '@forewrit/testkit';
import { announceSeed, Random } from '@forewrit/testkit/random';
import { Anatomy, damages } from './lmdb-damages.js';
import { openLog } from './lmdb-world.js';
import { bytes, catchFrom, patterned } from './log-values.js';

const test = suite('the walk through the log');

let scratch: TemporaryDirectory;
let directory: string;
test.before.each(() => {
  scratch = temporaryDirectory('walk');
  directory = `${scratch.path}/log`;
});
test.after.each(() => scratch.remove());

/** A file that is in memory. */
class BytesFileSystem extends NodeFileSystem {
  content: Buffer;

  constructor(content: Buffer) {
    super();
    this.content = content;
  }

  override openRead(): number {
    return 1;
  }

  override close(): void {}

  override stat(): FileStat {
    return { type: 'file', size: this.content.length } as FileStat;
  }

  override read(_descriptor: number, into: Uint8Array, position: number): number {
    return this.content.copy(into, 0, position);
  }
}

function walk(content: Buffer, options: Partial<WalkOptions> = {}): void {
  walkLogFile(new BytesFileSystem(content), 'data.mdb', { previous: 'whole', ...options });
}

function content(): Buffer {
  return readFileSync(`${directory}/data.mdb`);
}

test('a log passes after each of many commits of every size, with every row in its table', () => {
  const random = new Random(announceSeed('the walk through the log'));
  const log = openLog(directory);
  const expected = new Map<string, number>();
  for (let commit = 0; commit < 250; commit += 1) {
    log.commit((batch) => changeAtRandom(batch, { random, expected, many: commit % 50 === 30 }));
    const seen = new Map<string, number>();
    const checkRow: WalkOptions['checkRow'] = (table, key, value) =>
      void seen.set(`${table}/${Buffer.from(key).toString()}`, value.length);
    // Those of over 4 MiB are read page by page.
    walkLogFile(new NodeFileSystem(), `${directory}/data.mdb`, { previous: 'whole', checkRow });
    assert.equal(seen, expected);
    if (commit % 25 === 0) {
      walkLogFile(new NodeFileSystem(), `${directory}/data.mdb`, {
        previous: 'whole',
        extent: { leavesOfPagesMax: 0, rowsOfPagesMax: 0 },
      });
      log.examine();
    }
  }
  assert.ok(log.stats().fileBytes > 4 * 1024 * 1024);
  log.close();
});

interface Change {
  readonly random: Random;
  readonly expected: Map<string, number>;
  readonly many: boolean;
}

function changeAtRandom(batch: LogBatch, { random, expected, many }: Change): void {
  for (let change = many ? 2000 : random.below(12) + 1; change > 0; change -= 1) {
    const table = random.pick(tables);
    const name = `${random.below(2000)}`.padStart(random.below(20) === 0 ? 300 : 4, 'x');
    const id = `${table}/${name}`;
    if (random.chance(0.4)) {
      batch.delete(table, bytes(name));
      expected.delete(id);
    } else {
      const length = random.pick([0, 20, 200, 2000, 2100, 5000, 40_000]);
      batch.put(table, bytes(name), new Uint8Array(length));
      expected.set(id, length);
    }
  }
  if (random.below(30) !== 0) return;
  // All but some of them go, so that pages are merged and freed.
  for (const id of Array.from(expected.keys())) {
    if (random.below(20) === 0) continue;
    const [table, name] = id.split('/') as [(typeof tables)[number], string];
    batch.delete(table, bytes(name));
    expected.delete(id);
  }
}

/** `files` has a branch with leaves, `log` one large value, `meta` one leaf; some pages are free. */
function fill(log: Log): void {
  for (let round = 0; round < 8; round += 1) {
    log.commit((batch) => {
      for (let n = 0; n < 200; n += 1) batch.put('files', bytes(`key ${n}`), bytes(`value ${n} of ${round}`));
      batch.put('log', bytes('large'), patterned(20_000));
      for (const key of ['a', 'b', 'c']) batch.put('meta', bytes(key), bytes(`${key}${round}`));
    });
  }
}

test('damage of every kind is named, and refused when the log is opened', () => {
  const log = openLog(directory);
  fill(log);
  log.close();
  const whole = content();
  walk(whole);
  for (const [what, damage, found] of damages) {
    const anatomy = new Anatomy(whole);
    damage(anatomy);
    assert.not.equal(anatomy.bytes, whole, `${what}: nothing is damaged`);
    const error = catchFrom(() => walk(anatomy.bytes));
    assert.ok(isStoreError(error, 'ERR_LOG_CORRUPT'), `${what}: ${String(error)}`);
    assert.match(error.message, found, what);
    writeFileSync(`${directory}/data.mdb`, anatomy.bytes);
    const refusal = catchFrom(() => openLog(directory));
    assert.ok(isStoreError(refusal, 'ERR_LOG_CORRUPT'), `${what}: ${String(refusal)}`);
  }
  writeFileSync(`${directory}/data.mdb`, whole);
  openLog(directory).close();
});

test('whatever bit is the other way round, the walk ends, and with an error of ours or none', () => {
  const log = openLog(directory);
  fill(log);
  log.close();
  const damaged = content();
  const random = new Random(announceSeed('the walk through the log, bits'));
  const { newest, pageBytes } = new Anatomy(damaged);
  const end = (damaged.readUInt32LE(newest + 144) + 1) * pageBytes;
  let refused = 0;
  // All bits of what LMDB goes by at the begin of each page, and some of the rest.
  for (let at = 0; at < end * 8; at += at % (pageBytes * 8) < 168 * 8 ? 1 : 1 + random.below(500)) {
    const byte = at >> 3;
    damaged[byte]! ^= 1 << (at & 7);
    try {
      walk(damaged);
    } catch (error) {
      assert.ok(isStoreError(error), `bit ${at}: ${String(error)}`);
      refused += 1;
    }
    damaged[byte]! ^= 1 << (at & 7);
  }
  assert.ok(refused > 1000, `${refused} refused`);
});

test.run();
