/**
 * uvu's `suite`, made safe to trust. On its own uvu has no time limit, and exits with 0 when a hook throws, when
 * `.run()` was forgotten, when there is no test, or when something other than an Error is thrown. Here each of
 * these fails the process, and so do a suite that is never finished and an `.only` left behind for CI.
 *
 * The last line on stdout, written as the process exits, is for the runner (`.tools/test.mjs`):
 *
 *     #forewrit-tests {"total":5,"passed":4,"skipped":1,"failed":0}
 *
 * where total = passed + skipped + failed. `FOREWRIT_TEST_VERBOSE=1` prints every test by name and time;
 * `FOREWRIT_TEST_ONLY=<name>` skips all tests but those of this name.
 */
import { suite as uvuSuite } from 'uvu';

export const testTimeoutMsDefault = 30_000;
/** How long a process may live on after its last test, before what keeps it alive is printed and it fails. */
export const lingerLimitMsDefault = 10_000;
export const reportPrefix = '#forewrit-tests ';

type Body = () => unknown;

export interface SuiteOptions {
  /** For each test and each hook; 30 s. A test's own `timeoutMs` wins. */
  readonly timeoutMs?: number;
  /** How long the process may live on if this suite is the last to finish; 10 s. */
  readonly lingerLimitMs?: number;
}

export interface TestOptions {
  readonly timeoutMs?: number;
}

export interface Hook {
  /** Once, around all tests of the suite. When it throws, every test that has not run counts as failed. */
  (body: Body): void;
  /** Around each test, with the test's own time limit. When it throws, the test has failed. */
  each(body: Body): void;
}

export interface Suite {
  (name: string, body: Body, options?: TestOptions): void;
  /** Does not run the test, and says so with its reason; it counts as skipped, never as passed. */
  skip(name: string, reason: string, body?: Body): void;
  /** Skips the test if there is a reason, runs it if that is undefined. */
  skipIf(reason: string | undefined, name: string, body: Body, options?: TestOptions): void;
  /** Runs only the tests registered so; the others count as skipped. Fails where `CI` is set. */
  only(name: string, body: Body, options?: TestOptions): void;
  readonly before: Hook;
  readonly after: Hook;
  /** Must be called once, after the last test was registered. */
  run(): void;
}

interface RegisteredTest {
  readonly name: string;
  readonly only: boolean;
  outcome: 'waiting' | 'passed' | 'failed';
}

interface SuiteState {
  readonly name: string;
  readonly tests: RegisteredTest[];
  readonly skipped: { readonly name: string; readonly reason: string }[];
  readonly problems: string[];
  progress: 'registering' | 'queued' | 'finished';
}

// What the process has registered: a test process is the unit here, and its exit is when it is judged.
const suites: SuiteState[] = [];
let started = false;

export function suite(name: string, options: SuiteOptions = {}): Suite {
  const timeoutMsOfSuite = options.timeoutMs ?? testTimeoutMsDefault;
  const state: SuiteState = { name, tests: [], skipped: [], problems: [], progress: 'registering' };
  // A program that only borrows the simulated world reports nothing; a test without a suite is missed by its runner.
  if (suites.push(state) === 1) process.on('exit', report);

  const inner = uvuSuite(name);
  const beforeEach: Body[] = [];
  const afterEach: Body[] = [];
  const afterAll: Body[] = [];

  function register(title: string, body: Body, only: boolean, timeoutMs = timeoutMsOfSuite): void {
    assertRegistering(title);
    const asked = process.env['FOREWRIT_TEST_ONLY'];
    if (asked !== undefined && asked !== title) {
      state.skipped.push({ name: title, reason: 'another one was asked for' });
      return;
    }
    const test: RegisteredTest = { name: title, only, outcome: 'waiting' };
    state.tests.push(test);
    const handler = async (): Promise<void> => {
      started = true;
      const startedMs = performance.now();
      try {
        await withTimeout(`the test "${title}"`, timeoutMs, () => runBetweenHooks(body));
        test.outcome = 'passed';
      } catch (error) {
        test.outcome = 'failed';
        // uvu formats errors only, and lets the run pass when its formatting throws.
        throw asError(error);
      } finally {
        if (process.env['FOREWRIT_TEST_VERBOSE']) {
          console.log(`\n  ${test.outcome}: ${title} (${(performance.now() - startedMs).toFixed(1)} ms)`);
        }
      }
    };
    if (only) inner.only(title, handler);
    else inner(title, handler);
  }

  // The after.each hooks run whatever happened before; the first error is the one that counts.
  async function runBetweenHooks(body: Body): Promise<void> {
    const errors: unknown[] = [];
    try {
      for (const hook of beforeEach) await hook();
      await body();
    } catch (error) {
      errors.push(error);
    }
    for (const hook of afterEach) {
      try {
        await hook();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 1) throw new AggregateError(errors.map(asError), messagesOf(errors));
    if (errors.length === 1) throw errors[0];
  }

  async function runHook(title: string, body: Body): Promise<'passed' | 'failed'> {
    started = true;
    try {
      await withTimeout(`a hook "${title}"`, timeoutMsOfSuite, body);
      return 'passed';
    } catch (error) {
      const { stack, message } = asError(error);
      state.problems.push(`a hook "${title}" failed: ${stack ?? message}`);
      return 'failed';
    }
  }

  async function runBefore(body: Body): Promise<void> {
    // uvu goes on to its after hooks without running a test, and without a word: those tests stay 'waiting'.
    if ((await runHook('before', body)) === 'failed') throw new Error('see the problems of the suite');
  }

  async function runAfterAll(): Promise<void> {
    for (const body of afterAll) await runHook('after', body);
    state.progress = 'finished';
    if (suites.every(({ progress }) => progress === 'finished')) {
      limitLingering(state, options.lingerLimitMs ?? lingerLimitMsDefault);
    }
  }

  function assertRegistering(title: string): void {
    if (state.progress !== 'registering') {
      throw new Error(`suite "${name}": "${title}" comes after .run()`);
    }
  }

  function hook(title: string, all: (body: Body) => void, each: Body[]): Hook {
    const once = (body: Body): void => {
      assertRegistering(title);
      all(body);
    };
    once.each = (body: Body): void => {
      assertRegistering(title);
      each.push(body);
    };
    return once;
  }

  function test(title: string, body: Body, { timeoutMs }: TestOptions = {}): void {
    register(title, body, false, timeoutMs);
  }
  test.only = (title: string, body: Body, { timeoutMs }: TestOptions = {}): void => {
    register(title, body, true, timeoutMs);
  };
  test.skip = (title: string, reason: string): void => {
    assertRegistering(title);
    state.skipped.push({ name: title, reason });
  };
  test.skipIf = (reason: string | undefined, title: string, body: Body, own?: TestOptions): void => {
    if (reason === undefined) test(title, body, own);
    else test.skip(title, reason);
  };
  test.before = hook('before', (body) => inner.before(() => runBefore(body)), beforeEach);
  test.after = hook('after', (body) => afterAll.push(body), afterEach);
  test.run = (): void => {
    assertRegistering('.run()');
    // uvu would run the suites before this one a second time.
    if (started) throw new Error(`suite "${name}": .run() was called after tests had begun`);
    state.progress = 'queued';
    inner.after(runAfterAll);
    inner.run();
  };
  return test;
}

/** Settles as `body` does, or rejects when the time is over; the timer never outlives it. */
async function withTimeout(what: string, timeoutMs: number, body: Body): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([(async () => body())(), expired]);
  } finally {
    clearTimeout(timer);
  }
}

// Unreferenced: it only ever fires in a process that something else keeps alive.
function limitLingering(state: SuiteState, limitMs: number): void {
  setTimeout(() => {
    const resources = process.getActiveResourcesInfo().join(', ');
    state.problems.push(
      `the process still lives ${limitMs} ms after its last test, because of: ${resources}`,
    );
    process.exit(1);
  }, limitMs).unref();
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error
    ? thrown
    : new Error(`something other than an Error was thrown: ${String(thrown)}`);
}

function messagesOf(errors: readonly unknown[]): string {
  return errors.map((error) => asError(error).message).join('; then ');
}

interface Report {
  readonly total: number;
  readonly passed: number;
  readonly skipped: number;
  readonly failed: number;
}

/** Judges one suite as the process exits; what is wrong with it beside failed tests joins its problems. */
function judge(state: SuiteState): Report {
  const onlySome = state.tests.some(({ only }) => only);
  const wanted = state.tests.filter(({ only }) => only || !onlySome);
  const passed = wanted.filter(({ outcome }) => outcome === 'passed').length;
  const skipped = state.skipped.length + state.tests.length - wanted.length;

  if (state.tests.length + state.skipped.length === 0) state.problems.push('it has no tests');
  if (state.progress === 'registering') state.problems.push('.run() was forgotten');
  if (state.progress === 'queued') state.problems.push('it was not finished when the process exited');
  if (onlySome && process.env['CI']) state.problems.push('.only is not for CI');

  // A problem without a failed test still is one failure, on top of what passed.
  const failed = Math.max(wanted.length - passed, state.problems.length > 0 ? 1 : 0);
  return { total: passed + skipped + failed, passed, skipped, failed };
}

function report(): void {
  const sum = { total: 0, passed: 0, skipped: 0, failed: 0 };
  for (const state of suites) {
    const { total, passed, skipped, failed } = judge(state);
    sum.total += total;
    sum.passed += passed;
    sum.skipped += skipped;
    sum.failed += failed;
    for (const { name, reason } of state.skipped) console.log(`skipped: ${state.name} › ${name} (${reason})`);
    for (const problem of state.problems) console.log(`suite "${state.name}": ${problem}`);
  }
  console.log(reportPrefix + JSON.stringify(sum));
  if (sum.failed > 0 || sum.total === 0) process.exitCode ||= 1;
}
