import { readdirSync } from 'node:fs';
import { assert, suite } from '@forewrit/testkit';
import { readPage, workspace } from './page.js';

const test = suite("the documentation's site");

const names = readdirSync(`${workspace}/docs`).filter((name) => name.endsWith('.md'));

test('every page has its line in the side bar, and only one', () => {
  const config = readPage('docs/.vitepress/config.mjs');
  const sections = config.slice(config.indexOf('const sections'), config.indexOf('export default'));
  const lines = [...sections.matchAll(/page\('[^']+', '([\w-]+)'\)/g)].map((match) => `${match[1]!}.md`);
  assert.is(new Set(lines).size, lines.length);
  for (const name of names) if (name !== 'index.md') assert.ok(lines.includes(name), name);
});

test('every page has one title, and every picture says what it shows', () => {
  for (const name of names) {
    const text = readPage(`docs/${name}`).replaceAll(/^```.*?^```/gms, '');
    assert.is(text.match(/^# /gm)?.length, 1, name);
    for (const [, shown] of text.matchAll(/!\[([^\]]*)\]\(/g)) assert.ok(shown!.length > 20, name);
  }
});

test.run();
