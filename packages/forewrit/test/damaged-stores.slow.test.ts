/**
 * Real stores with real damage: what `check` says of each, and that the very command it names mends it without making anything
 * unreadable. docs/damaged-stores.md is made of this; FOREWRIT_UPDATE_SNAPSHOT=1 writes it down when a change is meant.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { assert, suite } from '@forewrit/testkit';
import { type Damage } from './damaged/damage.js';
import { DamagedStore, firstEntries, firstFiles } from './damaged/damaged-store.js';
import { historyDamages } from './damaged/history-damages.js';
import { damagedStoresPage, type Judged } from './damaged/page.js';
import { judge } from './damaged/judgement.js';
import { logDamages } from './damaged/log-damages.js';
import { placeDamages } from './damaged/place-damages.js';
import { processDamages } from './damaged/process-damages.js';

const test = suite('damaged stores', { timeoutMs: 60_000 });

const page = new URL('../../../docs/damaged-stores.md', import.meta.url);
const damages: readonly Damage[] = [...logDamages, ...processDamages, ...placeDamages, ...historyDamages];
const judged: Judged[] = [];

for (const damage of damages) {
  const {
    name,
    finds,
    mends = [],
    person,
    files = {},
    entries = firstEntries,
    kept = [],
    exitCode = 0,
  } = damage;
  test(`${name}: what is said, and that it mends`, async () => {
    await using store = new DamagedStore();
    const judgement = await judge(store, damage);
    const { before, after } = judgement;
    judged.push({ damage, judgement });
    const { output } = judgement;
    assert.equal(judgement.codes, finds, output);
    assert.equal(judgement.changedByCheck, [], 'a check changes nothing');
    assert.is(judgement.exitCode, finds.length === 0 ? 0 : 1, output);
    assert.is(/^no errors were found$/m.test(output), finds.length === 0, output);
    assert.equal(judgement.mends, mends, output);
    assert.is(judgement.mendExitCode, exitCode);
    assert.equal(judgement.left, person === undefined ? [] : finds);
    // What could be read can still be read: it is what it was, or what a committed save has made of it.
    const expected = { ...before.files, ...files };
    assert.equal(
      after.files,
      Object.fromEntries(Object.entries(expected).filter(([, text]) => text !== undefined)),
    );
    if (person === undefined) assert.equal(after.entries, entries);
    else assert.equal(after.entries, before.entries);
    assert.equal(judgement.kept, [...kept].sort());
  });
}

test('an undamaged store is what the others begin with', async () => {
  await using store = new DamagedStore();
  const nothing: Damage = { name: '', damage: () => undefined, finds: [] };
  const { codes, after } = await judge(store, nothing);
  assert.equal(codes, []);
  assert.equal(after, { files: firstFiles, entries: firstEntries });
});

test('docs/damaged-stores.md says what is printed', () => {
  assert.is(judged.length, damages.length);
  assert.ok(judged.length >= 25);
  const now = damagedStoresPage(judged);
  if (process.env['FOREWRIT_UPDATE_SNAPSHOT'] === '1') writeFileSync(page, now);
  assert.fixture(now, readFileSync(page, 'utf8'));
});

test.run();
