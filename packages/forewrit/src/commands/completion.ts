/** `forewrit completion`: a script for a shell, made from the verbs and options that there are. */

import type { Command } from 'commander';
import type { CommandResult } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { wordsOf } from '../help.js';

export const shells = ['bash', 'zsh', 'fish'] as const;

interface Offered {
  readonly name: string;
  readonly about: string;
}

/** What may follow the words of a command. */
interface Node {
  /** '' for the program itself. */
  readonly words: string;
  readonly verbs: readonly Offered[];
  readonly options: readonly Offered[];
}

export function completion(program: Command, shell: string): CommandResult {
  const nodes = nodesOf(program, program);
  const script = shell === 'bash' ? bash(nodes) : shell === 'zsh' ? zsh(nodes) : fish(nodes);
  return { exitCode: exitCodes.clean, json: { shell, script }, text: () => script };
}

function nodesOf(program: Command, command: Command): Node[] {
  const global = command === program ? [] : program.options;
  const node: Node = {
    words: wordsOf(command),
    verbs: [
      ...command.commands.map((each) => ({ name: each.name(), about: each.summary() })),
      ...command.registeredArguments.flatMap(({ argChoices = [] }) =>
        argChoices.map((name) => ({ name, about: '' })),
      ),
    ],
    options: [...command.options, ...global].flatMap(({ long, description }) =>
      long === undefined || long === null ? [] : [{ name: long, about: description }],
    ),
  };
  return [node, ...command.commands.flatMap((each) => nodesOf(program, each))];
}

/** `case` lines that go from the words so far to those with one more. */
function steps(nodes: readonly Node[], assign: (words: string) => string): string {
  return nodes
    .filter(({ words }) => words !== '')
    .map(({ words }) => {
      const at = words.lastIndexOf(' ');
      const before = at === -1 ? '' : words.slice(0, at);
      return `      '${before}/${words.slice(at + 1)}') ${assign(words)} ;;`;
    })
    .join('\n');
}

function bash(nodes: readonly Node[]): string {
  const offers = nodes
    .map(
      ({ words, verbs, options }) =>
        `    '${words}') offered='${[...verbs, ...options].map(({ name }) => name).join(' ')}' ;;`,
    )
    .join('\n');
  return `# bash completion of forewrit
_forewrit() {
  local current="\${COMP_WORDS[COMP_CWORD]}" verb='' offered='' i
  COMPREPLY=()
  if [[ "\${COMP_WORDS[COMP_CWORD-1]}" == --root ]]; then
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
    return
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$verb/\${COMP_WORDS[i]}" in
${steps(nodes, (words) => `verb='${words}'`)}
    esac
  done
  case "$verb" in
${offers}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$current")
}
complete -o default -F _forewrit forewrit
`;
}

function zsh(nodes: readonly Node[]): string {
  const offers = nodes
    .map(({ words, verbs, options }) => {
      const all = [...verbs, ...options].map(
        ({ name, about }) => `      ${single(`${name}:${about.replaceAll(':', String.raw`\:`)}`)}`,
      );
      return `    '${words}') offered=(\n${all.join('\n')}\n    ) ;;`;
    })
    .join('\n');
  return `#compdef forewrit
# zsh completion of forewrit
_forewrit() {
  local verb='' word
  local -a offered
  if [[ "$words[CURRENT-1]" == --root ]]; then
    _files -/
    return
  fi
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$verb/$word" in
${steps(nodes, (words) => `verb='${words}'`)}
    esac
  done
  case "$verb" in
${offers}
  esac
  _describe -o forewrit offered || _files
}
if [[ "$funcstack[1]" == _forewrit ]]; then _forewrit "$@"; else compdef _forewrit forewrit; fi
`;
}

function fish(nodes: readonly Node[]): string {
  const lines = nodes.flatMap(({ words, verbs, options }) => {
    const condition = `-n "__forewrit_at '${words}'"`;
    return [
      ...verbs.map(
        ({ name, about }) => `complete -c forewrit -f ${condition} -a ${name} -d ${single(about)}`,
      ),
      ...options.map(
        ({ name, about }) => `complete -c forewrit ${condition} -l ${name.slice(2)} -d ${single(about)}`,
      ),
    ];
  });
  return `# fish completion of forewrit
function __forewrit_at
  set -l verb ''
  for word in (commandline -opc)[2..-1]
    switch "$verb/$word"
${steps(nodes, (words) => `set verb '${words}'`).replaceAll(/^ {6}('.*?')\) (.*) ;;$/gm, '      case $1\n        $2')}
    end
  end
  test "$verb" = "$argv[1]"
end
${lines.join('\n')}
`;
}

/** In single quotes; what would end them is left out of the way. */
function single(text: string): string {
  return `'${text.replaceAll("'", '’')}'`;
}
