import { mkdirSync, readFileSync } from 'node:fs';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { type Contender, Unavailable } from '#src/contenders/contender.js';
import { contenders, namedContenders } from '#src/contenders/index.js';
import { compileLimit, limit, limitProgramVariable } from '#src/contenders/limit.js';
import { contextPaths, contextSet } from '#src/scenarios/sets.js';

const test = suite('contenders', { timeoutMs: 60_000 });

const cache = temporaryDirectory('bench-cache');
const compiled = compileLimit(cache.path);
if ('program' in compiled) process.env[limitProgramVariable] = compiled.program;

/** Peers are installed by the harness, not by a test. */
async function whyUnavailable(contender: Contender): Promise<string | undefined> {
  using directory = temporaryDirectory('bench');
  try {
    await (await contender.open(directory.path)).close();
    return undefined;
  } catch (error) {
    if (error instanceof Unavailable) return error.message;
    throw error;
  }
}

for (const contender of contenders.filter((each) => each !== limit)) {
  const { name, guarantees } = contender;
  test.skipIf(await whyUnavailable(contender), `${name} saves what it is given`, async () => {
    using directory = temporaryDirectory('bench');
    mkdirSync(`${directory.path}/session`);
    const saver = await contender.open(directory.path);
    const last = contextSet(3, 'session');
    for (const version of [1, 2, 3]) await saver.save(contextSet(version, 'session'));
    const contents = last.map(([, content]) => content);
    const read = await saver.read?.(contextPaths('session'));
    if (read !== undefined) assert.equal(textsOf(read), contents);
    await saver.close();
    if (!guarantees.plainFiles) assert.ok(read !== undefined);
    else
      for (const [path, content] of last)
        assert.is(readFileSync(`${directory.path}/${path}`, 'utf8'), content);
  });
}

/** However a reader gives them: a map, buffers, rows. */
function textsOf(read: unknown): string[] {
  const values = read instanceof Map ? [...read.values()] : (read as unknown[]);
  return values.map((value) =>
    typeof value === 'object' && value !== null && 'content' in value ? String(value.content) : String(value),
  );
}

test.skipIf(
  'reason' in compiled ? compiled.reason : undefined,
  'the limit in C saves, times itself and ends',
  async () => {
    using directory = temporaryDirectory('bench');
    const saver = await limit.open(directory.path);
    for (const version of [0, 1, 2]) {
      const ms = await saver.save(contextSet(version));
      assert.ok(typeof ms === 'number' && ms > 0 && ms < 60_000, String(ms));
    }
    await saver.close();
    for (let file = 0; file < 4; file += 1) {
      assert.is(readFileSync(`${directory.path}/target-${file}`, 'utf8'), 'c'.repeat(6000));
    }
  },
);

test('without a compiler there is a reason in place of the limit', () => {
  using directory = temporaryDirectory('bench');
  const before = process.env['CC'];
  process.env['CC'] = `${directory.path}/no-such-compiler`;
  try {
    assert.match(JSON.stringify(compileLimit(directory.path)), /"reason":"(?:no C compiler|the C limit is)/);
  } finally {
    if (before === undefined) delete process.env['CC'];
    else process.env['CC'] = before;
  }
});

test('everybody has a name of their own, and says how it is used', () => {
  assert.is(new Set(namedContenders.map(({ name }) => name)).size, namedContenders.length);
  for (const { name, setting } of namedContenders) assert.ok(setting.length > 20, name);
});

test.run();
