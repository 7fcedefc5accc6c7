// Which lines and branches of packages/*/src the tests run, and whether that is enough.
//
//   npm run coverage                       runs all tests, then a table by package
//   npm run coverage -- --files            ... and by file
//   npm run coverage -- --uncovered=PART   ... and what is missing in files whose path contains PART (all: --uncovered)
//   npm run coverage -- --again            no tests: what was collected last
//   npm run coverage -- --add=core/test/x  only these tests, added to what was collected before of unchanged modules
//   npm run coverage -- --write            also writes figures and exclusions into docs/testing.md
//
// Collected (in .coverage) is every process and thread that comes to its end; one that is killed leaves nothing.
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { beginRun, coverageMap, sourceName } from './coverage-map.mjs';
import { runNode, workspace } from './run.mjs';

const linesMin = 97;
const branchesMin = new Map([
  ['core', 98],
  ['recovery', 98],
]);

const excerptChars = 90;

const home = join(workspace, '.coverage');
const runs = join(home, 'runs');

const args = process.argv.slice(2);
const option = (name) => args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const unknown = args.filter((arg) => !/^--(?:files|again|write|uncovered(?:=.+)?|add=.+)$/.test(arg));
if (unknown.length > 0) {
  console.error(
    `Unknown: ${unknown.join(' ')}. Known: --files, --uncovered[=PART], --again, --add=PART, --write.`,
  );
  process.exit(2);
}
const added = option('add');
const again = args.includes('--again');
const wanted = args.includes('--uncovered') ? '' : option('uncovered');

function runTests() {
  if (added === undefined) rmSync(home, { recursive: true, force: true });
  const run = join(runs, String(Date.now()));
  const raw = beginRun(run);
  // Some tests run children as another user.
  for (const directory of [home, runs, run, raw]) chmodSync(directory, 0o777);
  return runNode('.tools/test.mjs', added === undefined ? [] : [added], { env: { NODE_V8_COVERAGE: raw } });
}

const percent = ({ total, covered }) => (total === 0 ? 100 : (100 * covered) / total);
// Rounded down: 97.999 is not 98.
const shown = (count) => `${(Math.floor(percent(count) * 100) / 100).toFixed(2)} %`;

function sum(files, kind) {
  const total = { total: 0, covered: 0 };
  for (const { summary } of files) {
    total.total += summary[kind].total;
    total.covered += summary[kind].covered;
  }
  return total;
}

function byPackage(files) {
  const packages = new Map();
  for (const file of files) {
    const name = file.name.split('/')[1];
    packages.set(name, [...(packages.get(name) ?? []), file]);
  }
  return [...packages].map(([name, ofPackage]) => ({
    name,
    files: ofPackage,
    lines: sum(ofPackage, 'lines'),
    branches: sum(ofPackage, 'branches'),
  }));
}

function problemsOf({ name, lines, branches }) {
  const problems = [];
  if (percent(lines) < linesMin) problems.push(`${name}: ${shown(lines)} of the lines, not ${linesMin} %`);
  const min = branchesMin.get(name) ?? 0;
  if (percent(branches) < min) problems.push(`${name}: ${shown(branches)} of the branches, not ${min} %`);
  return problems;
}

// Consecutive numbers as ranges: `3, 7-9`.
function ranges(numbers) {
  const found = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else found.push([number, number]);
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}

// The text of a branch, as far as it fits.
function excerpt(sourceLines, { start, end }) {
  const ofBranch = sourceLines.slice(start.line - 1, end.line);
  if (ofBranch.length === 0) return '';
  if (Number.isFinite(end.column)) ofBranch.push(ofBranch.pop().slice(0, end.column));
  ofBranch[0] = ofBranch[0].slice(start.column);
  const text = ofBranch.join(' ').replaceAll(/\s+/g, ' ').trim();
  return text.length > excerptChars ? `${text.slice(0, excerptChars)}…` : text;
}

function printUncovered({ name, coverage }) {
  const lines = coverage.getUncoveredLines().map(Number);
  const branches = Object.entries(coverage.b)
    .filter(([, [count]]) => count === 0)
    .map(([index]) => coverage.branchMap[index].loc);
  if (lines.length + branches.length === 0) return;
  const sourceLines = readFileSync(join(workspace, name), 'utf8').split('\n');
  console.log(`\n${name}`);
  if (lines.length > 0) console.log(`  lines ${ranges(lines)}`);
  for (const loc of branches)
    console.log(`  ${loc.start.line}:${loc.start.column + 1}  ${excerpt(sourceLines, loc)}`);
}

const counted = ({ covered, total }) => `${covered} of ${total}`.padStart(15);

function row(name, lines, branches) {
  const columns = [
    shown(lines).padStart(8),
    counted(lines),
    '  ',
    shown(branches).padStart(8),
    counted(branches),
  ];
  console.log(`${name.padEnd(48)} ${columns.join('')}`);
}

build();
const testsCode = again ? 0 : runTests();
if (!existsSync(runs)) {
  console.error('Nothing was collected yet: run it without --again.');
  process.exit(2);
}
const { map, threads, torn } = await coverageMap(
  readdirSync(runs).map((name) => join(runs, name)),
  join(home, 'ours'),
);
const files = map
  .files()
  .map((path) => ({ name: sourceName(path), coverage: map.fileCoverageFor(path) }))
  .map((file) => ({ ...file, summary: file.coverage.toSummary() }))
  .toSorted((one, other) => (one.name < other.name ? -1 : 1));
const packages = byPackage(files);

if (wanted !== undefined) files.filter(({ name }) => name.includes(wanted)).forEach(printUncovered);
console.log(`\n${threads} processes and threads${torn > 0 ? `; ${torn} files not whole` : ''}\n`);
console.log(`${''.padEnd(48)} ${'lines'.padStart(23)} ${'branches'.padStart(24)}`);
for (const { name, lines, branches, files: ofPackage } of packages) {
  row(name, lines, branches);
  if (!args.includes('--files')) continue;
  for (const file of ofPackage) row(`  ${file.name}`, file.summary.lines, file.summary.branches);
}
const problems = packages.flatMap(problemsOf);
for (const problem of problems) console.error(problem);
if (args.includes('--write')) {
  const { writeCoverage } = await import('../packages/testkit/dist-test/coverage-page.js');
  writeCoverage(
    packages.map(({ name, lines, branches }) => ({ name, lines: shown(lines), branches: shown(branches) })),
  );
}
if (testsCode !== 0 || problems.length > 0) process.exitCode = 1;
