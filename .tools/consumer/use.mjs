// Every published package, imported and used, in a project that has installed them.
import { strict as assert } from 'node:assert';
import { ContextManager } from '@forewrit/context';
import { serveStdio } from '@forewrit/mcp';
import { writeFileAtomically } from '@forewrit/staging';
import { openTasks } from '@forewrit/tasks';
import { openStore } from 'forewrit';

const store = await openStore('./esm');
await store.writeFiles({ 'a.txt': 'one', 'd/b.txt': 'two' });
const files = await store.readFiles(['a.txt', 'd/b.txt'], 'utf8');
assert.deepEqual([...files.values()], ['one', 'two']);

const context = new ContextManager({ store, directory: 'session' });
context.messages.push({ role: 'user', content: 'hello' });
await context.save();
const { bytes } = await writeFileAtomically(store, 'report.md', '# Report\n');
assert.equal(bytes, 9);

const tasks = await openTasks(store);
const { id } = await tasks.start({ command: 'echo done' });
assert.equal((await tasks.wait(id)).state, 'completed');
await tasks.close();
await store.close();

assert.equal(typeof serveStdio, 'function');
console.log('import: ok');
