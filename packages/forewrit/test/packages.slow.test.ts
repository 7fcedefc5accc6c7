import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { assert, suite } from '@forewrit/testkit';

const test = suite('what would be published', { timeoutMs: 240_000 });

const workspace = fileURLToPath(new URL('../../..', import.meta.url));

test('packed and unpacked elsewhere, it is imported, required, run and compiled', async () => {
  const { code, output } = await new Promise<{ code: unknown; output: string }>((resolve) => {
    const args = [`${workspace}/.tools/test-packages.mjs`, '--short'];
    execFile(process.execPath, args, { cwd: workspace }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, output: `${stdout}${stderr}` });
    });
  });
  assert.is(code, 0, output);
  assert.is(output.match(/^ok /gm)?.length, 13, output);
});

test.run();
