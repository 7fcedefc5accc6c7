/** A program in words, for whoever has to find out why it failed. */

import type { Action, Edit, Event, Program, ReaderSpec, Step, TransactionSpec } from './program.js';

export function inWords({ inlineLimitBytes, steps, end }: Program): string {
  return [
    `up to ${inlineLimitBytes} bytes travel in the log`,
    ...steps.flatMap((step, index) => indented(`${index + 1}. `, stepInWords(step))),
    ...end.map((event) => `in a recovery at the end: ${eventInWords(event)}`),
  ].join('\n');
}

function indented(first: string, lines: readonly string[]): string[] {
  return lines.map((line, index) => `${index === 0 ? first : '   '}${line}`);
}

function stepInWords(step: Step): string[] {
  switch (step.step) {
    case 'work':
      return [
        `owner ${step.owner}: ${groupInWords(step.transactions)}`,
        ...step.rivals.map(
          (rival) => `at its call ${rival.at} owner ${rival.owner}: ${groupInWords(rival.transactions)}`,
        ),
        ...step.events.map(eventInWords),
        ...step.readers.map(readerInWords),
      ];
    case 'checkpoint':
    case 'recover':
    case 'materialize':
      return [`owner ${step.owner}: ${step.step}`, ...step.events.map(eventInWords)];
    case 'record':
      return [`owner ${step.owner} records what is applied`];
    case 'kill':
    case 'close':
      return [`${step.step} owner ${step.owner}`];
    case 'edit':
      return [editInWords(step.edit)];
    case 'power cut':
      return [`power cut (${step.seed})`];
  }
}

function groupInWords(transactions: readonly TransactionSpec[]): string {
  return transactions
    .map(({ actions, aborts, defers }) => {
      const what = actions.map(actionInWords).join('; ');
      return `${defers === true ? 'deferred ' : ''}[${what}${aborts ? '; abort' : ''}]`;
    })
    .join(' and ');
}

function actionInWords(action: Action): string {
  switch (action.do) {
    case 'write': {
      const how = action.how === 'blind' ? '' : ` ${action.how}`;
      return `write ${action.path}${action.large ? ', large' : ''}${how}`;
    }
    case 'copy':
    case 'move':
      return `${action.do} ${action.from} to ${action.path}`;
    case 'replace':
      return `${action.from} in the place of ${action.path}`;
    case 'trade places':
      return `${action.path} trades places with the file p`;
    case 'swap':
      return `swap ${action.from} and ${action.path}`;
    case 'append':
    case 'remove':
    case 'mkdir':
    case 'read':
    case 'list':
      return `${action.do} ${action.path}`;
    case 'put':
    case 'delete':
    case 'get':
      return `${action.do} entry ${action.key}`;
    case 'take back':
      return `(${action.actions.map(actionInWords).join('; ')}) taken back`;
    case 'range':
    case 'count in a file':
    case 'count in an entry':
      return action.do;
  }
}

export function editInWords({ path, how, flushed }: Edit): string {
  const done = how === 'delete' ? 'deletes' : how === 'replace' ? 'replaces' : 'writes into';
  return `another program ${done} ${path}${flushed ? ' and flushes' : ''}`;
}

function eventInWords(event: Event): string {
  const when = `at call ${event.at}: `;
  switch (event.what) {
    case 'edit':
      return when + editInWords(event.edit);
    case 'error':
      return `${when}${event.error}${event.after ? ' after it was done' : ''}${event.sticky ? ', from now on' : ''}`;
    case 'short write':
      return `${when}a write of ${event.bytes} bytes only`;
    case 'power cut':
      return `${when}power cut (${event.seed})`;
    case 'checkpoint':
      return `${when}checkpoint of owner ${event.owner}`;
    case 'log fails':
    case 'kill':
      return when + event.what;
  }
}

function readerInWords({ owner, how, paths, pace }: ReaderSpec): string {
  return `owner ${owner} reads ${paths.join(', ')} meanwhile (${how}), at a pace of ${pace.join(' ')}`;
}
