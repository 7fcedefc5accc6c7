import { announceSeed, assert, publishFigures, Random, suite } from '@forewrit/testkit';
import { notLinux } from '../task-world.js';
import { atOnce, runCampaign } from './campaign.js';

/** More of them, for a long run: FOREWRIT_TASK_KILLS=100. */
const kills = Number(process.env['FOREWRIT_TASK_KILLS'] ?? 15);

const test = suite('an engine that is killed', { timeoutMs: 180_000 + kills * 10_000 });

test.skipIf(
  notLinux,
  'many times at random: every task ends in its true state, with every byte, and none runs twice',
  async () => {
    const count = await runCampaign(new Random(announceSeed('tasks')), kills);
    publishFigures({ campaign: 'task kills', subject: `${atOnce} tasks at once`, counts: { ...count } });
    assert.is(count.kills, kills);
    assert.ok(count.tasks >= kills);
  },
);

test.skipIf(
  notLinux,
  'beside another one that lives: the same holds, and that one takes over at once',
  async () => {
    const besideKills = Math.ceil(kills / 3);
    const count = await runCampaign(new Random(announceSeed('tasks beside')), besideKills, { beside: true });
    publishFigures({ campaign: 'task kills', subject: 'beside a living engine', counts: { ...count } });
    assert.is(count.kills, besideKills);
  },
);

test.run();
