/** Every power cut that is possible in a moment of a simulated world. */

import { assert, choicesWithin, describeChoice, Random } from '@forewrit/testkit';
import { stagingNames, type World } from './world.js';

/** Runs `check` on what recovery makes of every power cut that is possible now (a sample where they are too many). */
export async function afterEveryPowerCut(world: World, check: (recovered: World) => void): Promise<void> {
  const effects = world.disk.pendingEffects('weakest');
  const random = new Random(1);
  for (const choice of choicesWithin(effects, { exhaustiveMax: 2000, samples: 500, random })) {
    const cut = world.powerCut(choice);
    try {
      const process = await cut.open({ inlineLimitBytes: 1024 });
      check(cut);
      process.kill();
      assert.equal(stagingNames(cut.outside), []);
    } catch (error) {
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(`after a power cut that kept\n${describeChoice(effects, choice)}\n${why}`, {
        cause: error,
      });
    }
  }
}
