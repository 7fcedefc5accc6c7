/** `npm run docs:sessions -- PAGE…`: runs the sessions of pages, and writes into the pages what they print. */

import { writeFileSync } from 'node:fs';
import { temporaryDirectory } from '@forewrit/testkit';
import { blocksOf, pages, readPage, workspace } from './page.js';
import { replay } from './session.js';

const asked = process.argv.slice(2);
for (const page of pages()) {
  if (asked.length > 0 && !asked.includes(page)) continue;
  const text = readPage(page);
  if (!blocksOf(text).some(({ session }) => session !== undefined)) continue;
  const directory = temporaryDirectory('sessions');
  const found = await replay(text, directory.path);
  directory.remove();
  if (found !== text) writeFileSync(`${workspace}/${page}`, found);
  console.log(`${page}: ${found === text ? 'as it was' : 'written'}`);
}
