/** Sessions of the pages: commands at a prompt, what they print, and what of that differs from run to run. */

import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { install, installCommands } from './installation.js';
import { type Block, blocksOf } from './page.js';
import { prepare } from './situations.js';

const commandLimitMs = 60_000;

/** Where the reader of a page is. */
const shownDirectory = '/srv/project';

export interface Exchange {
  readonly command: string;
  readonly output: string;
}

/** A command begins with `$ ` and goes on after a line that ends in a backslash. */
export function exchangesOf(text: string): Exchange[] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((each) => {
      const command = /^(?:[^\n]*\\\n)*[^\n]*/.exec(each)![0];
      return { command, output: each.slice(command.length + 1) };
    });
}

/** The same for every run: no sizes, times, ids of processes, and no widths of columns, which follow from them. */
export function masked(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replaceAll(/\bboot=[\da-f-]+/g, 'boot=<boot>')
    .replaceAll(/\b\d+(?:\.\d+)? (?:ms|s|min|h)\b/g, '<duration>')
    .replaceAll(/\b\d+(?:\.\d+)? (?:B|KiB|MiB|GiB)\b/g, '<size>')
    .replaceAll(/\b\d+ files? swept\b/g, '<n> swept')
    .replaceAll(
      /^(\d+ +)\d+( +(?:alive|dead)) +(?:witness|witness-refused|no-process|zombie) /gm,
      '$1<pid>$2 <proof> ',
    )
    .replaceAll(/\b(pid|process) \d+/g, '$1 <pid>')
    .replaceAll(/^(Killed|.*: (?:line )?\d+: +\d+ Killed).*$/gm, 'Killed')
    .replaceAll(/ {2,}/g, '  ')
    .replaceAll(/ +$/gm, '');
}

/** Where a session is run: `bin` comes first in PATH. */
export interface Place {
  readonly cwd: string;
  readonly bin: string;
  readonly env?: NodeJS.ProcessEnv;
}

function runAtPrompt(command: string, { cwd, bin, env: given = process.env }: Place): Promise<string> {
  const { NO_COLOR: _1, FORCE_COLOR: _2, ...inherited } = given;
  const env = { ...inherited, PATH: `${bin}:${process.env['PATH'] ?? ''}`, TZ: 'UTC', LC_ALL: 'C' };
  // One stream, as a terminal shows it.
  const child = spawn('sh', ['-c', `exec 2>&1\n${command}`], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: commandLimitMs,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}

/** The page with what its sessions print now. What differs only in what is masked is left as it was. */
export async function replay(page: string, scratch: string): Promise<string> {
  const blocks = blocksOf(page);
  const bin = installCommands(scratch);
  const places = new Map<string, string>();
  const closers: (() => Promise<void>)[] = [];
  let text = page;
  try {
    for (const block of blocks) {
      if (block.session === undefined) continue;
      let cwd = places.get(block.session);
      if (cwd === undefined) {
        cwd = `${scratch}/${block.session}`;
        mkdirSync(cwd);
        install(cwd);
        writeFiles(cwd, blocks);
        places.set(block.session, cwd);
        closers.push(await prepare(block.session, cwd));
      }
      text = text.replace(block.text, await replayBlock(block, { cwd, bin }));
    }
  } finally {
    for (const close of closers) await close();
  }
  return text;
}

function writeFiles(directory: string, blocks: readonly Block[]): void {
  for (const { file, text } of blocks) if (file !== undefined) writeFileSync(`${directory}/${file}`, text);
}

/** A session as it is now; where only what is masked differs, as it was. */
export async function replayBlock(block: Block, place: Place): Promise<string> {
  let text = '';
  for (const { command, output } of exchangesOf(block.text)) {
    const printed = (await runAtPrompt(command, place)).replaceAll(place.cwd, shownDirectory);
    text += `$ ${command}\n${masked(printed) === masked(output) ? output : printed}`;
  }
  return text;
}
