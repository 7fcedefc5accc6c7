/** What every log must do, whatever keeps it: run against the real one and the simulated one. */
import { AssertionError } from '#src/assert.js';
import type { Log, LogView, Range, Table } from '#src/log/log.js';
import { batchBytesMax, keyBytesMax, valueBytesMax } from '#src/log/log-limits.js';
import { announceSeed, assert, Random, suite } from '@forewrit/testkit';
import { bytes, catchFrom, patterned, pause, read, text } from './log-values.js';

export interface LogUnderTest extends Disposable {
  /** A handle of its own on the one store of this test, as another process would have it. */
  open(): Log;
  /** A handle on the store as a crash of all its processes leaves it now. */
  crash(): Log;
}

export function logConformance(name: string, make: () => LogUnderTest): void {
  const test = suite(`log: ${name}`);

  function each(title: string, body: (log: Log, store: LogUnderTest) => void | Promise<void>): void {
    test(title, async () => {
      using store = make();
      const log = store.open();
      await body(log, store);
      log.close();
    });
  }

  each('a committed value is there, in its table only', (log) => {
    log.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
    assert.is(read(log, 'files', 'a'), '1');
    assert.is(read(log, 'entries', 'a'), undefined);
    log.commit((batch) => batch.put('files', bytes('a'), bytes('2')));
    assert.is(read(log, 'files', 'a'), '2');
    log.commit((batch) => batch.delete('files', bytes('a')));
    assert.is(read(log, 'files', 'a'), undefined);
  });

  each('deleting what is not there does nothing', (log) => {
    log.commit((batch) => batch.delete('files', bytes('a')));
    assert.is(read(log, 'files', 'a'), undefined);
  });

  each('a batch sees its own writes', (log) => {
    log.commit((batch) => batch.put('log', bytes('b'), bytes('old')));
    log.commit((batch) => {
      batch.put('log', bytes('a'), bytes('1'));
      batch.put('log', bytes('b'), bytes('2'));
      batch.put('log', bytes('c'), bytes('3'));
      batch.delete('log', bytes('a'));
      assert.is(batch.get('log', bytes('a')), undefined);
      assert.is(text(batch.get('log', bytes('b'))), '2');
      assert.equal(all(batch, 'log'), ['b=2', 'c=3']);
      batch.put('log', bytes('d'), bytes('4'));
      assert.equal(all(batch, 'log', { reverse: true, limit: 2 }), ['d=4', 'c=3']);
    });
    assert.equal(
      log.view((view) => all(view, 'log')),
      ['b=2', 'c=3', 'd=4'],
    );
  });

  each('what build throws is thrown, and nothing was written', (log) => {
    log.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
    const thrown = { not: 'even an Error' };
    const caught = catchFrom(() =>
      log.commit((batch) => {
        batch.put('files', bytes('a'), bytes('2'));
        batch.put('files', bytes('b'), bytes('2'));
        batch.delete('files', bytes('a'));
        throw thrown;
      }),
    );
    assert.is(caught, thrown);
    assert.equal(
      log.view((view) => all(view, 'files')),
      ['a=1'],
    );
    log.commit((batch) => batch.put('files', bytes('b'), bytes('3')));
    assert.equal(
      log.view((view) => all(view, 'files')),
      ['a=1', 'b=3'],
    );
  });

  each(
    'a crash keeps every batch that is committed, and nothing of one that is being built',
    (log, store) => {
      const other = store.open();
      const afterCrash = (): string[] => {
        const crashed = store.crash();
        const rows = crashed.view((view) => all(view, 'files'));
        crashed.commit((batch) => batch.put('files', bytes('later'), bytes('1')));
        crashed.close();
        return rows;
      };
      const committed: string[] = [];
      for (let round = 0; round < 3; round += 1) {
        for (const handle of [log, other]) {
          const key = `${round}-${handle === log ? 'one' : 'other'}`;
          handle.commit((batch) => {
            batch.put('files', bytes(key), bytes('1'));
            if (committed.length > 0) batch.delete('files', bytes(committed[0]!.split('=')[0]!));
            assert.equal(afterCrash(), committed);
          });
          committed.splice(0, committed.length > 0 ? 1 : 0);
          committed.push(`${key}=1`);
          assert.equal(afterCrash(), committed);
        }
      }
      const refused = new Error('refused');
      const caught = catchFrom(() =>
        log.commit((batch) => {
          batch.put('files', bytes('refused'), bytes('1'));
          throw refused;
        }),
      );
      assert.is(caught, refused);
      assert.equal(afterCrash(), committed);
      other.close();
    },
  );

  each('what build returns is returned, a promise included, when the batch is committed', (log, store) => {
    const other = store.open();
    const promise = log.commit((batch) => {
      batch.put('files', bytes('a'), bytes('1'));
      return Promise.resolve('later');
    });
    assert.instance(promise, Promise);
    assert.is(read(other, 'files', 'a'), '1');
    assert.is(
      log.commit(() => undefined),
      undefined,
    );
    other.close();
  });

  each('the caller may use its buffers again, and keeps what it was given', (log) => {
    const key = bytes('key');
    const value = bytes('value');
    log.commit((batch) => {
      batch.put('files', key, value);
      key.fill(0);
      value.fill(0);
    });
    const kept = log.view((view) => view.get('files', bytes('key')));
    const row = log.view((view) => view.range('files', { start: bytes('k') }))[0];
    log.commit((batch) => batch.put('files', bytes('key'), bytes('other')));
    log.view((view) => view.get('files', bytes('key')));
    assert.is(text(kept), 'value');
    assert.is(text(row?.[0]), 'key');
    assert.is(text(row?.[1]), 'value');
  });

  each('a slice of a larger or shared buffer is stored as the slice', (log) => {
    const large = bytes('....value....');
    const shared = new Uint8Array(new SharedArrayBuffer(5));
    shared.set(bytes('share'));
    log.commit((batch) => {
      batch.put('files', large.subarray(4, 6), large.subarray(4, 9));
      batch.put('files', bytes('shared'), shared);
    });
    assert.equal(
      log.view((view) => all(view, 'files')),
      ['shared=share', 'va=value'],
    );
  });

  each('values of every size come back', (log) => {
    const sizes = [0, 1, 2029, 2030, 2031, 4096, 0x7fff, 0x8000, 0x8001, 65_536, 1_000_003, valueBytesMax];
    for (const size of sizes) {
      const value = patterned(size);
      log.commit((batch) => batch.put('entries', bytes('key'), value), { sizeBytes: size });
      const found = log.view((view) => view.get('entries', bytes('key')));
      assert.is(found?.length, size);
      assert.ok(Buffer.compare(found ?? bytes(''), value) === 0, `${size} bytes are others`);
      const [row] = log.view((view) => view.range('entries', { start: bytes('k') }));
      assert.ok(
        row !== undefined && Buffer.compare(row[1], value) === 0,
        `${size} bytes are others in a range`,
      );
    }
  });

  each('a value or a commit that is too large is refused, and nothing was written', (log) => {
    assert.is(
      codeFrom(() =>
        log.commit((batch) => {
          batch.put('files', bytes('a'), bytes('1'));
          batch.put('files', bytes('b'), new Uint8Array(valueBytesMax + 1));
        }),
      ),
      'ERR_TOO_LARGE',
    );
    const part = new Uint8Array(valueBytesMax);
    assert.is(
      codeFrom(() =>
        log.commit((batch) => {
          for (let sum = 0; sum <= batchBytesMax; sum += part.length) batch.put('files', bytes('a'), part);
        }),
      ),
      'ERR_TOO_LARGE',
    );
    assert.is(read(log, 'files', 'a'), undefined);
  });

  each('a key may have any bytes up to the limit, and at least one', (log) => {
    const longest = patterned(keyBytesMax);
    log.commit((batch) => batch.put('files', longest, bytes('long')));
    assert.is(text(log.view((view) => view.get('files', longest))), 'long');
    for (const bad of [new Uint8Array(0), new Uint8Array(keyBytesMax + 1)]) {
      assert.throws(() => log.view((view) => view.get('files', bad)), isAssertion);
      assert.throws(() => log.commit((batch) => batch.put('files', bad, bytes(''))), isAssertion);
      assert.throws(() => log.commit((batch) => batch.delete('files', bad)), isAssertion);
    }
    assert.is(log.view((view) => view.range('files', { start: new Uint8Array(0) })).length, 1);
  });

  each('ranges are those of a sorted list', (log) => {
    const chance = new Random(announceSeed(`log: ${name}`));
    const model = new Map<string, string>();
    for (let round = 0; round < 40; round += 1) {
      log.commit((batch) => {
        for (let change = 0; change < 20; change += 1) {
          const key = randomKey(chance);
          const name = Buffer.from(key).toString('hex');
          if (chance.below(3) === 0) {
            batch.delete('entries', key);
            model.delete(name);
          } else {
            const value = patterned(chance.below(6000));
            batch.put('entries', key, value);
            model.set(name, Buffer.from(value).toString('hex'));
          }
        }
      });
      for (let query = 0; query < 30; query += 1) {
        const range = randomRange(chance);
        const expected = rangeOf(model, range);
        const found = log.view((view) => view.range('entries', range));
        assert.equal(
          found.map(([key, value]) => [hex(key), hex(value)]),
          expected,
          `seed ${chance.seed}: ${JSON.stringify(range)}`,
        );
      }
    }
  });

  each('a range of more rows than fit on a page comes whole', (log) => {
    const count = 5000;
    log.commit((batch) => {
      for (let n = 0; n < count; n += 1) batch.put('log', bytes(String(n).padStart(6, '0')), bytes(`v${n}`));
    });
    const rows = log.view((view) => view.range('log', { start: bytes('000000') }));
    assert.is(rows.length, count);
    assert.ok(rows.every(([, value], n) => text(value) === `v${n}`));
  });

  each('another handle sees a commit in its next view, whatever it looked at before', (log, store) => {
    const other = store.open();
    for (let n = 0; n < 200; n += 1) {
      other.view((view) => view.get('files', bytes('n')));
      log.commit((batch) => batch.put('files', bytes('n'), bytes(String(n))));
      assert.is(read(other, 'files', 'n'), String(n));
      other.commit((batch) => batch.put('meta', bytes('n'), bytes(String(n))));
      assert.is(read(log, 'meta', 'n'), String(n));
    }
    other.close();
  });

  each('commits and views do not nest', (log) => {
    for (const outer of ['commit', 'view'] as const) {
      for (const inner of ['commit', 'view', 'stats', 'close'] as const) {
        const nested = (): unknown =>
          inner === 'stats' || inner === 'close' ? log[inner]() : log[inner](() => 0);
        assert.throws(() => log[outer](nested), isAssertion, `${inner} in ${outer}`);
      }
    }
    assert.is(
      log.view(() => 1),
      1,
    );
  });

  each('a batch is of no use after its commit', (log) => {
    const batch = log.commit((each) => each);
    assert.throws(() => batch.put('files', bytes('a'), bytes('1')), isAssertion);
    assert.throws(() => batch.get('files', bytes('a')), isAssertion);
    assert.throws(() => batch.range('files', { start: bytes('a') }), isAssertion);
    assert.is(read(log, 'files', 'a'), undefined);
  });

  each('a closed log refuses everything but another close', (log, store) => {
    log.close();
    log.close();
    assert.is(
      codeFrom(() => log.commit(() => 0)),
      'ERR_STORE_CLOSED',
    );
    assert.is(
      codeFrom(() => log.view(() => 0)),
      'ERR_STORE_CLOSED',
    );
    assert.is(
      codeFrom(() => log.stats()),
      'ERR_STORE_CLOSED',
    );
    assert.is(
      codeFrom(() => log.watch(() => {})),
      'ERR_STORE_CLOSED',
    );
    const other = store.open();
    other.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
    assert.is(read(other, 'files', 'a'), '1');
    other.close();
  });

  each('what is used grows with what is stored and shrinks when it is deleted', (log) => {
    const empty = log.stats();
    log.commit((batch) => batch.put('files', bytes('a'), new Uint8Array(500_000)));
    const full = log.stats();
    log.commit((batch) => batch.delete('files', bytes('a')));
    const again = log.stats();
    assert.ok(full.usedBytes >= empty.usedBytes + 500_000);
    assert.ok(again.usedBytes < empty.usedBytes + 100_000);
    for (const { usedBytes, fileBytes } of [empty, full, again]) assert.ok(fileBytes >= usedBytes);
  });

  each('a watcher hears of commits by others until it stops listening', async (log, store) => {
    const other = store.open();
    let calls = 0;
    const unwatch = log.watch(() => (calls += 1));
    for (let round = 1; round <= 3; round += 1) {
      const before = calls;
      other.commit((batch) => batch.put('files', bytes('a'), bytes(String(round))));
      await until(() => calls > before);
    }
    unwatch();
    await pause(20);
    const before = calls;
    other.commit((batch) => batch.put('files', bytes('a'), bytes('last')));
    await pause(50);
    assert.is(calls, before);
    other.close();
  });

  test.run();
}

async function until(condition: () => boolean, timeoutMs = 5000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    assert.ok(performance.now() < end, `not within ${timeoutMs} ms: ${condition.toString()}`);
    await pause(2);
  }
}

function codeFrom(body: () => unknown): unknown {
  const error = catchFrom(body);
  return error instanceof Error && 'code' in error ? error.code : error;
}

function isAssertion(error: unknown): boolean {
  return error instanceof AssertionError;
}

function all(view: LogView, table: Table, range: Partial<Range> = {}): string[] {
  const rows = view.range(table, { start: new Uint8Array(0), ...range });
  return rows.map(([key, value]) => `${text(key)}=${text(value)}`);
}

function hex(value: Uint8Array): string {
  return Buffer.from(value).toString('hex');
}

// Few different bytes and short keys, so that ranges begin and end at keys, between them and in their prefixes.
function randomKey(chance: Random): Uint8Array {
  const alphabet = [0, 1, 0x7f, 0x80, 0xff];
  return Uint8Array.from({ length: 1 + chance.below(4) }, () => alphabet[chance.below(alphabet.length)] ?? 0);
}

function randomRange(chance: Random): Range {
  const start = chance.below(5) === 0 ? new Uint8Array(0) : randomKey(chance);
  return {
    start,
    ...(chance.below(3) === 0 ? {} : { end: randomKey(chance) }),
    ...(chance.below(2) === 0 ? {} : { reverse: true }),
    ...(chance.below(2) === 0 ? {} : { limit: chance.below(8) }),
  };
}

function rangeOf(model: ReadonlyMap<string, string>, range: Range): (readonly [string, string])[] {
  const from = hex(range.start);
  const to = range.end === undefined ? undefined : hex(range.end);
  const rows = [...model]
    .filter(([key]) => key >= from && (to === undefined || key < to))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const ordered = range.reverse === true ? rows.toReversed() : rows;
  return ordered.slice(0, range.limit);
}
