/** Another program edits the files of a committed transaction after a kill, before the store is opened again. */
import type { RecoveryReport } from '@forewrit/core';
import { suite, temporaryDirectory, TestProcess, underOtherBoot, whyNotUnder } from '@forewrit/testkit';
import { editAfterKill, type EditScenario, targetCount } from './edit-scenarios.js';
import type { OpenMessage } from './open-child.js';

const test = suite('edits by other programs after a crash');

const inlineLimitBytes = 65_536;

/** Where the process is killed, and how many targets are applied by then. */
const kills: readonly (readonly [failpoint: string, skip: number])[] = [
  ['log.after', 0],
  ['apply.target', targetCount >> 2],
  ['apply.target', targetCount >> 1],
  ['apply.target', targetCount - 9],
  ['apply.after', 0],
  ['applied.after', 0],
  ['checkpoint.sync-directory', 0],
  ['checkpoint.sweep', 0],
];

for (const [failpoint, skip] of kills) {
  const where = skip === 0 ? failpoint : `${failpoint} after ${skip}`;
  for (const boot of ['same', 'other'] as const) {
    test(`killed at ${where}, opened on the ${boot} boot: nothing of theirs is lost`, async () => {
      const scenario: Omit<EditScenario, 'inlineLimitBytes'> = { failpoint, skip, boot };
      await Promise.all(
        [inlineLimitBytes, 0].map((limit) => editAfterKill({ ...scenario, inlineLimitBytes: limit })),
      );
    });
  }
}

const noOtherBoot =
  process.platform === 'linux' && process.getuid?.() === 0
    ? whyNotUnder(['unshare', '-m'])
    : 'only root on Linux can have another boot id';

test.skipIf(noOtherBoot, 'the same where the boot id has really changed', async () => {
  using directory = temporaryDirectory('boot');
  const under = underOtherBoot(directory.path);
  const open = async (root: string): Promise<RecoveryReport> => {
    const script = new URL('./open-child.js', import.meta.url);
    await using child = new TestProcess<OpenMessage>(script, { request: { root }, under });
    return (await child.next('open')).recovery;
  };
  const skip = targetCount >> 1;
  await editAfterKill({ failpoint: 'apply.target', skip, inlineLimitBytes, boot: 'other', open });
});

test.run();
