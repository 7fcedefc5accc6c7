/** The results as files, saved as one Forewrit transaction: page, pictures and figures are of one run, or of the one before. */

import { openStore } from 'forewrit';
import { resultsAsMarkdown } from './report/markdown.js';
import { plotsOf } from './report/plots.js';
import type { Results } from './results.js';

export async function saveResults(directory: string, results: Results): Promise<void> {
  const plots = await plotsOf(results);
  const store = await openStore(directory);
  try {
    await store.transact(async (tx) => {
      await tx.writeFile('latest.json', `${JSON.stringify(results, undefined, 1)}\n`);
      await tx.writeFile('latest.md', resultsAsMarkdown(results, new Set(plots.keys())));
      for (const name of await tx.readdir('.')) {
        if (name.endsWith('.svg') && !plots.has(name.slice(0, -'.svg'.length))) tx.rm(name);
      }
      for (const [name, svg] of plots) await tx.writeFile(`${name}.svg`, `${svg}\n`);
    });
  } finally {
    await store.close();
  }
}
