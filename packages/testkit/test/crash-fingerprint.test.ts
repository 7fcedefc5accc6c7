/** Fingerprints of images that are not built, against those of images that are. */
import * as assert from '#src/assert.js';
import { sampleChoice } from '#src/crash-choice.js';
import { type PersistenceModel, persistenceModels } from '#src/crash-point.js';
import { announceSeed, Random } from '#src/random.js';
import { SimulatedDisk } from '#src/simulated-disk.js';
import { suite } from '#src/suite.js';
import { put } from './disk-files.js';
import { Machine, randomStep } from './file-system-program.js';

const programCount = 100;
const stepCount = 60;
const imagesPerPoint = 30;

const test = suite('fingerprints of crash images');
const seed = announceSeed('fingerprints of crash images');

function checkPoint(disk: SimulatedDisk, model: PersistenceModel, random: Random): Set<bigint> {
  const point = disk.crashPoint(model);
  const seen = new Set<bigint>();
  for (let count = 0; count < imagesPerPoint; count += 1) {
    const choice = sampleChoice(point.effects, random);
    const { high, low } = point.fingerprint(choice);
    const fingerprint = (BigInt(high) << 32n) | BigInt(low);
    assert.is(fingerprint, point.image(choice).fingerprint(), `${model}: ${choice.join()}`);
    seen.add(fingerprint);
  }
  return seen;
}

test('random programs: with and without the image they are the same', () => {
  let different = 0;
  for (let program = 0; program < programCount; program += 1) {
    const random = new Random(seed + program);
    const disk = new SimulatedDisk({
      sectorBytes: 64,
      directoryTimes: random.chance(0.5),
      root: { reusesInodeNumbers: random.chance(0.5) },
    });
    const fileSystem = disk.mount();
    fileSystem.makeDirectory('/base', 0o755);
    const machine = new Machine(fileSystem, '/base');
    for (let step = 0; step < stepCount; step += 1) {
      if (step === stepCount / 3) disk.settle();
      machine.answer(randomStep(random, machine.openCount));
    }
    for (const model of persistenceModels) different += checkPoint(disk, model, random).size;
  }
  assert.ok(different > programCount * 20, `only ${different} different images`);
});

test('more effects on one directory than there are numbers for their combinations', () => {
  const disk = new SimulatedDisk();
  const fileSystem = disk.mount();
  fileSystem.makeDirectory('/d', 0o755);
  disk.settle();
  for (let file = 0; file < 60; file += 1) put(fileSystem, `/d/${file}`, `${file}`);
  assert.is(checkPoint(disk, 'weakest', new Random(seed)).size, imagesPerPoint);
});

test('a file with two names, one of them in a directory that is only made, counts once', () => {
  const disk = new SimulatedDisk();
  const fileSystem = disk.mount();
  put(fileSystem, '/a', 'text');
  disk.settle();
  fileSystem.makeDirectory('/d', 0o755);
  fileSystem.link('/a', '/d/a');
  fileSystem.unlink('/a');
  assert.is(checkPoint(disk, 'weakest', new Random(seed)).size > 3, true);
});

test.run();
