import { assert, suite } from '@forewrit/testkit';
import { resultsAsMarkdown } from '#src/report/markdown.js';
import { plotsOf } from '#src/report/plots.js';
import { resultsAsText } from '#src/report/text.js';
import type { Results, SeriesResult } from '#src/results.js';
import { growthWindows, inProbes, windowCase } from '#src/scenarios/growth.js';
import { around, madeResults } from './made-results.js';

const test = suite('reports');

function together(...all: readonly Results[]): Results {
  return {
    ...all[0]!,
    contenders: Object.assign({}, ...all.map(({ contenders }) => contenders)) as Results['contenders'],
    series: all.flatMap(({ series }) => series),
  };
}

const along = (results: Results, x: number): Results => ({
  ...results,
  series: results.series.map((each): SeriesResult => ({ ...each, x })),
});

test('each scenario that was measured has a plot, with everybody in it', async () => {
  const crowd = { forewrit: [around(1)], 'one other': [around(2)], 'and another': [around(3)] };
  const plots = await plotsOf(
    together(
      madeResults(crowd),
      along(madeResults(crowd, { scenario: 'writers', case: 'one writer' }), 1),
      along(madeResults(crowd, { scenario: 'writers', case: '4 writers' }), 4),
      madeResults(
        { forewrit: [around(9)] },
        { scenario: 'open', case: 'clean, after 0 transactions', measure: 'open' },
      ),
    ),
  );
  assert.equal([...plots.keys()], ['save', 'writers', 'open']);
  for (const name of Object.keys(crowd)) {
    assert.match(plots.get('save')!, new RegExp(`>${name}<`));
    assert.match(plots.get('writers')!, new RegExp(`>${name}<`));
  }
  assert.match(plots.get('open')!, /clean, after 0 transactions: open/);
});

test('tables leave out what is only for the plot', () => {
  const windows = Array.from({ length: growthWindows }, (_, index) =>
    madeResults({ forewrit: [[2]] }, { scenario: 'growth', case: windowCase(index + 1), measure: inProbes }),
  );
  const text = resultsAsText(together(...windows));
  assert.match(text, /window 01 of 20[^]*window 10 of 20[^]*window 20 of 20/);
  assert.not.match(text, /window 02/);
});

test('the page says who was missing, what was skipped, and what failed', () => {
  const results: Results = {
    ...madeResults({ forewrit: [around(1)], other: [around(2)] }),
    missing: { other: 'it has no binary' },
    skipped: { xfs: 'only root can mount a xfs' },
    failures: [{ place: 'plain', scenario: 'large', reason: 'the disk is full\nat somewhere' }],
    verdicts: [
      { scenario: 'save', place: 'plain', title: 'a | b', atMost: 1, status: 'missed', value: 1.234 },
      {
        scenario: 'save',
        place: 'plain',
        title: 'c',
        atMost: 1,
        status: 'not measured',
        reason: 'no reason',
      },
    ],
  };
  const page = resultsAsMarkdown(results, new Set(['save']));
  for (const line of [
    '- other is missing: it has no binary',
    '- xfs was skipped: only root can mount a xfs',
    '- large on plain failed: the disk is full',
    '| plain, save | a \\| b | ≤ 1.00 | 1.23 | **missed** |',
    '| plain, save | c | ≤ 1.00 |  | not measured: no reason |',
    '![Four files, 24 KB, one writer](save.svg)',
  ]) {
    assert.ok(page.split('\n').includes(line), `${line}\nis not in\n${page}`);
  }
  assert.match(
    page,
    /\| {2}\| other \| DF·PM \| 2\.\d\d \| 2\.\d\d \| 2\.\d\d \| 0\.5\d \(0\.\d\d–0\.\d\d\) \|/,
  );
  assert.match(page, /\| other \(missing\) \| yes \| yes \| – \| yes \| yes \| as it comes \|/);
});

test.run();
