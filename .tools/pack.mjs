// Packs every published package as it would be published.
// (pnpm packs: it turns `workspace:^` into a version, which `npm pack` would leave in, and adds the licence.)
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pnpm } from './bootstrap.mjs';
import { workspace } from './run.mjs';

/** The manifests of what is published, each after those it depends on. */
export function published() {
  const manifests = readdirSync(join(workspace, 'packages'))
    .map((name) => ({ name, path: join(workspace, 'packages', name, 'package.json') }))
    .map(({ name, path }) => ({ folder: `packages/${name}`, ...JSON.parse(readFileSync(path, 'utf8')) }))
    .filter((manifest) => manifest.private !== true);
  const sorted = [];
  const place = (manifest) => {
    if (sorted.includes(manifest)) return;
    const wanted = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
    for (const other of manifests) if (wanted.includes(other.name)) place(other);
    sorted.push(manifest);
  };
  manifests.forEach(place);
  return sorted;
}

/** What a tarball holds: the names of its files below `package/`, and their sizes. */
function contents(tarball) {
  const list = spawnSync('tar', ['-tzvf', tarball], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (list.status !== 0) throw new Error(`${tarball} cannot be listed: ${list.stderr}`);
  return list.stdout
    .trimEnd()
    .split('\n')
    .map((line) => {
      const fields = line.split(/\s+/);
      const size = Number(fields[2]);
      return { name: fields.at(-1).replace(/^package\//, ''), size };
    });
}

/** The tarballs of all published packages in `directory`, in the order in which they can be published. */
export function pack(directory) {
  const manifests = published();
  const filters = manifests.flatMap(({ name }) => ['--filter', name]);
  const code = pnpm(['--silent', ...filters, 'pack', '--pack-destination', directory]);
  if (code !== 0) throw new Error(`pnpm pack has ended with ${code}`);
  return manifests.map(({ name, version, folder }) => {
    const tarball = join(directory, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`);
    const text = spawnSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' }).stdout;
    const files = contents(tarball);
    return {
      name,
      version,
      folder,
      tarball,
      manifest: JSON.parse(text),
      files: files.map((file) => file.name),
      packedBytes: statSync(tarball).size,
      unpackedBytes: files.reduce((sum, { size }) => sum + size, 0),
    };
  });
}

/** What is wrong with a tarball that publint and attw would not say. */
export function findingsIn({ manifest, files, name }) {
  const findings = [];
  // One that still says `workspace:` cannot be installed by anybody.
  if (JSON.stringify(manifest).includes('"workspace:')) findings.push('its package.json names a workspace');
  for (const file of ['LICENSE', 'README.md', 'package.json', 'dist/index.js', 'dist/index.d.ts']) {
    if (!files.includes(file)) findings.push(`${file} is missing`);
  }
  const strays = files.filter(
    (file) =>
      !/^(?:LICENSE|README\.md|package\.json|dist\/.*\.(?:js|d\.ts|map)|schemas\/[^/]+\.json)$/.test(file) ||
      /\.test\.|tsbuildinfo/.test(file),
  );
  for (const stray of strays) findings.push(`${stray} does not belong in it`);
  return findings.map((finding) => `${name}: ${finding}`);
}

/** For people: 81 kB. */
export function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(0)} kB`;
}
