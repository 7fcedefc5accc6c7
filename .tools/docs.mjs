// Builds the site of the documentation: docs/.vitepress/dist. Dead links end it.
//
//   npm run docs                 the API reference from the docstrings (docs/api), then all pages
//   npm run docs -- --serve      ... and shows it, until Ctrl-C
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { runNode, workspace } from './run.mjs';

const args = process.argv.slice(2);
if (args.some((arg) => arg !== '--serve')) {
  console.error(`Unknown: ${args.join(' ')}. Known: --serve.`);
  process.exit(2);
}

const docs = join(workspace, 'docs');
const tool = (script, toolArgs) => {
  const code = runNode(join('docs/node_modules', script), toolArgs, { cwd: docs });
  if (code !== 0) process.exit(code);
};

/**
 * typedoc's Markdown counts some headings twice that its pages have once, and links to `#name-1`. Where there is no such
 * heading, the one without a number is meant.
 */
function mendAnchors(directory) {
  const texts = new Map(
    readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
  );
  for (const [name, text] of texts) {
    const mended = text.replaceAll(/\]\(([^)#\s]*)#([\w-]+?)-(\d+)\)/g, (whole, page, anchor, count) => {
      const target = texts.get(page === '' ? name : page);
      if (target === undefined || countOf(target, anchor) > Number(count)) return whole;
      return `](${page}#${anchor})`;
    });
    if (mended !== text) writeFileSync(join(directory, name), mended);
  }
}

function countOf(text, anchor) {
  return text.split('\n').filter((line) => /^#+ /.test(line) && anchorOf(line) === anchor).length;
}

function anchorOf(heading) {
  return heading
    .replace(/^#+ /, '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

build();
rmSync(join(docs, 'api'), { recursive: true, force: true });
tool('typedoc/bin/typedoc', ['--options', 'typedoc.json']);
mendAnchors(join(docs, 'api'));
tool('vitepress/bin/vitepress.js', ['build']);
if (args.includes('--serve')) tool('vitepress/bin/vitepress.js', ['preview']);
