import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as assert from '#src/assert.js';
import { reportPrefix, suite } from '#src/suite.js';

const packageRoot = fileURLToPath(new URL('..', import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly output: string;
  readonly report: { total: number; passed: number; skipped: number; failed: number };
}

/** Runs a test file of its own, given as its text, in a process of its own. */
function runFile(text: string, env: NodeJS.ProcessEnv = {}): Outcome {
  const source = `import { assert, suite } from '@forewrit/testkit';\n${text}`;
  const { CI: _, FOREWRIT_TEST_VERBOSE: __, FOREWRIT_TEST_ONLY: ___, ...inherited } = process.env;
  const child = spawnSync(process.execPath, ['--input-type=module', '--eval', source], {
    cwd: packageRoot,
    encoding: 'utf8',
    env: { ...inherited, ...env },
    timeout: 20_000,
  });
  const line = child.stdout.trimEnd().split('\n').at(-1) ?? '';
  assert.ok(line.startsWith(reportPrefix), `the last line is the report:\n${child.stdout}\n${child.stderr}`);
  return {
    code: child.status,
    output: child.stdout + child.stderr,
    report: JSON.parse(line.slice(reportPrefix.length)),
  };
}

const test = suite('suite');

test('a suite whose tests pass exits with 0 and reports them', () => {
  const { code, report } = runFile(`
    const test = suite('s');
    test('one', () => {});
    test('two', async () => {});
    test.run();
  `);
  assert.is(code, 0);
  assert.equal(report, { total: 2, passed: 2, skipped: 0, failed: 0 });
});

test('FOREWRIT_TEST_ONLY runs the test of that name; the others count as skipped', () => {
  const { code, report, output } = runFile(
    `
    const test = suite('s');
    test('one', () => console.log('ran one'));
    test('two', () => { throw new Error('ran two'); });
    test.run();
  `,
    { FOREWRIT_TEST_ONLY: 'one' },
  );
  assert.is(code, 0);
  assert.equal(report, { total: 2, passed: 1, skipped: 1, failed: 0 });
  assert.match(output, /ran one/);
});

test('several suites in one file are added up', () => {
  const { code, report } = runFile(`
    for (const name of ['a', 'b']) {
      const test = suite(name);
      test('one', () => {});
      test.run();
    }
  `);
  assert.is(code, 0);
  assert.equal(report, { total: 2, passed: 2, skipped: 0, failed: 0 });
});

test('hooks run around the suite and around each test, in order', () => {
  const { code, output } = runFile(`
    const seen = [];
    const test = suite('s');
    test.before(() => seen.push('before'));
    test.before.each(() => seen.push('before each'));
    test.after.each(() => seen.push('after each'));
    test.after(() => console.log('\\nseen: ' + seen.join(', ')));
    test('one', () => seen.push('one'));
    test('two', () => seen.push('two'));
    test.run();
  `);
  assert.is(code, 0);
  assert.match(output, 'seen: before, before each, one, after each, before each, two, after each');
});

test('a failing test fails the process and spares the others', () => {
  const { code, report, output } = runFile(`
    const test = suite('s');
    test('one', () => assert.is(1, 2));
    test('two', () => {});
    test.run();
  `);
  assert.is(code, 1);
  assert.equal(report, { total: 2, passed: 1, skipped: 0, failed: 1 });
  assert.match(output, 'Expected values to be strictly equal');
});

for (const thrown of ['undefined', 'null', '"text"', '{}', '0']) {
  test(`throwing ${thrown} fails the test`, () => {
    const { code, report } = runFile(`
      const test = suite('s');
      test('one', () => { throw ${thrown}; });
      test('two', () => {});
      test.run();
    `);
    assert.is(code, 1);
    assert.equal(report, { total: 2, passed: 1, skipped: 0, failed: 1 });
  });
}

test('a hanging test fails at its time limit, and the next one runs', () => {
  const { code, report, output } = runFile(`
    const test = suite('s', { timeoutMs: 50 });
    test('hangs', () => new Promise(() => {}));
    test('has its own limit', () => new Promise((resolve) => setTimeout(resolve, 100)), { timeoutMs: 5000 });
    test.run();
  `);
  assert.is(code, 1);
  assert.equal(report, { total: 2, passed: 1, skipped: 0, failed: 1 });
  assert.match(output, 'the test "hangs" took longer than 50 ms');
});

test('the timer of a finished test does not keep the process alive', () => {
  const startedMs = performance.now();
  const { code } = runFile(`
    const test = suite('s', { timeoutMs: 15_000 });
    test('one', () => {});
    test.run();
  `);
  assert.is(code, 0);
  assert.ok(performance.now() - startedMs < 9_000);
});

test('a throwing before hook fails every test of its suite', () => {
  const { code, report, output } = runFile(`
    const test = suite('s');
    test.before(() => { throw new Error('the hook broke'); });
    test('one', () => {});
    test('two', () => {});
    test.run();
    const other = suite('other');
    other('three', () => {});
    other.run();
  `);
  assert.is(code, 1);
  assert.equal(report, { total: 3, passed: 1, skipped: 0, failed: 2 });
  assert.match(output, 'the hook broke');
});

test('a hanging before hook fails at the time limit', () => {
  const { code, output } = runFile(`
    const test = suite('s', { timeoutMs: 50 });
    test.before(() => new Promise(() => {}));
    test('one', () => {});
    test.run();
  `);
  assert.is(code, 1);
  assert.match(output, 'a hook "before" took longer than 50 ms');
});

test('a throwing after hook fails the process, and the next suite runs', () => {
  const { code, report, output } = runFile(`
    const test = suite('s');
    test.after(() => { throw undefined; });
    test('one', () => {});
    test.run();
    const other = suite('other');
    other('two', () => {});
    other.run();
  `);
  assert.is(code, 1);
  assert.equal(report, { total: 3, passed: 2, skipped: 0, failed: 1 });
  assert.match(output, 'a hook "after" failed');
});

for (const when of ['before', 'after']) {
  test(`a throwing ${when}.each hook fails its test`, () => {
    const { code, report, output } = runFile(`
      const test = suite('s');
      let times = 0;
      test.${when}.each(() => { if (times++ === 0) throw new Error('the hook broke'); });
      test('one', () => {});
      test('two', () => {});
      test.run();
    `);
    assert.is(code, 1);
    assert.equal(report, { total: 2, passed: 1, skipped: 0, failed: 1 });
    assert.match(output, 'the hook broke');
  });
}

test('when the test and its after.each hook both throw, both are told', () => {
  const { code, report, output } = runFile(`
    const test = suite('s');
    test.after.each(() => { throw new Error('the hook broke'); });
    test('one', () => { throw new Error('the test broke'); });
    test.run();
  `);
  assert.is(code, 1);
  assert.equal(report, { total: 1, passed: 0, skipped: 0, failed: 1 });
  assert.match(output, 'the test broke; then the hook broke');
});

test('a forgotten run fails the process', () => {
  const { code, report, output } = runFile(`
    const test = suite('s');
    test('one', () => {});
  `);
  assert.is(code, 1);
  assert.equal(report, { total: 1, passed: 0, skipped: 0, failed: 1 });
  assert.match(output, '.run() was forgotten');
});

test('a suite without tests fails the process, also beside one that passes', () => {
  const alone = runFile(`suite('s').run();`);
  assert.is(alone.code, 1);
  assert.match(alone.output, 'it has no tests');

  const { code, report } = runFile(`
    suite('empty').run();
    const test = suite('s');
    test('one', () => {});
    test.run();
  `);
  assert.is(code, 1);
  assert.equal(report, { total: 2, passed: 1, skipped: 0, failed: 1 });
});

test('a program without a suite reports nothing: among tests that is a failure', () => {
  const source = `import '@forewrit/testkit';`;
  const child = spawnSync(process.execPath, ['--input-type=module', '--eval', source], {
    cwd: packageRoot,
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.is(child.status, 0, child.stderr);
  assert.is(child.stdout, '');
});

test('leaving in the middle, even with 0, fails the process', () => {
  const { code, report, output } = runFile(`
    const test = suite('s');
    test('one', () => {});
    test('two', () => process.exit(0));
    test('three', () => {});
    test.run();
  `);
  assert.is(code, 1);
  assert.equal(report, { total: 3, passed: 1, skipped: 0, failed: 2 });
  assert.match(output, 'it was not finished when the process exited');
});

test('a rejection that nobody handles fails the process', () => {
  const { code } = runFile(`
    const test = suite('s');
    test('one', () => { void Promise.reject(new Error('lost')); });
    test('two', () => new Promise((resolve) => setTimeout(resolve, 50)));
    test.run();
  `);
  assert.is(code, 1);
});

test('a process that something keeps alive after its tests fails and names it', () => {
  const { code, report, output } = runFile(`
    const test = suite('s', { lingerLimitMs: 100 });
    test('one', () => { setInterval(() => {}, 1000); });
    test.run();
  `);
  assert.is(code, 1);
  assert.equal(report, { total: 2, passed: 1, skipped: 0, failed: 1 });
  assert.match(output, /still lives \d+ ms after its last test, because of: .*Timeout/);
});

test('a skipped test is printed with its reason and counted as skipped', () => {
  const { code, report, output } = runFile(`
    const test = suite('s');
    test('one', () => {});
    test.skip('two', 'needs a moon');
    test.skipIf('needs a sun', 'three', () => { throw new Error(); });
    test.skipIf(undefined, 'four', () => {});
    test.run();
  `);
  assert.is(code, 0);
  assert.equal(report, { total: 4, passed: 2, skipped: 2, failed: 0 });
  assert.match(output, 'skipped: s › two (needs a moon)');
  assert.match(output, 'skipped: s › three (needs a sun)');
});

test('with only, the other tests count as skipped, and CI refuses it', () => {
  const text = `
    const test = suite('s');
    test('one', () => { throw new Error(); });
    test.only('two', () => {});
    test.run();
  `;
  const here = runFile(text);
  assert.is(here.code, 0);
  assert.equal(here.report, { total: 2, passed: 1, skipped: 1, failed: 0 });

  const inCi = runFile(text, { CI: 'true' });
  assert.is(inCi.code, 1);
  assert.match(inCi.output, '.only is not for CI');
});

test('registering a test or running again after run() throws', () => {
  for (const late of [
    `test('two', () => {})`,
    'test.run()',
    'test.before(() => {})',
    `test.skip('x', 'y')`,
  ]) {
    const { code, output } = runFile(`
      const test = suite('s');
      test('one', () => {});
      test.run();
      ${late};
    `);
    assert.is(code, 1);
    assert.match(output, /comes after \.run\(\)/);
  }
});

test('running a suite after another has begun throws', () => {
  const { code, output } = runFile(`
    const test = suite('s');
    test('one', () => {});
    test.run();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const late = suite('late');
    late('two', () => {});
    late.run();
  `);
  assert.is(code, 1);
  assert.match(output, '.run() was called after tests had begun');
});

test.run();
