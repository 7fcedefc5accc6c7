import { descriptorBudget } from '#src/files/descriptor-budget.js';
import { assert, suite } from '@forewrit/testkit';

const test = suite('descriptor budget');

const limits = (
  soft: string,
): string => `Limit                     Soft Limit           Hard Limit           Units
Max processes             31421                31421                processes
Max open files            ${soft.padEnd(20)} 20000                files
Max locked memory         8388608              8388608              bytes
`;

test('half of what the process may open, within bounds', () => {
  assert.is(descriptorBudget(limits('1024')), 512);
  assert.is(descriptorBudget(limits('20000')), 10_000);
  assert.is(descriptorBudget(limits('1048576')), 16_384);
  assert.is(descriptorBudget(limits('unlimited')), 16_384);
});

test('a modest number where nobody tells', () => {
  assert.is(descriptorBudget('nothing of the kind'), 1024);
  assert.ok(descriptorBudget() > 0);
});

test.run();
