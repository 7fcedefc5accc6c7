import { assert, suite } from '@forewrit/testkit';
import { unfinishedBytes } from '#src/engine/utf8.js';
import type { TaskEngine } from '#src/engine/task-engine.js';
import { assertNoProblems, EngineWorld } from './engine-world.js';
import type { SimulatedLaunch } from './simulated-supervisor.js';

const test = suite('reading, following, waiting and writing');

interface Scene {
  readonly world: EngineWorld;
  readonly engine: TaskEngine;
  readonly id: string;
  readonly launch: SimulatedLaunch;
}

async function withTask(body: (scene: Scene) => Promise<void>): Promise<void> {
  await using world = await EngineWorld.open();
  const { engine } = await world.engine();
  const { id } = await engine.start({ command: 'c', stdin: 'pipe', retry: { limit: 1, delayMs: 10 } });
  await world.untilState(engine, id, 'running');
  await body({ world, engine, id, launch: world.machine.of('c') });
  assertNoProblems(world);
}

test('what the end of bytes leaves of a character is known for every cut', () => {
  for (const text of ['', 'a', 'aé', 'a€', 'a😀', '😀é']) {
    const bytes = Buffer.from(text);
    for (let length = 0; length <= bytes.length; length += 1) {
      const cut = bytes.subarray(0, length);
      const whole = length - unfinishedBytes(cut);
      assert.not.match(cut.subarray(0, whole).toString(), '\uFFFD');
      assert.ok(text.startsWith(cut.subarray(0, whole).toString()));
      assert.ok(unfinishedBytes(cut) <= 3);
    }
  }
  // What is no UTF-8 is not held back.
  assert.is(unfinishedBytes(Uint8Array.of(0x80, 0x80, 0x80, 0x80)), 0);
  assert.is(unfinishedBytes(Uint8Array.of(0xe2, 0x41)), 0);
});

test('pages of text never cut a character, whatever their size; pages of bytes are exact', () =>
  withTask(async ({ world, engine, id, launch }) => {
    const text = 'aé€😀'.repeat(20);
    world.machine.print(launch, text);
    for (const maxBytes of [1, 4, 5, 7, 64]) {
      let read = '';
      let offset = 0;
      while (offset < Buffer.byteLength(text)) {
        const page = await engine.read(id, { offset, maxBytes, encoding: 'utf8' });
        assert.is(page.offset, offset);
        assert.not.match(page.data, '\uFFFD');
        assert.ok(page.nextOffset > offset);
        assert.not.ok(page.complete);
        read += page.data;
        offset = page.nextOffset;
      }
      assert.is(read, text);
    }
    const page = await engine.read(id, { offset: 1, maxBytes: 3 });
    assert.ok(Buffer.from(text).subarray(1, 4).equals(page.data));
    world.machine.print(launch, Buffer.from('€').subarray(0, 2));
    const end = await engine.read(id, { offset: Buffer.byteLength(text), encoding: 'utf8' });
    assert.equal([end.data, end.nextOffset], ['', Buffer.byteLength(text)]);
    world.machine.end(launch);
    await world.untilState(engine, id, 'completed');
    // Nothing more comes: what is there is shown.
    const last = await engine.read(id, { offset: Buffer.byteLength(text), encoding: 'utf8' });
    assert.equal([last.data, last.complete, last.state], ['\uFFFD', true, 'completed']);
  }));

test('what was dropped is counted, and reading goes on after it', () =>
  withTask(async ({ world, engine, id, launch }) => {
    world.machine.print(launch, '0123456789');
    launch.droppedBytes = 4;
    const page = await engine.read(id, { offset: 1, encoding: 'latin1' });
    assert.equal([page.data, page.offset, page.droppedBytes], ['456789', 4, 4]);
    const { outputBytes, droppedBytes } = await engine.get(id);
    assert.equal([outputBytes, droppedBytes], [10, 4]);
  }));

test('following goes through every attempt to its end, in whole characters', () =>
  withTask(async ({ world, engine, id, launch }) => {
    const chunks: string[] = [];
    const attempts = new Set<number>();
    const following = (async () => {
      for await (const { data, attempt } of engine.follow(id, { encoding: 'utf8' })) {
        chunks.push(data);
        attempts.add(attempt);
      }
    })();
    const euro = Buffer.from('€');
    world.machine.print(launch, 'one ');
    await world.until('it is there', () => chunks.join('') === 'one ');
    world.machine.print(launch, euro.subarray(0, 1));
    await world.quiet();
    world.machine.print(launch, euro.subarray(1));
    await world.until('it is there', () => chunks.join('') === 'one €');
    world.machine.print(launch, '!');
    world.machine.end(launch, { exitCode: 1 });
    await world.inTime('again', () => world.machine.spawned.length === 2);
    world.machine.print(world.machine.of('c'), ' two');
    world.machine.end(world.machine.of('c'));
    await world.untilState(engine, id, 'completed');
    await following;
    assert.is(chunks.join(''), 'one €! two');
    assert.equal([...attempts], [1, 2]);
  }));

test('following from an offset, and until somebody has enough', () =>
  withTask(async ({ world, engine, id, launch }) => {
    world.machine.print(launch, 'abcdef');
    const enough = new AbortController();
    const chunks: string[] = [];
    await assert.rejectsWithCode(
      (async () => {
        const options = { offset: 2, encoding: 'utf8', signal: enough.signal } as const;
        for await (const { data, offset, nextOffset } of engine.follow(id, options)) {
          assert.equal([offset, nextOffset], [2, 6]);
          chunks.push(data);
          enough.abort();
        }
      })(),
      'ERR_ABORTED',
    );
    assert.equal(chunks, ['cdef']);
  }));

test('waiting ends with the task, at its time limit, by its signal, or with the engine', () =>
  withTask(async ({ world, engine, id, launch }) => {
    const limited = engine.wait(id, { timeoutMs: 3000 });
    await world.quiet();
    world.advance(3000);
    assert.is((await limited).state, 'running');
    assert.is((await engine.wait(id, { timeoutMs: 0 })).state, 'running');
    const aborted = engine.wait(id, { signal: AbortSignal.abort('enough') });
    await assert.rejectsWithCode(aborted, 'ERR_ABORTED');
    const whole = engine.wait(id);
    world.machine.end(launch);
    assert.is((await whole).state, 'completed');
    assert.is((await engine.wait(id)).state, 'completed');
    const other = await engine.start({ command: 'other' });
    const left = engine.wait(other.id);
    await world.quiet();
    await Promise.all([assert.rejectsWithCode(left, 'ERR_STORE_CLOSED'), engine.close()]);
  }));

test('what is written reaches the command in its order; without a pipe that is a mistake', () =>
  withTask(async ({ world, engine, id, launch }) => {
    await Promise.all(['a', 'b', 'c'].map((text) => engine.write(id, text)));
    await engine.write(id, Buffer.from('d'), { end: true });
    assert.is(launch.input, 'abcd');
    const none = await engine.start({ command: 'none' });
    await assert.rejectsWithCode(engine.write(none.id, 'x'), 'ERR_INVALID_ARGUMENT');
    await assert.rejectsWithCode(engine.write(id, 7 as never), 'ERR_INVALID_ARGUMENT');
    world.machine.end(launch);
    await world.untilState(engine, id, 'completed');
    await assert.rejectsWithCode(engine.write(id, 'x'), 'ERR_NOT_FOUND');
  }));

test('the events tell of each change once, and of output', () =>
  withTask(async ({ world, engine, id, launch }) => {
    const heard: string[] = [];
    engine.on('state', ({ state, attempt }) => heard.push(`${state} ${attempt}`));
    engine.on('output', (event) => heard.push(`output ${event.attempt}`));
    const onSettled = ({ state }: { state: string }): void => void heard.push(`settled ${state}`);
    engine.on('settled', onSettled);
    await world.until('it is watched', () => launch.connections.size === 1);
    world.machine.print(launch, 'x');
    world.machine.end(launch, { exitCode: 1 });
    await world.inTime('again', () => world.machine.spawned.length === 2);
    await world.untilState(engine, id, 'running');
    await world.until('it is watched', () => world.machine.of('c').connections.size === 1);
    world.machine.end(world.machine.of('c'));
    await world.untilState(engine, id, 'completed');
    world.advance(20_000);
    await world.quiet();
    const states = heard.filter((each) => !each.startsWith('output'));
    assert.equal(states, [
      'pending 2',
      // The delay is over.
      'pending 2',
      'starting 2',
      'running 2',
      'completed 2',
      'settled completed',
    ]);
    assert.ok(heard.includes('output 1'));
    engine.off('settled', onSettled);
    assert.throwsWithCode(() => engine.on('nothing' as 'state', () => {}), 'ERR_INVALID_ARGUMENT');
  }));

test('an id that is none is a mistake, an unknown one is not found', () =>
  withTask(async ({ engine }) => {
    for (const id of ['', '../x', 'a/b', 7, undefined, null, 'x'.repeat(129)] as string[]) {
      for (const call of [
        () => engine.get(id),
        () => engine.read(id),
        () => engine.wait(id),
        () => engine.stop(id),
        () => engine.restart(id),
        () => engine.remove(id),
        () => engine.write(id, 'x'),
      ]) {
        await assert.rejectsWithCode(call(), 'ERR_INVALID_ARGUMENT');
      }
    }
    const unknown = '0'.repeat(17);
    for (const call of [
      () => engine.get(unknown),
      () => engine.read(unknown),
      () => engine.wait(unknown),
      () => engine.stop(unknown),
      () => engine.restart(unknown),
      () => engine.remove(unknown),
      () => engine.write(unknown, 'x'),
    ]) {
      await assert.rejectsWithCode(call(), 'ERR_NOT_FOUND');
    }
    await assert.rejectsWithCode(
      (async () => {
        for await (const chunk of engine.follow(unknown)) throw new Error(String(chunk));
      })(),
      'ERR_NOT_FOUND',
    );
  }));

test.run();
