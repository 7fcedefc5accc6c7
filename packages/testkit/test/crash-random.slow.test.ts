/** Random programs and power cuts, checked against what must hold for every one of them. */
import type { FileSystem } from '@forewrit/core';
import * as assert from '#src/assert.js';
import { sampleChoice } from '#src/crash-choice.js';
import { persistenceModels } from '#src/crash-point.js';
import { announceSeed, Random } from '#src/random.js';
import { SimulatedDisk } from '#src/simulated-disk.js';
import { suite } from '#src/suite.js';
import { shown } from './disk-files.js';
import { Machine, randomStep } from './file-system-program.js';

const programCount = 150;
const stepCount = 80;
const imagesPerProgram = 40;

const test = suite('random power cuts');
const seed = announceSeed('random power cuts');

interface Run {
  readonly disk: SimulatedDisk;
  readonly machine: Machine;
  readonly random: Random;
  readonly trace: string[];
}

/** A disk with some durable content, on which a random program has run. */
function run(programSeed: number, afterStep: (disk: SimulatedDisk) => void = () => {}): Run {
  const random = new Random(programSeed);
  const disk = new SimulatedDisk({ sectorBytes: 512, root: { reusesInodeNumbers: random.chance(0.5) } });
  const fileSystem = disk.mount();
  fileSystem.makeDirectory('/base', 0o755);
  const machine = new Machine(fileSystem, '/base');
  const trace: string[] = [];
  const step = (): void => {
    const next = randomStep(random, machine.openCount);
    trace.push(next.name);
    machine.answer(next);
  };
  for (let count = 0; count < stepCount; count += 1) step();
  disk.settle();
  trace.push('(settled)');
  afterStep(disk);
  const more = random.below(stepCount);
  for (let count = 0; count < more; count += 1) {
    step();
    afterStep(disk);
  }
  return { disk, machine, random, trace };
}

function eachProgram(check: (run: (afterStep?: (disk: SimulatedDisk) => void) => Run) => void): void {
  for (let program = 0; program < programCount; program += 1) {
    let last: Run | undefined;
    try {
      check((afterStep) => (last = run(seed + program, afterStep)));
    } catch (error) {
      throw new Error(`program ${seed + program}:\n${last?.trace.join('\n')}`, { cause: error });
    }
  }
}

test('when everything survives, the image is what programs saw', () => {
  eachProgram((start) => {
    const { disk } = start();
    for (const model of persistenceModels) {
      const image = disk.crash(({ whole }) => whole, { model });
      assert.is(shown(image), shown(disk));
      assert.is(image.fingerprint(), disk.fingerprint());
    }
  });
});

test('in strict order every image is a moment of the past, later with every operation', () => {
  eachProgram((start) => {
    const moments: bigint[] = [];
    const { disk } = start((now) => moments.push(now.fingerprint()));
    const point = disk.crashPoint('strict');
    const [order] = point.effects;
    let moment = 0;
    for (let survivors = 0; survivors < (order?.outcomes ?? 1); survivors += 1) {
      const found = moments.indexOf(point.image([survivors]).fingerprint(), moment);
      assert.ok(found >= 0, `${order?.describe(survivors)} gives no moment after ${moment}`);
      moment = found;
    }
    assert.is(moments[moment], disk.fingerprint());
  });
});

test('a durable directory that programs still see is in every image', () => {
  eachProgram((start) => {
    let durable: ReadonlySet<bigint> | undefined;
    const { disk, random } = start((now) => {
      durable ??= directoriesOf(now);
    });
    const living = [...directoriesOf(disk)].filter((birth) => durable?.has(birth));
    for (const model of persistenceModels) {
      const point = disk.crashPoint(model);
      for (let count = 0; count < imagesPerProgram; count += 1) {
        const there = directoriesOf(point.image(sampleChoice(point.effects, random)));
        for (const birth of living)
          assert.ok(there.has(birth), `${model}: the directory of ${birth} is gone`);
      }
    }
  });
});

test('no two inodes of an image have one number', () => {
  eachProgram((start) => {
    const { disk, random } = start();
    const point = disk.crashPoint('weakest');
    for (let count = 0; count < imagesPerProgram; count += 1) {
      const births = new Map<bigint, bigint>();
      const fileSystem = point.image(sampleChoice(point.effects, random)).mount();
      walk(fileSystem, '/', (path) => {
        const { ino = 0n, birthtimeNs = 0n } = fileSystem.lstat(path) ?? {};
        assert.is(births.get(ino) ?? birthtimeNs, birthtimeNs, path);
        births.set(ino, birthtimeNs);
      });
    }
  });
});

test('when everything was flushed, nothing is lost', () => {
  eachProgram((start) => {
    const { disk, machine } = start();
    const { fileSystem } = machine;
    // Files first: nothing else is to be left for their directories to do.
    walk(fileSystem, '/', (path, type) => {
      if (type !== 'file') return;
      const descriptor = fileSystem.openRead(path);
      fileSystem.sync(descriptor);
      fileSystem.close(descriptor);
    });
    walk(fileSystem, '/', (path, type) => {
      if (type === 'directory') fileSystem.syncDirectory(path);
    });
    assert.equal(
      disk.pendingEffects('weakest').map((effect) => effect.describe(0)),
      [],
    );
    assert.is(disk.crash(() => false).fingerprint(), disk.fingerprint());
  });
});

test('power cuts on power cuts leave a disk that works', () => {
  eachProgram((start) => {
    const { disk, random } = start();
    let next = disk;
    for (let boot = 0; boot < 4; boot += 1) {
      const model = random.pick(persistenceModels);
      const effects = next.pendingEffects(model);
      next = next.crash(sampleChoice(effects, random), { model });
      const machine = new Machine(next.mount(), '/base');
      for (let count = 0; count < 20; count += 1) machine.answer(randomStep(random, machine.openCount));
    }
  });
});

/** Each by what it has for life: inode numbers come again, times of birth do not. */
function directoriesOf(disk: SimulatedDisk): Set<bigint> {
  const found = new Set<bigint>();
  const fileSystem = disk.mount();
  walk(fileSystem, '/', (path, type) => {
    if (type === 'directory') found.add(fileSystem.lstat(path)?.birthtimeNs ?? 0n);
  });
  return found;
}

function walk(fileSystem: FileSystem, path: string, visit: (path: string, type: string) => void): void {
  const type = fileSystem.lstat(path)?.type ?? 'absent';
  visit(path, type);
  if (type !== 'directory') return;
  for (const name of fileSystem.list(path))
    walk(fileSystem, path === '/' ? `/${name}` : `${path}/${name}`, visit);
}

test.run();
