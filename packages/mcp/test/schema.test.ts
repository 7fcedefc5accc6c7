import { readFileSync, writeFileSync } from 'node:fs';
import { listed } from '#src/schemas.js';
import { tools } from '#src/tools.js';
import { version } from '#src/version.js';
import { assert, suite } from '@forewrit/testkit';

const test = suite('what tools say of themselves');

const snapshot = new URL('../test/tools.snapshot.json', import.meta.url);

test('names, schemas and annotations are those of the snapshot', () => {
  const now = `${JSON.stringify(tools.map(listed), undefined, 2)}\n`;
  // A change that is meant is written down with FOREWRIT_UPDATE_SNAPSHOT=1.
  if (process.env['FOREWRIT_UPDATE_SNAPSHOT'] === '1') writeFileSync(snapshot, now);
  assert.equal(JSON.parse(now), JSON.parse(readFileSync(snapshot, 'utf8')));
});

test('every tool has a name of its own, a description and all annotations', () => {
  assert.is(new Set(tools.map(({ name }) => name)).size, tools.length);
  for (const { name, description, annotations, title } of tools) {
    assert.match(name, /^[a-z]+(?:_[a-z]+)*$/);
    assert.ok(description.length > 30 && title.length > 5, name);
    assert.equal(
      Object.keys(annotations).sort(),
      ['destructiveHint', 'idempotentHint', 'openWorldHint', 'readOnlyHint'],
      name,
    );
    if (annotations.readOnlyHint) assert.not.ok(annotations.destructiveHint, name);
  }
});

test('what a tool does not know it refuses', () => {
  for (const tool of tools) {
    const { inputSchema } = listed(tool);
    assert.is((inputSchema as { additionalProperties?: unknown }).additionalProperties, false, tool.name);
  }
});

test('every argument that is not plain from its name is described', () => {
  const plain = new Set(['content', 'edits', 'max_bytes', 'limit', 'wait_ms', 'from', 'to']);
  for (const tool of tools) {
    for (const [name, schema] of Object.entries(listed(tool).inputSchema.properties ?? {})) {
      const { description } = schema as { description?: string };
      assert.ok(plain.has(name) || (description ?? '').length > 10, `${tool.name}: ${name}`);
    }
  }
});

test('the version is that of the manifest', () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  assert.is(version, manifest.version);
});

test.run();
