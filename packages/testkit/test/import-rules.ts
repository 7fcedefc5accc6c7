/**
 * The rules of docs/architecture.md about who may import what, as a function from source texts to violations.
 * It reads the text with patterns, not with a parser: sources are formatted, so an import begins its line, and
 * where a pattern could err it errs towards a violation.
 */

export interface SourceFile {
  /** From the top of the workspace, with forward slashes: `packages/core/src/record/record.ts`. */
  readonly path: string;
  readonly text: string;
}

export interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** For each package, the ones it may import: core ← recovery ← staging, context, tasks ← mcp ← forewrit. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  core: [],
  recovery: ['core'],
  staging: ['core', 'recovery'],
  context: ['core', 'recovery'],
  tasks: ['core', 'recovery'],
  mcp: ['core', 'recovery', 'staging', 'context', 'tasks'],
  forewrit: ['core', 'recovery', 'staging', 'context', 'tasks', 'mcp'],
};

interface Confinement {
  readonly module: RegExp;
  readonly name: string;
  /** The one file, where the design names it; otherwise any one file of core. */
  readonly file?: string;
  readonly filesMin: 0 | 1;
  /** Further places and why they may: a file, or a folder that ends in a slash. */
  readonly alsoIn?: Readonly<Record<string, string>>;
}

/** Modules that one file alone imports, so that everything else goes through its seam. */
const confinements: readonly Confinement[] = [
  {
    module: /^(?:node:)?fs(?:\/.*)?$/,
    name: 'node:fs',
    file: 'packages/core/src/files/node-file-system.ts',
    filesMin: 1,
    alsoIn: {
      'packages/forewrit/src/demo/':
        'the demo looks at the files from outside, and compares with naive writes',
      'packages/tasks/src/shim/':
        'the shim is a process of its own that must stay small, so it does not load core',
    },
  },
  { module: /^lmdb(?:\/.*)?$/, name: 'lmdb', file: 'packages/core/src/log/lmdb-environment.ts', filesMin: 1 },
  { module: /^msgpackr(?:\/.*)?$/, name: 'msgpackr', filesMin: 1 },
  { module: /^xxhash-wasm(?:\/.*)?$/, name: 'xxhash-wasm', filesMin: 1 },
  { module: /^node-disk-info(?:\/.*)?$/, name: 'node-disk-info', filesMin: 0 },
];

/** Every violation in the sources of the packages (`packages/<name>/src`), testkit's own excepted. */
export function violationsOf(sources: readonly SourceFile[]): string[] {
  const product = sources.filter(({ path }) => /^packages\/(?!testkit\/)[^/]+\/src\//.test(path));
  return [
    ...product.flatMap((source) => [...arrowViolations(source), ...formViolations(source)]),
    ...confinements.flatMap((confinement) => confinementViolations(confinement, product)),
  ];
}

/** Imports of a package's sources that its manifest does not promise to those who install it. */
export function undeclaredImports(manifest: Manifest, sources: readonly SourceFile[]): string[] {
  const declared = {
    ...manifest.dependencies,
    ...manifest.peerDependencies,
    ...manifest.optionalDependencies,
  };
  return sources.flatMap(({ path, text }) =>
    importsOf(text)
      .filter((specifier) => !/^(?:\.|#|node:)/.test(specifier))
      .map(packageNameOf)
      .filter((name) => !Object.hasOwn(declared, name))
      .map((name) => `${path}: imports ${name}, which ${manifest.name} does not depend on`),
  );
}

/** Workspace packages among a manifest's dependencies that the arrows forbid. */
export function dependencyViolations(manifest: Manifest): string[] {
  const allowed = arrows[shortNameOf(manifest.name) ?? ''];
  if (allowed === undefined) return [`${manifest.name}: has no place among the arrows`];
  return Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
    .map(shortNameOf)
    .filter((name) => name !== undefined)
    .filter((name) => !allowed.includes(name))
    .map((name) => `${manifest.name}: may not depend on ${name}`);
}

/** The modules that a source text imports: statically, dynamically or as types. */
export function importsOf(text: string): string[] {
  const code = withoutComments(text);
  const patterns = [
    /^[ \t]*(?:import|export)\b[^;'"]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^[ \t]*import\s*['"]([^'"]+)['"]/gm,
    /\b(?:import|require|getBuiltinModule|import\.meta\.resolve)\s*\(\s*['"]([^'"]+)['"]/g,
  ];
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ''));
}

function arrowViolations({ path, text }: SourceFile): string[] {
  const from = path.split('/')[1] ?? '';
  const allowed = arrows[from];
  if (allowed === undefined) return [`${path}: package ${from} has no place among the arrows`];

  return importsOf(text).flatMap((specifier) => {
    const to = shortNameOf(packageNameOf(specifier));
    if (to !== undefined && to !== from && !allowed.includes(to))
      return [`${path}: ${from} may not import ${to}`];
    if (to === from) return [`${path}: imports its own package by name`];
    if (specifier.startsWith('#')) return [`${path}: imports ${specifier}, which is for tests`];
    if (specifier.startsWith('.') && leavesSources(path, specifier)) {
      return [`${path}: ${specifier} leaves the sources of ${from}`];
    }
    return [];
  });
}

function formViolations({ path, text }: SourceFile): string[] {
  const code = withoutComments(text);
  const forms: readonly (readonly [RegExp, string])[] = [
    [/^[ \t]*export\s+default\b/m, 'has a default export'],
    [/^[ \t]*export\s*\{[^}]*\bas\s+default\b/m, 'has a default export'],
    [/^[ \t]*export\s+(?:type\s+)?\*/m, 'has an export *'],
    [
      /^(?:await\b|for\s+await\b|(?:export\s+)?(?:const|let|var)\b[^\n;]*=\s*await\b)/m,
      'awaits at its top level',
    ],
    [/\bimport\s*\(\s*[^'"\s)]/, 'imports a module whose name cannot be seen'],
    [/\b(?:require|getBuiltinModule)\s*\(\s*[^'"\s)]/, 'imports a module whose name cannot be seen'],
  ];
  return forms.filter(([pattern]) => pattern.test(code)).map(([, what]) => `${path}: ${what}`);
}

function confinementViolations(confinement: Confinement, sources: readonly SourceFile[]): string[] {
  const { module, name, file, filesMin, alsoIn = {} } = confinement;
  const exempt = (path: string): boolean =>
    Object.keys(alsoIn).some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place));
  const importers = sources
    .filter(({ path, text }) => !exempt(path) && importsOf(text).some((specifier) => module.test(specifier)))
    .map(({ path }) => path);

  const misplaced = importers.filter((path) =>
    file === undefined ? !path.startsWith('packages/core/src/') : path !== file,
  );
  const violations = misplaced.map(
    (path) => `${path}: imports ${name}; that is for ${file ?? 'one file of core'}`,
  );
  if (misplaced.length === 0 && importers.length > 1) {
    violations.push(`${name} is imported in ${importers.length} files, not in one: ${importers.join(', ')}`);
  }
  if (importers.length < filesMin) violations.push(`${name} is imported nowhere: is this rule out of date?`);
  return violations;
}

function leavesSources(path: string, specifier: string): boolean {
  const url = new URL(specifier, `file:///${path}`);
  const sources = path.split('/').slice(0, 3).join('/');
  return !url.pathname.startsWith(`/${sources}/`);
}

/** `@scope/name/sub/path` → `@scope/name`; `name/sub` → `name`. */
function packageNameOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

function shortNameOf(packageName: string): string | undefined {
  if (packageName === 'forewrit') return packageName;
  return packageName.startsWith('@forewrit/') ? packageName.slice('@forewrit/'.length) : undefined;
}

// Block comments that begin a line, and line comments that begin one or follow a blank: a `//` in a string has none.
function withoutComments(text: string): string {
  return text.replaceAll(/^[ \t]*\/\*[\s\S]*?\*\//gm, '').replaceAll(/(^|[ \t])\/\/.*$/gm, '$1');
}
