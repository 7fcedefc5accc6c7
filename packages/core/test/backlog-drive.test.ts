/** What recovery has left for the background, when the store is closed before it is done. */

import { BacklogDrive } from '#src/committer/backlog-drive.js';
import { emptyRecoveryReport, type RecoveryBacklog, type RecoveryReport } from '#src/committer/recoverer.js';
import { assert, suite } from '@forewrit/testkit';

const test = suite('the backlog of a recovery');

const longMs = 20_000;

interface World {
  readonly drive: BacklogDrive;
  readonly ended: RecoveryReport[];
  readonly errors: unknown[];
}

function world(): World {
  const ended: RecoveryReport[] = [];
  const errors: unknown[] = [];
  const drive = new BacklogDrive({
    run: (piece) => piece(),
    onEnd: (report) => ended.push(report),
    onError: (error) => errors.push(error),
  });
  return { drive, ended, errors };
}

/** Of so many pieces; counts those that were done. */
function pieces(count: number): RecoveryBacklog & { done: number } {
  return {
    done: 0,
    async next(isWanted) {
      if (isWanted()) this.done += 1;
      return this.done < count ? undefined : emptyRecoveryReport;
    },
  };
}

test('goes on while the store is closed: whoever only opens and closes comes to its end, too', async () => {
  const { drive, ended } = world();
  const backlog = pieces(50);
  drive.begin(backlog);
  await drive.stopAfter(longMs);
  assert.is(backlog.done, 50);
  assert.is(ended.length, 1);
});

test('with no time left nothing more is begun', async () => {
  const { drive, ended } = world();
  const backlog = pieces(50);
  drive.begin(backlog);
  await drive.stopAfter(0);
  assert.not.ok(await drive.done());
  assert.is(backlog.done, 0);
  assert.equal(ended, []);
});

test('what does not come to its end is left when the time is over', async () => {
  const { drive, ended } = world();
  let letGo = (): void => undefined;
  let wanted: boolean | undefined;
  drive.begin({
    async next(isWanted) {
      await new Promise<void>((resolve) => {
        letGo = resolve;
      });
      wanted = isWanted();
      return emptyRecoveryReport;
    },
  });
  await drive.stopAfter(20);
  letGo();
  await drive.done();
  assert.is(wanted, false);
  assert.equal(ended, []);
});

test('what fails while the store is closed is said, and keeps it from nothing', async () => {
  const { drive, errors } = world();
  const failure = new Error('no disk');
  drive.begin({ next: () => Promise.reject(failure) });
  await drive.stopAfter(longMs);
  assert.equal(errors, [failure]);
});

test.run();
