// Runs the compiled tests of every package, each file in a process of its own.
//
//   npm test                         everything
//   npm test -- core/test/record     only files whose path contains this (several: any of them)
//   npm run test:quick               without files named *.slow.test.ts, and without the thread where a test takes both
//                                    committers in turn
//   npm test -- --jobs=1             one file at a time (default 2); *.serial.test.ts always run alone
//   npm test -- --verbose            every test by name and time, output shown also when all is well
//
// A file passes when it exits 0, reports on its last line (see packages/testkit/src/suite.ts) that every test
// either passed or was skipped, and that there was at least one.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { build } from './build.mjs';
import { workspace } from './run.mjs';

const fileLimitMs = 10 * 60_000;
const jobsDefault = 2;
// Time for the output of a finished file to end: longer means that it left a process behind.
const outputGraceMs = 2_000;
const outputLimitChars = 200_000;
const reportPrefix = '#forewrit-tests ';

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const verbose = args.includes('--verbose');
const jobs = Number(args.find((arg) => arg.startsWith('--jobs='))?.slice('--jobs='.length) ?? jobsDefault);
const unknown = args.filter((arg) => arg.startsWith('-') && !/^--(?:quick|verbose|jobs=[1-9]\d*)$/.test(arg));
const filters = args.filter((arg) => !arg.startsWith('-')).map((arg) => arg.replace(/\.ts$/, ''));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(' ')}. Known: --quick, --verbose, --jobs=N, parts of a path.`);
  process.exit(2);
}

function discover() {
  const files = [];
  const names = readdirSync(join(workspace, 'packages')).toSorted();
  for (const project of [...names.map((name) => `packages/${name}`), 'bench']) {
    const compiled = join(workspace, project, 'dist-test');
    if (!existsSync(compiled)) continue;
    for (const entry of readdirSync(compiled, { recursive: true }).toSorted()) {
      if (!entry.endsWith('.test.js')) continue;
      const title = `${project}/test/${entry.slice(0, -'.js'.length)}`.replaceAll(sep, '/');
      files.push({ title, path: join(compiled, entry) });
    }
  }
  return files
    .filter(({ title }) => !quick || !title.endsWith('.slow.test'))
    .filter(({ title }) => filters.length === 0 || filters.some((filter) => title.includes(filter)));
}

const runsAlone = (file) => /\.serial(?:\.slow)?\.test$/.test(file.title);

// Every file is the leader of a process group, so that what it starts can be ended with it.
const running = new Set();
function endGroup(child) {
  try {
    if (process.platform === 'win32') child.kill('SIGKILL');
    else process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    for (const child of running) endGroup(child);
    process.exit(130);
  });
}

function runFile(file, directory) {
  return new Promise((resolve) => {
    const startedMs = performance.now();
    const child = spawn(process.execPath, ['--enable-source-maps', file.path], {
      cwd: workspace,
      detached: process.platform !== 'win32',
      env: {
        ...process.env,
        FOREWRIT_TEST_DIR: directory,
        ...(verbose ? { FOREWRIT_TEST_VERBOSE: '1' } : {}),
        ...(quick ? { FOREWRIT_TEST_QUICK: '1' } : {}),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);

    const problems = [];
    let output = '';
    const keep = (text) => {
      output += text;
      // The end matters most: the report is the last line.
      if (output.length > 2 * outputLimitChars) output = `[…]\n${output.slice(-outputLimitChars)}`;
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);

    const limit = setTimeout(() => {
      problems.push(`killed: still running after ${fileLimitMs / 60_000} minutes`);
      endGroup(child);
    }, fileLimitMs);
    child.on('error', (error) => problems.push(`could not be started: ${error.message}`));
    child.on('exit', (code, signal) => {
      if (code !== 0) problems.push(signal === null ? `exit code ${code}` : `ended by ${signal}`);
      const grace = setTimeout(() => {
        problems.push('left a process behind that holds its output open');
        endGroup(child);
      }, outputGraceMs);
      child.on('close', () => clearTimeout(grace));
    });
    child.on('close', () => {
      clearTimeout(limit);
      endGroup(child);
      running.delete(child);
      resolve(judge({ problems, output, durationMs: performance.now() - startedMs }));
    });
  });
}

function judge({ problems, output, durationMs }) {
  const lines = output.split('\n');
  const line = lines.findLast((candidate) => candidate.startsWith(reportPrefix));
  const report = line === undefined ? undefined : JSON.parse(line.slice(reportPrefix.length));
  const { total = 0, passed = 0, skipped = 0, failed = 0 } = report ?? {};

  if (report === undefined) problems.push('no report: not a suite of the testkit, or it died');
  else if (total === 0) problems.push('no tests');
  else if (passed + skipped !== total && failed === 0) {
    problems.push(`${passed} passed and ${skipped} skipped of ${total}`);
  }
  // Whatever went wrong, at least one failure is counted.
  const failedCounted = Math.max(failed, total - passed - skipped, problems.length > 0 ? 1 : 0);
  const shown = lines.filter((candidate) => !candidate.startsWith(reportPrefix)).join('\n');
  return { passed, skipped, failed: failedCounted, problems, output: shown.trim(), durationMs };
}

function print(file, result) {
  const counts = [`${result.passed} passed`];
  if (result.failed > 0) counts.push(`${result.failed} failed`);
  if (result.skipped > 0) counts.push(`${result.skipped} skipped`);
  const mark = result.failed > 0 ? 'FAIL' : 'ok  ';
  console.log(`${mark} ${file.title}  ${counts.join(', ')}  ${(result.durationMs / 1000).toFixed(2)} s`);
  if (result.failed > 0 || verbose) {
    for (const problem of result.problems) console.log(`     ${problem}`);
    console.log(result.output.replaceAll(/^/gm, '     | '));
  } else {
    for (const line of result.output.split('\n')) {
      if (line.startsWith('skipped: ')) console.log(`     ${line}`);
    }
  }
}

async function runAll(files) {
  const base = process.env.FOREWRIT_TEST_DIR ?? tmpdir();
  mkdirSync(base, { recursive: true });
  const directory = realpathSync(mkdtempSync(join(base, 'forewrit-tests-')));
  // Tests that run a child as another user let it in themselves, from here on.
  chmodSync(directory, 0o755);
  const sum = { passed: 0, skipped: 0, failed: 0 };
  const work = async (queue) => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runFile(file, directory);
      print(file, result);
      for (const key of Object.keys(sum)) sum[key] += result[key];
    }
  };
  const together = files.filter((file) => !runsAlone(file));
  await Promise.all(Array.from({ length: jobs }, () => work(together)));
  await work(files.filter(runsAlone));
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    console.error(`${directory} could not be removed: ${error.message}`);
  }
  return sum;
}

build();
const files = discover();
const sum = await runAll(files);
if (files.length === 0) console.error('There is no test to run.');
console.log(
  `\n${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`,
);
if (sum.failed > 0 || sum.passed + sum.skipped === 0) process.exitCode = 1;
