import { mkdirSync, writeFileSync } from 'node:fs';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';

interface Plan {
  readonly current: string;
  readonly version: string;
  readonly notes: string;
  readonly files: ReadonlyMap<string, string>;
}
type PlanRelease = (root: string, options: { readonly bump?: string; readonly day: string }) => Plan;

const script = new URL('../../../.tools/release-plan.mjs', import.meta.url);
const { planRelease } = (await import(script.href)) as { readonly planRelease: PlanRelease };

const test = suite('the plan of a release');
const day = '2031-02-03';

function workspaceOf(root: string, changelog: string, versions: Readonly<Record<string, string>>): void {
  writeFileSync(`${root}/CHANGELOG.md`, changelog);
  for (const [name, version] of Object.entries(versions)) {
    mkdirSync(`${root}/packages/${name}/src`, { recursive: true });
    writeFileSync(`${root}/packages/${name}/package.json`, JSON.stringify({ name, version }, null, 2));
    if (name === 'a')
      writeFileSync(`${root}/packages/a/src/version.ts`, `export const version = '${version}';\n`);
  }
}

const earlier = '# Changelog\n\n## [Unreleased]\n\n- News.\n\n## [0.3.1] - 2030-01-01\n\n- Old.\n';

test('the first release is the version that is there; later ones are the next minor one', () => {
  using directory = temporaryDirectory();
  workspaceOf(directory.path, '# Changelog\n\n## [Unreleased]\n\n- All of it.\n', { a: '0.1.0', b: '0.1.0' });
  const first = planRelease(directory.path, { day });
  assert.equal([first.version, first.notes], ['0.1.0', '- All of it.']);
  workspaceOf(directory.path, earlier, { a: '0.3.1', b: '0.3.1' });
  assert.is(planRelease(directory.path, { day }).version, '0.4.0');
});

test('a bump changes manifests, constants and the changelog, and nothing on the disk', () => {
  using directory = temporaryDirectory();
  workspaceOf(directory.path, earlier, { a: '0.3.1', b: '0.3.1' });
  const wanted = { patch: '0.3.2', minor: '0.4.0', major: '1.0.0', '2.0.0': '2.0.0' };
  for (const [bump, version] of Object.entries(wanted)) {
    const plan = planRelease(directory.path, { bump, day });
    assert.is(plan.version, version);
    assert.match(plan.files.get('packages/b/package.json')!, `"version": "${version}"`);
    assert.is(plan.files.get('packages/a/src/version.ts'), `export const version = '${version}';\n`);
    assert.is(
      plan.files.get('CHANGELOG.md'),
      earlier.replace('## [Unreleased]\n', `## [Unreleased]\n\n## [${version}] - ${day}\n`),
    );
  }
  assert.is(planRelease(directory.path, { day }).current, '0.3.1');
});

test('what cannot be released is refused', () => {
  using directory = temporaryDirectory();
  const refused = (bump: string, message: RegExp) => {
    assert.throws(
      () => planRelease(directory.path, { bump, day }),
      (error: Error) => message.test(error.message),
    );
  };
  workspaceOf(directory.path, earlier, { a: '0.3.1', b: '0.3.1' });
  refused('tiny', /neither patch/);
  refused('0.3.1', /has 0\.3\.1 already/);
  workspaceOf(directory.path, earlier.replace('- News.\n', ''), { a: '0.3.1', b: '0.3.1' });
  refused('minor', /nothing to release/);
  workspaceOf(directory.path, '# Changelog\n', { a: '0.3.1', b: '0.3.1' });
  refused('minor', /no “## \[Unreleased\]”/);
  workspaceOf(directory.path, earlier, { a: '0.3.1', b: '0.3.2' });
  refused('minor', /different versions/);
});

test.run();
