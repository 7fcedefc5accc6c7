/** How many images of power cuts can be made and looked at in a second: a figure to print, not to assert. */
import * as assert from '#src/assert.js';
import { sampleChoice } from '#src/crash-choice.js';
import { persistenceModels } from '#src/crash-point.js';
import { Random } from '#src/random.js';
import { SimulatedDisk } from '#src/simulated-disk.js';
import { suite } from '#src/suite.js';
import { put, textOf } from './disk-files.js';

const measuredMs = 300;
const targets = ['/store/a', '/store/b', '/store/c', '/store/d'];
const test = suite('speed of power cuts');

/** Four files replaced by rename, beside twenty others, with nothing flushed. */
function diskInTheMiddle(): SimulatedDisk {
  const disk = new SimulatedDisk({ sectorBytes: 64 });
  const fileSystem = disk.mount();
  for (const path of ['/store', '/store/staged', '/store/before']) fileSystem.makeDirectory(path, 0o755);
  for (const target of targets) put(fileSystem, target, 'old '.repeat(80));
  for (let other = 0; other < 20; other += 1) put(fileSystem, `/store/other${other}`, 'text');
  disk.settle();
  for (const [index, target] of targets.entries()) {
    put(fileSystem, `/store/staged/${index}`, 'new '.repeat(80));
    fileSystem.link(target, `/store/before/${index}`);
    fileSystem.rename(`/store/staged/${index}`, target);
  }
  return disk;
}

function rateOf(work: () => void): number {
  for (let warmUp = 0; warmUp < 2_000; warmUp += 1) work();
  const startedMs = performance.now();
  let count = 0;
  while (performance.now() - startedMs < measuredMs) {
    for (let batch = 0; batch < 100; batch += 1) work();
    count += 100;
  }
  return Math.round((count / (performance.now() - startedMs)) * 1_000);
}

test('images per second', () => {
  const disk = diskInTheMiddle();
  const random = new Random(1);
  for (const model of persistenceModels) {
    const point = disk.crashPoint(model);
    const choices = Array.from({ length: 1_000 }, () => sampleChoice(point.effects, random));
    let next = 0;
    const choice = (): number[] => choices[next++ % choices.length] ?? [];
    const images = rateOf(() => point.image(choice()));
    const fingerprints = rateOf(() => point.image(choice()).fingerprint());
    const reads = rateOf(() => {
      const fileSystem = point.image(choice()).mount();
      for (const target of targets) textOf(fileSystem, target);
    });
    console.log(
      `${model}: ${images} images/s, ${fingerprints} with fingerprint, ${reads} with four files read`,
    );
    assert.ok(images > 0);
  }
});

test.run();
