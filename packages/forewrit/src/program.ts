/** The `forewrit` command: its verbs and options, and what is printed where. `cli.ts` gives it a process. */

import path from 'node:path';
import { isStoreError } from '@forewrit/core';
import { explain, type Explanation } from '@forewrit/recovery';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { Json, Verb } from './command.js';
import { accept } from './commands/accept.js';
import { check } from './commands/check.js';
import { completion, shells } from './commands/completion.js';
import { demo } from './commands/demo.js';
import { dump } from './commands/dump.js';
import { historyVerb } from './commands/history.js';
import { addMcp } from './commands/mcp.js';
import { recover } from './commands/recover.js';
import { type Direction, repair } from './commands/repair.js';
import { status } from './commands/status.js';
import { addTasks } from './commands/tasks/tasks.js';
import { undoVerb } from './commands/undo.js';
import { errorAsJson, errorAsText } from './error-report.js';
import { type ExitCode, exitCodeOf, exitCodes } from './exit-code.js';
import { helpOf } from './help.js';
import { parseLimit, wholeNumber } from './parse.js';
import type { Terminal } from './terminal.js';
import { version } from './version.js';

export interface Run {
  /** Without the program and the script. */
  readonly args: readonly string[];
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

interface GlobalOptions {
  readonly root: string;
  readonly json: boolean;
  readonly debug: boolean;
}

/** Never throws: what goes wrong is printed, and told by the exit code. */
export async function runProgram(run: Run): Promise<ExitCode> {
  const program = new Program(run);
  return await program.run();
}

/** The library's own hint is for those who write programs. */
const noStoreHint = 'Name the directory of a store with --root.';

class Program {
  readonly #run: Run;
  readonly #command: Command;
  /** What commander has to say about a wrong call. */
  #complaint = '';
  #exitCode: ExitCode = exitCodes.clean;

  constructor(run: Run) {
    this.#run = run;
    this.#command = new Command('forewrit')
      .description(
        'Looks after a Forewrit store: a directory whose files are saved several at once, or not at all.',
      )
      .version(version)
      .option('--root <dir>', 'directory of the store', '.')
      .option('--json', 'print the result, or the error, as one JSON document', false)
      .option('--debug', 'print the stack of an error', false)
      .exitOverride()
      .configureHelp({ showGlobalOptions: true })
      .configureOutput({
        writeOut: (text) => run.terminal.write(text),
        writeErr: (text) => {
          this.#complaint += text;
        },
        getOutHasColors: () => run.terminal.colors.isColorSupported,
        getErrHasColors: () => run.terminal.colors.isColorSupported,
      })
      .addHelpText('after', () => helpOf(this.#command));
    this.#addVerbs();
  }

  async run(): Promise<ExitCode> {
    try {
      await this.#command.parseAsync([...this.#run.args], { from: 'user' });
      return this.#exitCode;
    } catch (error) {
      return this.#failed(error);
    } finally {
      this.#run.terminal.progress('');
    }
  }

  #addVerbs(): void {
    this.#verb('status', status)
      .summary('who has the store open, and what is under way in it')
      .description(
        'Shows who has the store open, the transactions that the log still holds, and sizes. Changes nothing.\n' +
          'Exits with 1 if something needs recovery or a person.',
      );
    this.#addCheck();
    this.#verb('recover', recover)
      .summary('finish or sweep what a dead process left')
      .description(
        'Finishes committed transactions of processes that died, sweeps what was not committed, and prints what it\n' +
          'did. Run it at boot, before other programs read the files. Exits with 1 if a person should look at something:\n' +
          'content that was kept aside, or a transaction that is blocked.',
      )
      .option('--dry-run', 'only show what it would do; change nothing', false)
      .addOption(
        new Option(
          '--owner-dead <id>',
          'take this owner for dead: you know that its process is gone',
        ).argParser(parseOwner),
      )
      .addOption(
        new Option(
          '--reset-log',
          'set a damaged or lost log aside and begin a new one with the files as they are',
        )
          .default(false)
          .conflicts(['dryRun', 'ownerDead', 'discard']),
      )
      .addOption(
        new Option('--discard <id>', 'forget what is staged under this id and cannot be continued').conflicts(
          ['dryRun', 'ownerDead'],
        ),
      )
      .option('--yes', 'do not ask before --reset-log, --discard or --owner-dead', false);
    this.#verb('dump', dump)
      .summary('the records of the log, one line each')
      .description(
        'Shows the records that the log holds, in the order of their transactions. Changes nothing.',
      )
      .option('--limit <n>', 'only the newest n records', parseLimit)
      .addOption(new Option('--stats', 'counts and sizes in place of the records').default(false))
      .addOption(
        new Option('-f, --follow', 'go on with what is logged from now on, until Ctrl-C')
          .default(false)
          .conflicts('stats'),
      );
    this.#addRepair();
    this.#addHistory();
    addTasks(this.#command, (parent, name, verb) => this.#verb(name, verb, parent));
    addMcp(this.#command, (parent, name, verb) => this.#verb(name, verb, parent));
    this.#verb('demo', demo)
      .summary('kill a saving process again and again, and look at its files')
      .description(
        'Saves four files that belong together from a process that is killed with SIGKILL again and again, recovers\n' +
          'after each kill, and looks whether the set is whole; does the same with plain writes. Works in a temporary\n' +
          'directory. Exits with 1 if Forewrit ever mixed a set or lost an acknowledged save.',
      )
      .option('--kills <n>', 'kills for each method', parseKills, 36)
      .option('--seconds <n>', 'stop after so many seconds, however many kills it were', parseSeconds, 26);
    this.#verb('completion', async (_context, _options, command) =>
      completion(this.#command, command.args[0]!),
    )
      .summary('a script that completes this command in a shell')
      .description('Prints a script for bash, zsh or fish that completes verbs and options.')
      .addArgument(new Argument('<shell>', 'which one').choices(shells));
  }

  #addCheck(): void {
    this.#verb('check', check)
      .summary('what is wrong with the store, and the command that mends it')
      .description(
        'Looks at the log, the locks, what is staged and kept, names and permissions in .forewrit, and prints for each\n' +
          'finding what it sees, what it means, and the exact command that mends it. Changes nothing, also beside a store in\n' +
          'use. Exits with 1 if something was found.',
      )
      .option('--read-data', 'read every file, too, and compare it with its recorded checksum', false);
    this.#verb('accept', accept)
      .summary('record files as they are now')
      .description(
        'Records what is at a path now as its newest content, after another program has written or removed it. Does not\n' +
          'touch the file. Asks on a terminal; needs --yes anywhere else.',
      )
      .argument('<path...>', 'below the root of the store')
      .option('--yes', 'do not ask', false);
  }

  #addRepair(): void {
    const directions: readonly (readonly [Direction, string])[] = [
      ['forward', 'carry it out, whatever is in the way; that is kept in .forewrit/conflicts first'],
      ['back', 'put back what was there before, from the before-images'],
      ['quarantine', 'leave the files as they are, keep its content in .forewrit/conflicts, and forget it'],
    ];
    const verb: Verb<Partial<Record<Direction, boolean>>> = async (context, options, self) => {
      const direction = directions.map(([name]) => name).find((name) => options[name] === true);
      if (direction === undefined)
        return self.error('error: choose one of --forward, --back and --quarantine');
      return await repair(context, { transaction: self.args[0]!, direction });
    };
    const command = this.#verb('repair', verb)
      .summary('settle a blocked transaction by hand')
      .description(
        'Settles a transaction that recovery could neither finish nor leave alone. `status` names it.',
      )
      .argument('<transaction>', 'its id, as `status` shows it', parseTransaction);
    for (const [name, description] of directions) {
      const others = directions.map(([other]) => other).filter((other) => other !== name);
      command.addOption(new Option(`--${name}`, description).conflicts(others));
    }
  }

  #addHistory(): void {
    this.#verb('history', historyVerb)
      .summary('what can be undone')
      .description(
        'Lists the transactions of which history keeps what they replaced, the newest first, and whether each can be\n' +
          'undone as things are. Changes nothing. There is history where programs open the store with it.',
      )
      .argument('[path]', 'only those that changed this path, or something below it')
      .option('--limit <n>', 'so many at most', parseLimit, 50);
    this.#verb('undo', undoVerb)
      .summary('put back what a transaction has replaced')
      .description(
        'Puts back what a transaction has replaced, moved or removed, all or nothing, and only if nothing of it has\n' +
          'changed since. Asks first, on a terminal. The undo can be undone.',
      )
      .argument('<transaction>', 'its id, as `history` shows it', parseTransaction)
      .option('--yes', 'do not ask', false);
  }

  #verb<Options>(name: string, verb: Verb<Options>, parent = this.#command): Command {
    const command = parent.command(name);
    command.addHelpText('after', () => helpOf(command));
    return command.action(async () => {
      const options = command.optsWithGlobals<GlobalOptions & Options>();
      const { terminal, signal } = this.#run;
      const result = await verb({ root: options.root, terminal, signal }, options, command);
      terminal.progress('');
      this.#exitCode = result.exitCode;
      if (!options.json) terminal.write(result.text());
      else if (result.json !== undefined) this.#print(result.json);
    });
  }

  #failed(error: unknown): ExitCode {
    const { terminal, signal, args } = this.#run;
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exitCodes.clean;
      // Commander has not come to know the options when it fails on one of them.
      if (args.includes('--json')) this.#print(usageAsJson(error, this.#complaint));
      else terminal.writeError(this.#complaint);
      return exitCodes.usage;
    }
    terminal.progress('');
    const { json, debug } = this.#command.opts<GlobalOptions>();
    if (signal.aborted) return exitCodes.interrupted;
    const exitCode = exitCodeOf(error);
    const explanation = this.#explain(error);
    const isMissing = exitCode === exitCodes.noStore && explanation === undefined;
    const shown = { debug, ...(isMissing ? { hint: noStoreHint } : { explanation }) };
    if (json) this.#print(errorAsJson(error, shown));
    else terminal.writeError(errorAsText(error, { colors: terminal.colors, ...shown }));
    return exitCode;
  }

  #explain(error: unknown): Explanation | undefined {
    if (!isStoreError(error)) return undefined;
    const root = path.resolve(this.#command.opts<GlobalOptions>().root);
    const { args } = this.#run;
    const words = args.filter(
      (arg, index) => !/^--(?:root(?:=.*)?|json|debug)$/.test(arg) && args[index - 1] !== '--root',
    );
    return explain(error, { root, words });
  }

  #print(json: Json): void {
    this.#run.terminal.write(`${JSON.stringify(json, undefined, 2)}\n`);
  }
}

function usageAsJson(error: CommanderError, complaint: string): Json {
  // Called without a verb, commander complains by printing its help.
  const message = error.code === 'commander.help' ? 'a verb is missing' : complaint.split('\n')[0]!;
  return {
    error: {
      code: 'ERR_INVALID_ARGUMENT',
      message: message.replace(/^error: /, ''),
      hint: 'forewrit --help lists the verbs, forewrit <verb> --help its options.',
    },
  };
}

function parseTransaction(text: string): string {
  if (/^[0-9a-z]{1,7}-[0-9a-z]{1,7}$/.test(text)) return text;
  throw new InvalidArgumentError('The id of a transaction looks like 1f-2a.');
}

function parseOwner(text: string): string {
  if (/^[0-9a-z]{1,7}$/.test(text)) return text;
  throw new InvalidArgumentError('The id of an owner looks like 1f.');
}

const parseKills = wholeNumber({ min: 1, max: 10_000 });
const parseSeconds = wholeNumber({ min: 1, max: 3600 });
