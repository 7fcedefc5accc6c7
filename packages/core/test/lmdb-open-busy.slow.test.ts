/** A log that is whole is never refused, however busy others are with it while it is looked at. */
import { NodeFileSystem } from '#src/files/node-file-system.js';
import { openLogToInspect } from '#src/log/lmdb-inspection.js';
import type { Log } from '#src/log/log.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { bytes } from './log-values.js';
import { Child, openLog } from './lmdb-world.js';

const test = suite('opening a busy log', { timeoutMs: 300_000 });
const rounds = Number(process.env['FOREWRIT_BUSY_ROUNDS'] ?? 400);

test('a log is opened and examined beside busy writers without being refused', async () => {
  using scratch = temporaryDirectory('busy');
  const directory = `${scratch.path}/log`;
  const before = openLog(directory);
  const writers = [
    new Child({ directory, action: 'write-for-ever' }),
    new Child({ directory, action: 'write-for-ever' }),
  ];
  try {
    for (const writer of writers) await writer.report('ready');
    const rows: number[] = [];
    const rowsOf = (log: Log): number => {
      let count = 0;
      log.view((view) => (count = view.range('entries', { start: bytes('0') }).length));
      return count;
    };
    for (let round = 0; round < rounds; round += 1) {
      const log = openLog(directory, { checkRow: () => {} });
      // Read without a turn of its own: the writers go on meanwhile.
      for (let look = 0; look < 5; look += 1) log.examine();
      rows.push(rowsOf(log));
      log.close();
      const looking = openLogToInspect({
        directory,
        fileSystem: new NodeFileSystem(),
        scratchDirectory: `${scratch.path}/scratch`,
      });
      looking.examine();
      rows.push(rowsOf(looking));
      looking.close();
    }
    assert.ok(
      rows.every((count) => count === 0 || count === 20),
      rows.join(),
    );
  } finally {
    for (const writer of writers) await writer.kill('SIGKILL');
    before.close();
  }
});

test('a log is opened while others, again and again, are the last to close it', async () => {
  using scratch = temporaryDirectory('busy');
  const directory = `${scratch.path}/log`;
  openLog(directory).close();
  const task = { directory, action: 'come-and-go', count: 5 * rounds } as const;
  const children = [new Child(task), new Child(task), new Child(task)];
  for (const child of children) {
    const { code, message } = await child.report('done');
    assert.equal([code, message], [undefined, undefined]);
  }
});

test.run();
