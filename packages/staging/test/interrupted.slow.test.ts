import { announceSeed, assert, Random, suite } from '@forewrit/testkit';
import { interruptedUpload } from './interrupted-upload.js';

const test = suite('interrupted upload', { timeoutMs: 400_000 });
const random = new Random(announceSeed('interrupted upload'));

test('an upload of 100 MB that is killed at 50 bytes is finished with at most 1.2 times its bytes', async () => {
  const times = await interruptedUpload({ bytes: 100_000_000, kills: 50 }, random);
  console.log(`${times.toFixed(3)} times its bytes were written`);
  assert.ok(times <= 1.2, `${times} times`);
});

test.run();
