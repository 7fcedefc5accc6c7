/** What follows the options in `--help`: examples that can be pasted, and what the exit code tells. */

import type { Command } from 'commander';

interface Help {
  readonly examples: readonly string[];
  /** What 1 means here. The others mean the same everywhere. */
  readonly findings: string;
}

const failed = 'it failed, and says why';

/** By the words of the verb. */
const helps: Readonly<Record<string, Help>> = {
  '': {
    examples: [
      'forewrit check --root data',
      'forewrit recover --root data',
      'forewrit status --json --root data',
    ],
    findings: 'findings, or it failed',
  },
  status: {
    examples: ['forewrit status', 'forewrit status --json --root data'],
    findings: 'something needs recovery or a person',
  },
  check: {
    examples: [
      'forewrit check',
      'forewrit check --read-data --root data',
      'forewrit check --json | jq -r .findings[].remedy.command',
    ],
    findings: 'something was found; notes do not count',
  },
  accept: {
    examples: ['forewrit accept config.json', 'forewrit accept --yes a.txt b.txt --root data'],
    findings: failed,
  },
  recover: {
    examples: [
      'forewrit recover',
      'forewrit recover --dry-run',
      'forewrit recover --owner-dead 1f',
      'forewrit recover --reset-log --yes',
      'forewrit recover --discard upload-17 --yes',
    ],
    findings:
      'a person should look at what was blocked or kept aside; with --dry-run: there is something to do',
  },
  dump: {
    examples: [
      'forewrit dump',
      'forewrit dump --limit 20',
      'forewrit dump --stats',
      'forewrit dump --follow',
    ],
    findings: 'the log is damaged',
  },
  repair: {
    examples: ['forewrit repair 1f-2a --back', 'forewrit repair 1f-2a --forward --root data'],
    findings: failed,
  },
  history: {
    examples: [
      'forewrit history',
      'forewrit history notes/today.md --limit 5',
      'forewrit history --json --root data',
    ],
    findings: failed,
  },
  undo: {
    examples: ['forewrit undo 1f-2a', 'forewrit undo 1f-2a --yes --root data'],
    findings: 'it was refused or declined, and says why',
  },
  demo: {
    examples: ['forewrit demo', 'forewrit demo --kills 100'],
    findings: 'Forewrit mixed a set or lost a save',
  },
  completion: {
    examples: [
      'eval "$(forewrit completion bash)"',
      'forewrit completion zsh > "${fpath[1]}/_forewrit"',
      'forewrit completion fish > ~/.config/fish/completions/forewrit.fish',
    ],
    findings: failed,
  },
  mcp: { examples: ['forewrit mcp --root data', 'forewrit mcp --http 0'], findings: failed },
  'tasks run': {
    examples: [
      'forewrit tasks run "npm test"',
      'forewrit tasks run --wait -- make -j4',
      'forewrit tasks run -f ./build.sh',
    ],
    findings: 'it failed; with --wait or --follow: the task did not complete',
  },
  'tasks list': {
    examples: ['forewrit tasks list', 'forewrit tasks list --state running'],
    findings: failed,
  },
  'tasks show': { examples: ['forewrit tasks show 0hod9kivsdcjzirvx'], findings: failed },
  'tasks output': {
    examples: [
      'forewrit tasks output 0hod9kivsdcjzirvx --tail 20',
      'forewrit tasks output -f 0hod9kivsdcjzirvx',
    ],
    findings: failed,
  },
  'tasks wait': {
    examples: ['forewrit tasks wait 0hod9kivsdcjzirvx --timeout 60'],
    findings: 'it failed, or the task did not complete',
  },
  'tasks stop': {
    examples: [
      'forewrit tasks stop 0hod9kivsdcjzirvx',
      'forewrit tasks stop --signal SIGINT 0hod9kivsdcjzirvx',
    ],
    findings: 'it failed, or some of its processes live on',
  },
  'tasks restart': { examples: ['forewrit tasks restart 0hod9kivsdcjzirvx'], findings: failed },
  'tasks prune': { examples: ['forewrit tasks prune --max-age 86400'], findings: failed },
  'tasks group': {
    examples: ['forewrit tasks group', 'forewrit tasks group builds --parallel 2'],
    findings: failed,
  },
  'tasks import': { examples: ['forewrit tasks import .mcp_background_tasks.json'], findings: failed },
};

export function helpOf(command: Command): string {
  const help = helps[wordsOf(command)];
  if (help === undefined) return '';
  const codes: readonly (readonly [number, string])[] = [
    [0, 'clean, or put right'],
    [1, help.findings],
    [2, 'wrong usage'],
    [10, 'there is no store'],
    [11, 'locked: another process is in the way'],
    [130, 'interrupted'],
  ];
  const lines = codes.map(([code, means]) => `  ${String(code).padEnd(5)}${means}`);
  const examples = help.examples.map((line) => `  ${line}`);
  return ['', 'Examples:', ...examples, '', 'Exit codes:', ...lines, ''].join('\n');
}

/** Without the program. */
export function wordsOf(command: Command): string {
  const words: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) words.unshift(at.name());
  words.shift();
  return words.join(' ');
}
