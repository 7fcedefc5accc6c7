// Opens every page of the built site in Chromium: no error on the console, no request that fails, every picture and every
// target of a link there.
//
//   npm run docs && npm run docs:browser           with what is called chromium or google-chrome in PATH
//   CHROMIUM=… npm run docs:browser                with this one
//
// Without one it says that it was skipped, and exits 0. It is a check of its own, because a browser is large.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join, normalize, sep } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { workspace } from './run.mjs';

const site = join(workspace, 'docs/.vitepress/dist');
const pageLimitMs = 60_000;
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

function findBrowser() {
  if (process.env.CHROMIUM !== undefined) return process.env.CHROMIUM;
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    const which = spawnSync('which', [name], { encoding: 'utf8' });
    if (which.status === 0) return which.stdout.trim();
  }
  return undefined;
}

async function serve() {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const path = normalize(join(site, decodeURIComponent(pathname)));
    const file = path.endsWith(sep) ? join(path, 'index.html') : path;
    if (!file.startsWith(site) || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' });
    response.end(readFileSync(file));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

function htmlFiles() {
  return readdirSync(site, { recursive: true })
    .map((entry) => entry.replaceAll(sep, '/'))
    .filter((entry) => entry.endsWith('.html') && entry !== '404.html')
    .toSorted((one, other) => one.localeCompare(other));
}

// Runs in the page.
function look() {
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
  const links = [...document.querySelectorAll('a[href]')].map(({ href }) => href);
  const broken = [...document.images].filter(({ naturalWidth }) => naturalWidth === 0);
  return {
    heading: document.querySelector('h1')?.textContent ?? '',
    ids,
    links: links.filter((href) => href.startsWith(location.origin)),
    brokenImages: broken.map(({ src }) => src),
    isWiderThanScreen: document.documentElement.scrollWidth > window.innerWidth + 1,
  };
}

// In a page of its own: what one fetches ahead is aborted when it is left, and would be a finding of the next.
async function visit(context, url, path) {
  const page = await context.newPage();
  const findings = [];
  const listeners = {
    console: (message) => {
      if (['error', 'warning'].includes(message.type())) findings.push(`console: ${message.text()}`);
    },
    pageerror: (error) => findings.push(`error: ${error.message}`),
    requestfailed: (request) => findings.push(`failed: ${request.url()}`),
    response: (response) => {
      if (response.status() >= 400) findings.push(`${response.status()}: ${response.url()}`);
    },
  };
  for (const [event, listener] of Object.entries(listeners)) page.on(event, listener);
  await page.goto(`${url}${path}`, { waitUntil: 'networkidle', timeout: pageLimitMs });
  const seen = await page.evaluate(look);
  for (const [event, listener] of Object.entries(listeners)) page.off(event, listener);
  await page.close();
  if (seen.heading === '') findings.push('no heading');
  for (const image of seen.brokenImages) findings.push(`picture: ${image}`);
  if (seen.isWiderThanScreen) findings.push('wider than the screen');
  return { ...seen, findings };
}

function deadLinks(visited, url) {
  const dead = [];
  for (const [path, { links }] of visited) {
    for (const link of new Set(links)) {
      const { pathname, hash } = new URL(link);
      const target = decodeURIComponent(pathname.slice(1)).replace(/(^|\/)$/, '$1index.html');
      const there = visited.get(target);
      const anchor = decodeURIComponent(hash.slice(1));
      const isThere = there !== undefined && (anchor === '' || there.ids.includes(anchor));
      if (!isThere) dead.push(`${path} links to ${link.replace(url, '')}`);
    }
  }
  return dead;
}

async function main() {
  const executablePath = findBrowser();
  if (executablePath === undefined) {
    console.log('skipped: there is no chromium here (set CHROMIUM to its path)');
    return;
  }
  if (!existsSync(site)) {
    console.error('The site is not built: npm run docs');
    process.exitCode = 1;
    return;
  }
  bootstrap();
  const require = createRequire(join(workspace, 'docs/package.json'));
  const { chromium } = require('playwright-core');
  const { url, close } = await serve();
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  let failures = 0;
  try {
    const visited = new Map();
    for (const [name, viewport] of Object.entries({
      desktop: { width: 1280, height: 800 },
      telephone: { width: 390, height: 844 },
    })) {
      const context = await browser.newContext({ viewport });
      for (const path of htmlFiles()) {
        const result = await visit(context, url, path);
        visited.set(path, result);
        if (result.findings.length > 0)
          console.log(`FAIL ${path} (${name})\n  ${result.findings.join('\n  ')}`);
        failures += result.findings.length;
      }
      await context.close();
    }
    const dead = deadLinks(visited, url);
    for (const each of dead) console.log(`FAIL ${each}`);
    failures += dead.length;
    const links = [...visited.values()].reduce((sum, each) => sum + each.links.length, 0);
    console.log(
      `${visited.size} pages, twice, and ${links} links in ${browser.version()}: ${failures} findings`,
    );
  } finally {
    await browser.close();
    close();
  }
  if (failures > 0) process.exitCode = 1;
}

await main();
