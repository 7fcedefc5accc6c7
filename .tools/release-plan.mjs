// What a release changes in the workspace, as a function from its files to their new texts. Nothing is written here.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const heading = '## [Unreleased]';

/** `0.1.0` and `minor` make `0.2.0`; a whole version stands for itself. */
export function nextVersion(current, bump) {
  if (/^\d+\.\d+\.\d+$/.test(bump)) return bump;
  const [major, minor, patch] = current.split('.').map(Number);
  switch (bump) {
    case 'major':
      return `${major + 1}.0.0`;
    case 'minor':
      return `${major}.${minor + 1}.0`;
    case 'patch':
      return `${major}.${minor}.${patch + 1}`;
    default:
      throw new Error(`${bump} is neither patch, minor or major, nor a version.`);
  }
}

/** What has been written down since the last release, and the changelog with a heading over it. */
export function changelogFor(text, version, day) {
  const start = text.indexOf(heading);
  if (start < 0) throw new Error(`CHANGELOG.md has no “${heading}”.`);
  if (text.includes(`\n## [${version}]`)) throw new Error(`CHANGELOG.md has ${version} already.`);
  const after = start + heading.length;
  const next = text.indexOf('\n## [', after);
  const notes = text.slice(after, next < 0 ? undefined : next).trim();
  if (notes === '')
    throw new Error('CHANGELOG.md has nothing under “Unreleased”: there is nothing to release.');
  const rest = next < 0 ? '' : text.slice(next);
  return {
    notes,
    text: `${text.slice(0, start)}${heading}\n\n## [${version}] - ${day}\n\n${notes}\n${rest}`,
  };
}

/**
 * The version that a release by `bump` has, its notes, and the texts of the files that it changes. Without `bump` it is the
 * version that the manifests have, if the changelog has none of it yet (the very first release), else the next minor one.
 */
export function planRelease(workspace, { bump, day }) {
  const read = (path) => readFileSync(join(workspace, path), 'utf8');
  const packages = readdirSync(join(workspace, 'packages')).map((name) => `packages/${name}`);
  const manifests = packages.map((folder) => ({ folder, text: read(`${folder}/package.json`) }));
  const versions = new Set(manifests.map(({ text }) => JSON.parse(text).version));
  if (versions.size !== 1)
    throw new Error(`The packages have different versions: ${[...versions].join(', ')}`);
  const [current] = versions;
  const isReleased = read('CHANGELOG.md').includes(`\n## [${current}]`);
  const version = bump === undefined && !isReleased ? current : nextVersion(current, bump ?? 'minor');

  const { notes, text } = changelogFor(read('CHANGELOG.md'), version, day);
  const files = new Map([['CHANGELOG.md', text]]);
  for (const manifest of manifests) {
    const from = `"version": "${current}"`;
    files.set(`${manifest.folder}/package.json`, manifest.text.replace(from, `"version": "${version}"`));
    const constant = `${manifest.folder}/src/version.ts`;
    try {
      files.set(constant, read(constant).replace(`'${current}'`, `'${version}'`));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }
  return { current, version, notes, files };
}
