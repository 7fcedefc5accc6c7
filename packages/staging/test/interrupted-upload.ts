/** An upload that is killed again and again, at bytes that a seed chooses, and finished by the last process. */

import { statSync } from 'node:fs';
import { assert, type Random, temporaryDirectory, TestProcess } from '@forewrit/testkit';
import type { UploadMessage, UploadRequest } from './upload-child.js';
import { digestOf } from './upload-content.js';

const script = new URL('./upload-child.js', import.meta.url);
const durableEveryBytes = 256 * 1024;

export interface Upload {
  readonly bytes: number;
  readonly kills: number;
}

/** Returns how many bytes were written in all, in those of the content. */
export async function interruptedUpload({ bytes, kills }: Upload, random: Random): Promise<number> {
  using directory = temporaryDirectory('upload');
  const request = { root: `${directory.path}/root`, bytes, seed: random.next32() };
  const offsets = Array.from({ length: kills }, () => 1 + random.below(bytes - 1)).sort((a, b) => a - b);
  let written = 0;
  for (const killAt of offsets) {
    const { offset, signal } = await run({ ...request, killAt });
    assert.is(signal, 'SIGKILL');
    assert.ok(offset <= killAt, 'what is continued was written');
    written += killAt - offset;
  }
  const last = await run(request);
  assert.is(last.signal, null);
  written += bytes - last.offset;
  assert.is(last.checksum, digestOf(bytes, request.seed));
  assert.is(statSync(`${request.root}/upload`).size, bytes);
  const lost = written - bytes;
  assert.ok(lost <= kills * (durableEveryBytes + (1 << 16)), `${lost} bytes were written twice`);
  return written / bytes;
}

async function run(request: UploadRequest): Promise<{
  readonly offset: number;
  readonly checksum: string | undefined;
  readonly signal: NodeJS.Signals | null;
}> {
  await using child = new TestProcess<UploadMessage>(script, { request });
  const { offset } = await child.next('begun', 60_000);
  const { signal } = await child.end(120_000);
  const done = child.messages.find(({ type }) => type === 'done');
  return { offset, checksum: done?.type === 'done' ? done.checksum : undefined, signal };
}
