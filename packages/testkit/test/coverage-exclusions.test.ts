import * as assert from '#src/assert.js';
import { suite } from '#src/suite.js';
import { allExclusions, exclusionListIsUpToDate, exclusionsIn } from './coverage-page.js';

const hint = `c8 ${'ignore'}`;

const test = suite('exclusions from coverage');

test('one that says how much and why is listed', () => {
  const text = `  /* ${hint} next 2 -- no other system has it */\n  a();\n  b();\n`;
  assert.equal(exclusionsIn('a.ts', text), {
    exclusions: [{ path: 'a.ts', lineCount: 2, reason: 'no other system has it' }],
    violations: [],
  });
});

test('one without extent or reason is refused, whatever its form', () => {
  const careless = [
    `/* ${hint} next */`,
    `/* ${hint} next 3 */`,
    `/* ${hint} next 3 -- why not */`,
    `/* ${hint} next -- it has a reason, but no extent */`,
    `/* ${hint} start -- it could go on to the end of the file */`,
    `/* ${hint} stop */`,
    `/* v8 ${'ignore'} next 3 -- another spelling of the same */`,
    `/* istanbul ${'ignore'} next */`,
    `/* node:${'coverage'} disable */`,
    `call(); /* ${hint} next 1 -- behind code, where nobody looks */`,
  ];
  for (const line of careless) {
    const { exclusions, violations } = exclusionsIn('a.ts', `${line}\n`);
    assert.is(exclusions.length, 0, line);
    assert.is(violations.length, 1, line);
  }
});

test('every exclusion of the sources says how much and why', () => {
  assert.is(allExclusions().violations.join('\n'), '');
});

test('the docs list the exclusions; `npm run coverage -- --again --write` puts them right', () => {
  assert.ok(exclusionListIsUpToDate());
});

test.run();
