/** Waiting for a process: not for ever, and not by the clock on the wall alone. */

import { assert, starvedMsOf, suite, TestProcess } from '#src/index.js';

const test = suite('child process');
const script = new URL('./waiting-child.js', import.meta.url);

type Message = { readonly type: 'there' } | { readonly type: 'never' };

test('a process that has a processor and does not answer is not waited for any longer', async () => {
  await using child = new TestProcess<Message>(script);
  await child.next('there', 60_000);
  const answer = await child.next('never', 50).catch((error: unknown) => String(error));
  assert.match(String(answer), /did not answer within 50 ms; its last: .*there/);
  const { signal } = await child.kill();
  assert.is(signal, 'SIGKILL');
});

test('one that has ended is not waited for', async () => {
  await using child = new TestProcess<Message>(script);
  await child.next('there', 60_000);
  child.tell({ type: 'end' });
  assert.is(await child.nextOrEnd('never'), undefined);
});

test('nothing is kept from a process that is gone', async () => {
  await using child = new TestProcess<Message>(script);
  await child.next('there', 60_000);
  assert.ok(starvedMsOf(child.pid) >= 0);
  await child.kill();
  assert.is(starvedMsOf(child.pid), 0);
});

test.run();
