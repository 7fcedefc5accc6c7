/** What `npm run torture` tells at the end. */

import { persistenceModels } from '@forewrit/testkit';
import { type Search, type State, sumOf } from './torture-state.js';

export function summaryOf(state: State): string {
  const { seconds, violations } = state;
  const { states, nested, recovered, points } = sumOf(state);
  const rows: readonly (readonly [string, number])[] = [
    ['different crash states (scenario, crash point, survivors)', states],
    ['the same inside recovery, up to two levels deep', nested],
    ['different disks, logs and expectations: recovered and judged', recovered],
    ['crash points visited, those in recovery too', points],
    ['seconds', Math.round(seconds)],
    ['states a second', Math.round((states + nested) / Math.max(seconds, 1))],
    ['violations', violations.length],
  ];
  return [
    '| | |',
    '| --- | --- |',
    ...rows.map(([what, count]) => `| ${what} | ${count.toLocaleString('en')} |`),
    '',
    'Of the states that there are without scattered writes:',
    '',
    `| scenario | ${persistenceModels.join(' | ')} |`,
    `| --- | ${persistenceModels.map(() => '---').join(' | ')} |`,
    ...scenarioRows(state),
    '',
    ...violations.map((each) => `    ${each.replaceAll('\n', '\n    ')}`),
    '',
  ].join('\n');
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
  const available = searches.reduce((sum, search) => sum + BigInt(search.available || 0), 0n);
  if (searches.length > 0 && searches.every(({ exhausted }) => exhausted)) {
    return `all ${states.toLocaleString('en')}`;
  }
  return `${states.toLocaleString('en')} of ${available.toLocaleString('en')}`;
}
