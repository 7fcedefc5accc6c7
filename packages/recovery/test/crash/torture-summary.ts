/** What `npm run torture` tells at the end, in Markdown and as JSON. */

import { type Figures, persistenceModels } from '@forewrit/testkit';
import { commandOf } from './schedule.js';
import { type Run, type Search, type State, sumOf } from './torture-state.js';

/** With the same names as the state, so that both can be read alike. */
export function summaryAsJson(state: State): string {
  const { states, nested, recovered, points } = sumOf(state);
  const seconds = secondsOf(state);
  return `${JSON.stringify(
    {
      states,
      nested,
      recovered,
      points,
      available: String(sumOfAvailable(state.searches)),
      seconds: Math.round(seconds),
      statesPerSecond: rateOf(state),
      violations: state.violations.map(({ message, schedule }) => ({
        message,
        command: commandOf(schedule),
      })),
      scenarios: state.searches.map(({ done, ...search }) => ({ ...search, choicesOfEachPoint: done })),
      runs: state.runs,
    },
    undefined,
    2,
  )}\n`;
}

export function summaryAsMarkdown(state: State): string {
  return [
    ...(state.searches.length === 0 ? [] : enumerationLines(state)),
    ...figureLines(state.runs.flatMap(({ figures }) => figures)),
    ...runLines(state.runs),
    ...state.violations.flatMap(({ message, schedule }) => [
      '```',
      message,
      '',
      commandOf(schedule),
      '```',
      '',
    ]),
    ...state.runs.flatMap(({ failures }) => failures.flatMap((failure) => ['```', failure, '```', ''])),
  ].join('\n');
}

function enumerationLines(state: State): string[] {
  const { states, nested, recovered, points } = sumOf(state);
  const rows: readonly (readonly [string, number])[] = [
    ['different crash states (scenario, crash point, survivors)', states],
    ['crashes inside recovery from these, up to two levels deep', nested],
    ['different disks, logs and expectations: recovered and judged', recovered],
    ['crash points visited, those in recovery too', points],
    ['seconds', Math.round(secondsOf(state))],
    ['states a second', rateOf(state)],
    ['violations', state.violations.length],
  ];
  const available = sumOfAvailable(state.searches).toLocaleString('en');
  return [
    '| | |',
    '| --- | --- |',
    ...rows.map(([what, count]) => `| ${what} | ${count.toLocaleString('en')} |`),
    '',
    `Of ${available} states that these scenarios have without scattered writes:`,
    '',
    `| scenario | ${persistenceModels.join(' | ')} |`,
    `| --- | ${persistenceModels.map(() => '---').join(' | ')} |`,
    ...scenarioRows(state),
    '',
  ];
}

function runLines(runs: readonly Run[]): string[] {
  return [
    '| run | commit | node | lanes | states in seconds | campaigns | failures |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...runs.map(({ startedAt, commit, node, lanes, states, seconds, campaigns, violations, failures }) => {
      const others = Object.entries(campaigns).map(
        ([name, its]) => `${name} ${its.seconds} s, seed ${its.seed ?? 'unknown'}`,
      );
      const enumerated = `${states.toLocaleString('en')} in ${Math.round(seconds).toLocaleString('en')}`;
      const cells = [startedAt, commit.slice(0, 12), node, lanes, enumerated, others.join('; ')];
      return `| ${cells.join(' | ')} | ${violations + failures.length} |`;
    }),
    '',
  ];
}

/** What the enumeration took; other campaigns have figures of their own. */
function secondsOf({ runs }: State): number {
  return runs.reduce((sum, { seconds }) => sum + seconds, 0);
}

function rateOf(state: State): number {
  const { states, nested } = sumOf(state);
  return Math.round((states + nested) / Math.max(secondsOf(state), 1));
}

function sumOfAvailable(searches: readonly Search[]): bigint {
  return searches.reduce((sum, { available }) => sum + BigInt(available || 0), 0n);
}

function* scenarioRows({ searches }: State): Generator<string> {
  for (const name of new Set(searches.map(({ scenario }) => nameOf(scenario)))) {
    const cells = persistenceModels.map((model) =>
      shareOf(searches.filter((each) => nameOf(each.scenario) === name && each.model === model)),
    );
    yield `| ${name} | ${cells.join(' | ')} |`;
  }
}

/** The programs are one line. */
function nameOf(scenario: string): string {
  return /^program \d+$/.test(scenario) ? 'programs' : scenario;
}

function shareOf(searches: readonly Search[]): string {
  const states = searches.reduce((sum, search) => sum + search.states, 0);
  const available = sumOfAvailable(searches);
  if (available === 0n) return '';
  if (searches.length > 0 && BigInt(states) === available) return `all ${states.toLocaleString('en')}`;
  return `${states.toLocaleString('en')} of ${available.toLocaleString('en')}`;
}

/** What several runs have counted of one thing is added up. */
function* figureLines(figures: readonly Figures[]): Generator<string> {
  const sums = new Map<string, Map<string, number>>();
  for (const { campaign, subject, counts } of figures) {
    const name = `${campaign}: ${subject}`;
    const sum = sums.get(name) ?? new Map<string, number>();
    sums.set(name, sum);
    for (const [what, count] of Object.entries(counts)) sum.set(what, (sum.get(what) ?? 0) + count);
  }
  if (sums.size === 0) return;
  yield '| campaign | counted |';
  yield '| --- | --- |';
  for (const [name, sum] of sums) {
    const counts = [...sum].map(([what, count]) => `${what} ${count.toLocaleString('en')}`);
    yield `| ${name} | ${counts.join(', ')} |`;
  }
  yield '';
}
