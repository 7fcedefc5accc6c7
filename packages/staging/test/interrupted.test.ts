import { announceSeed, assert, Random, suite } from '@forewrit/testkit';
import { interruptedUpload } from './interrupted-upload.js';

const test = suite('interrupted upload, the short one', { timeoutMs: 120_000 });
const random = new Random(announceSeed('interrupted upload'));

test('an upload of 4 MB that is killed three times is finished, and little of it written twice', async () => {
  assert.ok((await interruptedUpload({ bytes: 4_000_000, kills: 3 }, random)) <= 1.3);
});

test.run();
