// What a strict TypeScript project sees: compiled, never run.
import { ContextManager } from '@forewrit/context';
import { serveStdio } from '@forewrit/mcp';
import { type Operation, StagingManager, writeFileAtomically } from '@forewrit/staging';
import { openTasks, type TaskRecord } from '@forewrit/tasks';
import {
  type Commit,
  inspect,
  type Inspection,
  isStoreError,
  openStore,
  type RecoveryReport,
  type Store,
  type Transaction,
} from 'forewrit';

export async function use(): Promise<string> {
  const store: Store = await openStore(new URL('file:///tmp/data'), { durability: 'relaxed' });
  const recovery: RecoveryReport = store.recovery;
  const commit: Commit = await store.writeFiles({ 'a.txt': 'one', 'b.bin': new Uint8Array(3) });
  const text: string = await store.readFile('a.txt', 'utf8');
  const bytes: Buffer = await store.readFile('b.bin');
  const counter = store.collection<{ readonly value: number }>('counters');
  await counter.put('sum', { value: 1 });
  const sum: number = await store.transact(async (tx: Transaction) => {
    tx.writeFile('c.txt', await tx.readFile('a.txt', 'utf8'));
    return (await counter.get('sum'))?.value ?? 0;
  });

  const context = new ContextManager<{ role: string; content: string }>({ store, directory: 'session' });
  context.messages.push({ role: 'user', content: 'hello' });
  // @ts-expect-error -- messages have a type, and it is not lost on the way.
  context.messages.push({ role: 1 });

  const { checksum } = await writeFileAtomically(store, 'report.md', '# Report\n');
  const manager = new StagingManager(store);
  const operations: readonly Operation[] = await manager.list();
  const tasks = await openTasks(store);
  const task: TaskRecord = await tasks.start({ command: 'make' });
  const inspection: Inspection = await inspect('/tmp/data');

  try {
    await store.writeFile('../x', '');
  } catch (error) {
    // @ts-expect-error -- codes are a union, so a misspelt one is found.
    if (isStoreError(error, 'ERR_NO_SUCH_CODE')) throw error;
    if (isStoreError(error, 'ERR_PATH_ESCAPE')) return error.hint ?? error.op;
  }
  return [
    recovery.redone.length,
    commit.revision,
    text,
    bytes.length,
    sum,
    checksum,
    operations.length,
    task.id,
    inspection.clean,
    serveStdio.name,
  ].join(' ');
}
