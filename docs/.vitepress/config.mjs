import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitepress';

const repository = 'https://github.com/forewrit/forewrit';
const workspace = fileURLToPath(new URL('../..', import.meta.url));

// Headings have the anchors that GitHub gives them, so that a link is right in both places.
const slugify = (title) =>
  title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');

/** Links out of `docs/` lead to files that the site does not have: to the repository. */
function linkToRepository(markdown) {
  markdown.core.ruler.push('link-to-repository', ({ tokens, env }) => {
    for (const link of tokens.flatMap(({ children }) => children ?? [])) {
      const href = link.type === 'link_open' ? link.attrGet('href') : undefined;
      if (!href?.startsWith('../')) continue;
      const path = posix.normalize(posix.join('docs', posix.dirname(env.relativePath), href));
      if (path.startsWith('docs/')) continue;
      if (!existsSync(`${workspace}/${path.replace(/#.*/, '')}`))
        throw new Error(`${env.relativePath}: ${href}`);
      link.attrSet('href', `${repository}/blob/main/${path}`);
    }
  });
}

const page = (text, name) => ({ text, link: `/${name}` });

/** A page that is still to be written has no line; a test sees to it that every page has one. */
const withPages = (items) =>
  items.filter(({ link }) => link === '/api/' || existsSync(`${workspace}/docs${link}.md`));

const sections = [
  {
    text: 'Using it',
    items: [
      page('Getting started', 'getting-started'),
      page('How a save becomes durable', 'durable'),
      page('What is guaranteed', 'guarantees'),
      page('Embedding it', 'embedding'),
      page('Coming from something else', 'migration'),
      page('Beside the alternatives', 'comparison'),
    ],
  },
  {
    text: 'Parts',
    items: [
      page('Large and slow writes', 'staging'),
      page('Deferred saves', 'deferred'),
      page('Tasks', 'tasks'),
      page('The processes of a task', 'task-processes'),
      page('The MCP server', 'mcp'),
    ],
  },
  {
    text: 'When something is wrong',
    items: [
      page('Recovery handbook', 'handbook'),
      page('The command', 'command'),
      page('Errors', 'errors'),
      page('Recovery', 'recovery'),
      page('Checking a store', 'check'),
      page('Damaged stores', 'damaged-stores'),
      page('History and undo', 'history'),
    ],
  },
  {
    text: 'Inside',
    items: [
      page('Architecture', 'architecture'),
      page('What is on disk', 'format'),
      page('Assumptions', 'assumptions'),
      page('How it is tested', 'testing'),
    ],
  },
  { text: 'API', items: [page('Reference', 'api/')] },
];

export default defineConfig({
  title: 'Forewrit',
  description: 'A write-ahead-log transactional file store for Node.js',
  lang: 'en',
  // What the API pages are made of is no page.
  srcExclude: ['node_modules/**'],
  cleanUrls: false,
  ignoreDeadLinks: false,
  lastUpdated: false,
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: '/icon.svg' }]],
  markdown: { anchor: { slugify }, config: linkToRepository },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      page('Getting started', 'getting-started'),
      page('Guarantees', 'guarantees'),
      page('Recovery handbook', 'handbook'),
      page('API', 'api/'),
    ],
    sidebar: sections.map(({ text, items }) => ({ text, items: withPages(items) })),
    socialLinks: [{ icon: 'github', link: repository }],
    docFooter: { prev: 'Before', next: 'Next' },
  },
});
