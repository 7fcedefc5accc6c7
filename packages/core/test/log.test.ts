import { copyFileSync, mkdirSync } from 'node:fs';
import { isStoreError } from '#src/errors.js';
import { openLmdbLog } from '#src/log/lmdb-log.js';
import { FlushError, type Log } from '#src/log/log.js';
import { MemoryLog, MemoryLogState } from '#src/log/memory-log.js';
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { logConformance } from './log-conformance.js';
import { bytes, catchFrom, read } from './log-values.js';

logConformance('memory', () => {
  const state = new MemoryLogState();
  return {
    open: () => new MemoryLog(state),
    crash: () => new MemoryLog(state.clone()),
    [Symbol.dispose]: () => {},
  };
});

logConformance('lmdb', () => {
  const directory = temporaryDirectory('log');
  let handles = 0;
  const openIn = (name: string): Log => {
    handles += 1;
    return openLmdbLog({
      directory: `${directory.path}/${name}`,
      fileSystem: new NodeFileSystem(),
      queueToken: `handle-${handles}`,
      isTokenAlive: () => true,
    });
  };
  return {
    open: () => openIn('log'),
    crash: () => {
      // A process that is killed leaves what the system has of the file. Locks and the queue die with it.
      const name = `crashed-${handles}`;
      mkdirSync(`${directory.path}/${name}`);
      copyFileSync(`${directory.path}/log/data.mdb`, `${directory.path}/${name}/data.mdb`);
      return openIn(name);
    },
    [Symbol.dispose]: () => directory.remove(),
  };
});

const test = suite('simulated log');

test('a flush that fails before anything is written loses the batch, and the handle refuses further commits', () => {
  const state = new MemoryLogState();
  const failure = new Error('no');
  let failing = false;
  const log = new MemoryLog(state, {
    onFlush: () => {
      if (failing) throw failure;
    },
  });
  log.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
  failing = true;
  const error = catchFrom(() => log.commit((batch) => batch.put('files', bytes('a'), bytes('2'))));
  assert.instance(error, FlushError);
  assert.is((error as FlushError).cause, failure);
  failing = false;
  assert.ok(
    isStoreError(
      catchFrom(() => log.commit(() => 0)),
      'ERR_STORE_POISONED',
    ),
  );
  assert.is(read(log, 'files', 'a'), '1');
  assert.is(read(new MemoryLog(state), 'files', 'a'), '1');
});

test('a flush that fails after everything is written keeps the batch, and the caller cannot know', () => {
  const state = new MemoryLogState();
  const log = new MemoryLog(state, {
    onFlushed: () => {
      throw new Error('no');
    },
  });
  assert.instance(
    catchFrom(() => log.commit((batch) => batch.put('files', bytes('a'), bytes('2')))),
    FlushError,
  );
  assert.is(read(new MemoryLog(state), 'files', 'a'), '2');
});

test('a batch that is refused before it is built was never begun', () => {
  let built = false;
  const log = new MemoryLog(new MemoryLogState(), {
    onReserve: ({ sizeBytes }) => {
      throw new Error(`no room for ${sizeBytes}`);
    },
  });
  assert.throws(() => log.commit(() => (built = true), { sizeBytes: 7 }), /no room for 7/);
  assert.is(built, false);
});

test('a clone keeps a moment', () => {
  const state = new MemoryLogState();
  const log = new MemoryLog(state);
  log.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
  const clone = state.clone();
  log.commit((batch) => batch.put('files', bytes('a'), bytes('2')));
  const other = new MemoryLog(clone);
  assert.is(read(other, 'files', 'a'), '1');
  other.commit((batch) => batch.delete('files', bytes('a')));
  assert.is(read(log, 'files', 'a'), '2');
});

test('while a batch is flushed a crash keeps it or not, and all before it', () => {
  const state = new MemoryLogState();
  const seen: (string | undefined)[][] = [];
  const first = new MemoryLog(state);
  const second = new MemoryLog(state, {
    onFlush: () => {
      for (const unflushed of ['lost', 'kept'] as const) {
        const crashed = new MemoryLog(state.clone({ unflushed }));
        seen.push(['a', 'b', 'c'].map((key) => read(crashed, 'files', key)));
      }
    },
  });
  first.commit((batch) => batch.put('files', bytes('a'), bytes('1')));
  first.commit((batch) => batch.put('files', bytes('b'), bytes('1')));
  second.commit((batch) => {
    batch.put('files', bytes('a'), bytes('2'));
    batch.put('files', bytes('a'), bytes('3'));
    batch.delete('files', bytes('b'));
    batch.put('files', bytes('c'), bytes('1'));
  });
  const before = ['1', '1', undefined];
  const after = ['3', undefined, '1'];
  assert.equal(seen, [before, after]);
  for (const unflushed of ['lost', 'kept'] as const) {
    const crashed = new MemoryLog(state.clone({ unflushed }));
    assert.equal(
      ['a', 'b', 'c'].map((key) => read(crashed, 'files', key)),
      after,
    );
  }
});

test('a full log takes essential commits only', () => {
  const log = new MemoryLog(new MemoryLogState({ capacityBytes: 1000 }));
  log.commit((batch) => batch.put('files', bytes('a'), new Uint8Array(899)));
  const refused = catchFrom(() => log.commit(() => 0, { sizeBytes: 10 }));
  assert.ok(isStoreError(refused, 'ERR_LOG_FULL'));
  log.commit((batch) => batch.delete('files', bytes('a')), { sizeBytes: 10, essential: true });
  log.commit((batch) => batch.put('files', bytes('a'), bytes('1')), { sizeBytes: 10 });
});

test('a handle that is closed hears nothing any more', () => {
  const state = new MemoryLogState();
  const notify = (call: () => void): void => call();
  const log = new MemoryLog(state, { notify });
  let heard = 0;
  log.watch(() => (heard += 1));
  const other = new MemoryLog(state, { notify });
  other.commit((batch) => batch.put('meta', bytes('a'), bytes('1')));
  assert.is(heard, 1);
  log.close();
  other.commit((batch) => batch.put('meta', bytes('a'), bytes('2')));
  assert.is(heard, 1);
});

test.run();
