// The same from CommonJS: `require()` of ES modules, which Node has from 20.19 on.
const { strict: assert } = require('node:assert');
const { ContextManager } = require('@forewrit/context');
const { serveStdio } = require('@forewrit/mcp');
const { writeFileAtomically } = require('@forewrit/staging');
const { openTasks } = require('@forewrit/tasks');
const { isStoreError, openStore } = require('forewrit');

async function main() {
  const store = await openStore('./cjs');
  await store.writeFiles({ 'a.txt': 'one', 'd/b.txt': 'two' });
  assert.equal(await store.readFile('d/b.txt', 'utf8'), 'two');
  await assert.rejects(store.readFile('none'), (error) => isStoreError(error, 'ERR_NOT_FOUND'));
  await store.close();
  for (const each of [ContextManager, serveStdio, writeFileAtomically, openTasks]) {
    assert.equal(typeof each, 'function');
  }
  console.log('require: ok');
}

main();
