/** `forewrit tasks`: its verbs and their options. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { liveStates, settledStates, type TaskState } from '@forewrit/tasks';
import type { CommandContext, CommandResult, Verb } from '../../command.js';
import { collected, parseSecondsAsMs, wholeNumber } from '../../parse.js';
import { restart, show, stop, wait } from './control.js';
import { list } from './list.js';
import { output } from './output.js';
import { run, type RunOptions } from './run.js';
import { group, type GroupOptions, importFile, prune } from './upkeep.js';

type AddVerb = <Options>(parent: Command, name: string, verb: Verb<Options>) => Command;

export function addTasks(program: Command, addVerb: AddVerb): void {
  const tasks = program
    .command('tasks')
    .summary('commands that outlive the program that started them')
    .description(
      'Runs commands in the background that go on when the program that started them ends, and looks after them. A task ' +
        'has the store for its record, a small process that watches it, and a directory with its output.',
    )
    .helpCommand(false);
  addRun(tasks, addVerb);
  addLooks(tasks, addVerb);
  addActions(tasks, addVerb);
  addUpkeep(tasks, addVerb);
}

function addRun(tasks: Command, addVerb: AddVerb): void {
  addVerb(tasks, 'run', withoutJson(runOf))
    .summary('start a task')
    .description(
      'Starts a task and leaves it running. One argument is a command for the shell; several are a program and its ' +
        'arguments. Makes the store where there is none. With --wait or --follow it exits with 1 unless the task completed.',
    )
    .argument('<command...>', 'what to run; put -- before it if it has options')
    .option('-f, --follow', 'show its output until it ends; Ctrl-C leaves it running')
    .option('--wait', 'wait until it ends')
    .option('--label <text>', 'what people call it')
    .option('--tag <tag>', 'may be given several times', collected)
    .option('--group <name>', 'it runs within the limits of that group')
    .option(
      '--priority <n>',
      'higher ones of a group first',
      wholeNumber({ min: -1_000_000, max: 1_000_000 }),
    )
    .option('--cwd <dir>', 'where it runs; the current directory')
    .option('--env <name=value>', 'a variable for it; may be given several times', parseVariable)
    .option('--secret <name>', 'a variable of yours that is kept from the disk and the output', collected)
    .option('--timeout <seconds>', 'stop it after so long; 1800', parseSecondsAsMs)
    .option('--delay <seconds>', 'start it no earlier', parseSecondsAsMs)
    .option('--after <task>', 'start it when that one has completed', parseTasks)
    .option('--after-end <task>', 'start it when that one has ended, however', parseTasks)
    .option('--key <text>', 'start nothing if a task was started with this key before')
    .option('--retries <n>', 'try again so often if it fails', wholeNumber({ min: 0, max: 1000 }))
    .option(
      '--max-output <bytes>',
      'keep so much of its output, the newest',
      wholeNumber({ min: 1, max: 2 ** 40 }),
    );
}

function addLooks(tasks: Command, addVerb: AddVerb): void {
  addVerb(tasks, 'list', list)
    .summary('tasks, the newest first')
    .description('Shows tasks, the newest first.')
    .option('--state <state>', 'only those; may be given several times', parseState)
    .option('--group <name>', 'only those of that group')
    .option('--tag <tag>', 'only those with that tag')
    .option('--limit <n>', 'so many', wholeNumber({ min: 1, max: 1000 }), 50)
    .option('--cursor <cursor>', 'go on after an earlier page');
  addVerb(tasks, 'show', ofOne(show))
    .summary('everything about one task')
    .description('Shows everything that is known of a task.')
    .argument('<task>', 'its id', parseTask);
  addVerb(tasks, 'output', withoutJson(ofOne(output)))
    .summary('what a task has printed')
    .description('Shows what a task has printed, byte by byte.')
    .argument('<task>', 'its id', parseTask)
    .option('-f, --follow', 'go on until it ends')
    .addOption(
      new Option('--offset <n>', 'from this byte on').argParser(
        wholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      ),
    )
    .addOption(
      new Option('--tail <n>', 'the last n lines')
        .argParser(wholeNumber({ min: 0, max: 1_000_000 }))
        .conflicts('offset'),
    )
    .addOption(new Option('--stream <name>', 'only that one').choices(['stdout', 'stderr']));
}

function addActions(tasks: Command, addVerb: AddVerb): void {
  addVerb(tasks, 'wait', ofOne(wait))
    .summary('wait until a task ends')
    .description(
      'Waits until a task ends. Exits with 1 unless it completed, also when the time is up before.',
    )
    .argument('<task>', 'its id', parseTask)
    .option('--timeout <seconds>', 'no longer than that', parseSecondsAsMs);
  addVerb(tasks, 'stop', ofOne(stop))
    .summary('stop a task')
    .description(
      'Stops a task and all of its processes: SIGTERM, and SIGKILL after a while. Exits with 1 if some of them live ' +
        'on.',
    )
    .argument('<task>', 'its id', parseTask)
    .addOption(
      new Option('--signal <name>', 'in place of SIGTERM').choices([
        'SIGTERM',
        'SIGINT',
        'SIGHUP',
        'SIGKILL',
      ]),
    )
    .option('--grace <seconds>', 'until SIGKILL', parseSecondsAsMs);
  addVerb(tasks, 'restart', ofOne(restart))
    .summary('run a task once more')
    .description('Runs a task once more, under the same id; stops it first if it runs.')
    .argument('<task>', 'its id', parseTask)
    .option('--secret <name>', 'a variable of yours that it was started with as a secret', collected);
}

function addUpkeep(tasks: Command, addVerb: AddVerb): void {
  const bytes = wholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER });
  addVerb(tasks, 'prune', prune)
    .summary('remove tasks that have ended')
    .description(
      'Removes tasks that have ended and are beyond a limit, the oldest first. Never one that runs.',
    )
    .option('--max-age <seconds>', 'since their creation; 24 hours', parseSecondsAsMs)
    .option('--max-bytes <n>', 'of output, of all; 1 GiB', bytes)
    .option('--max-count <n>', 'tasks; 10000', bytes);
  addVerb(tasks, 'group', groupOf)
    .summary('groups: how many of one run at once')
    .description('Shows groups, or changes one. A group needs no making.')
    .argument('[name]', 'the group')
    .option('--parallel <n>', 'so many run at once', wholeNumber({ min: 1, max: 1_000_000 }))
    .addOption(new Option('--pause', 'start no more of them').conflicts('resume'))
    .addOption(new Option('--resume', 'start them again'));
  addVerb(tasks, 'import', ofOne(importFile))
    .summary('take over a .mcp_background_tasks.json')
    .description(
      'Takes over the tasks of a .mcp_background_tasks.json, whole or not at all; those that ran are lost. May be done ' +
        'again: what was taken over is left alone. Makes the store where there is none.',
    )
    .argument('<file>', 'the file');
}

const runOf: Verb<RunOptions> = (context, options, command) => run(context, options, command.args);
const groupOf: Verb<GroupOptions> = (context, options, command) => group(context, options, command.args[0]);

function ofOne<Options>(
  verb: (context: CommandContext, options: Options, argument: string) => Promise<CommandResult>,
): Verb<Options> {
  return (context, options, command) => verb(context, options, command.args[0]!);
}

/** What is followed is printed as it comes: that is no document. */
function withoutJson<Options extends { readonly json: boolean; readonly follow?: boolean }>(
  verb: Verb<Options>,
): Verb<Options> {
  return (context, options, command) =>
    options.json && options.follow === true
      ? command.error('error: --follow and --json do not go together')
      : verb(context, options, command);
}

function parseTask(text: string): string {
  if (/^[\w.:-]{1,128}$/.test(text)) return text;
  throw new InvalidArgumentError('The id of a task looks like 0hod9kivsdcjzirvx.');
}

function parseTasks(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, parseTask(text)];
}

function parseVariable(text: string, earlier: readonly string[] = []): readonly string[] {
  if (/^[^=]+=/.test(text)) return [...earlier, text];
  throw new InvalidArgumentError('It must be NAME=VALUE.');
}

function parseState(text: string, earlier: readonly TaskState[] = []): readonly TaskState[] {
  const states: readonly TaskState[] = [...liveStates, ...settledStates];
  const state = states.find((each) => each === text);
  if (state !== undefined) return [...earlier, state];
  throw new InvalidArgumentError(`It must be one of ${states.join(', ')}.`);
}
