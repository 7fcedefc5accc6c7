import path from 'node:path';
import { openStore, type Store } from 'forewrit';
import { probeContender, reference, type Series, type Unit } from '../measurement.js';
import { collectGarbage, residentMiB } from '../memory.js';
import { Probe } from '../probe.js';
import { timed } from '../rounds.js';
import type { Scenario } from '../scenario.js';
import { median } from '../statistics.js';
import { contextSet } from './sets.js';

export const growthWindows = 20;
const savesBetweenProbes = 20;
const mebibyte = 2 ** 20;

export const inProbes = 'save, in probes';
export const logSize = 'log';
export const resident = 'resident memory';
/** The limits of growth compare the first with the last. */
export const windowCase = (window: number): string =>
  `window ${String(window).padStart(2, '0')} of ${growthWindows}`;

export const growth: Scenario = {
  name: 'growth',
  title: 'A store in use for long',
  about:
    'One writer saves four files of 6 KB 200,000 times without a pause. For each window of 10,000: the median of a save, that ' +
    'of a raw write and `fdatasync` of 4 KB made in between, one in units of the other (disks change their speed), the file ' +
    'of the log, and resident memory.',
  runs: 1,
  everywhere: false,
  plot: { axis: 'saves', measure: inProbes },
  leaveOut: (title) => ![1, growthWindows / 2, growthWindows].map(windowCase).includes(title),
  measure: async (world) => {
    const windowSaves = world.quick ? 40 : 10_000;
    const store = await openStore(path.join(world.directory, 'store'));
    const probe = new Probe(world.directory);
    const series: Series[] = [];
    try {
      // Code runs at its speed, and files are there.
      await saveWindow(store, probe, { first: 0, saves: world.quick ? 20 : 2000 });
      for (let window = 1; window <= growthWindows; window += 1) {
        world.progress(`window ${window} of ${growthWindows}`);
        const first = window * windowSaves;
        const { saveMs, probeMs } = await saveWindow(store, probe, { first, saves: windowSaves });
        collectGarbage();
        const add = (contender: string, measure: string, unit: Unit, samples: readonly number[]): void => {
          series.push({
            case: windowCase(window),
            contender,
            measure,
            unit,
            samples,
            x: window * windowSaves,
          });
        };
        add(reference, 'time', 'ms', saveMs);
        add(probeContender, 'time', 'ms', probeMs);
        add(reference, inProbes, 'probes', [median(saveMs) / median(probeMs)]);
        add(reference, logSize, 'MiB', [store.stats().log.fileBytes / mebibyte]);
        add(reference, resident, 'MiB', [residentMiB()]);
      }
    } finally {
      probe.close();
      await store.close();
    }
    return series;
  },
};

async function saveWindow(
  store: Store,
  probe: Probe,
  { first, saves }: { readonly first: number; readonly saves: number },
): Promise<{ readonly saveMs: number[]; readonly probeMs: number[] }> {
  const saveMs: number[] = [];
  const probeMs: number[] = [];
  for (let save = 0; save < saves; save += 1) {
    if (save % savesBetweenProbes === 0) probeMs.push(probe.flush());
    const set = contextSet(first + save);
    saveMs.push(await timed(() => store.writeFiles(set)));
  }
  return { saveMs, probeMs };
}
