/**
 * What the demo saves: the context of a conversation, as an agent keeps it, in four files that belong together. Each file
 * says which version of the set it belongs to, so that a set of several versions is seen for what it is.
 *
 * The context of a version is a function of that version: whoever goes on after a kill needs nothing from the one before.
 */

export const contextFiles = [
  'session/messages.json',
  'session/metadata.json',
  'session/state.json',
  'global_context.json',
] as const;

export type ContextFile = (typeof contextFiles)[number];

/** The conversation grows up to this length; then its oldest messages are let go. */
const messagesMax = 200;
const messagesAtFirst = 80;

interface Message {
  readonly id: number;
  readonly role: 'user' | 'assistant' | 'tool';
  readonly at: string;
  readonly content: string;
}

const roles = ['user', 'assistant', 'tool', 'assistant'] as const;
const sentences = [
  'Please look at the failing build and tell me what changed since yesterday.',
  'The build fails in the second step: the lockfile names a version that is not there any more.',
  'ok 412 passed, 3 failed, 2 skipped in 18.4 s',
  'I have pinned the version and run the tests again; three of them still fail, for another reason.',
  'Then leave those for now, and write down what you have found so that we can go on tomorrow.',
];
const startedAtMs = Date.UTC(2025, 0, 6, 9, 0, 0);
const messageEveryMs = 37_000;

/** The four files of one version, by path. */
export function contextAt(version: number): Record<ContextFile, string> {
  const newest = messagesAtFirst + version;
  const oldest = Math.max(1, newest - messagesMax + 1);
  const messages: Message[] = [];
  for (let id = oldest; id <= newest; id += 1) messages.push(messageOf(id));
  return {
    'session/messages.json': toText({ version, messages }),
    'session/metadata.json': toText({
      version,
      last_updated: timeOf(newest),
      message_count: messages.length,
      model: 'example-1',
    }),
    'session/state.json': toText({
      version,
      turn: newest,
      pending_tools: newest % 3 === 0 ? ['read_file', 'run_tests'] : [],
      scratchpad: Array.from({ length: 12 }, (_, line) => `${line + 1}. ${sentenceOf(newest + line)}`),
    }),
    'global_context.json': toText({
      version,
      project: 'example',
      facts: Array.from({ length: 20 }, (_, index) => ({
        id: index,
        text: sentenceOf(index),
        seen: newest - index,
      })),
    }),
  };
}

function messageOf(id: number): Message {
  const role = roles[id % roles.length]!;
  // Between one and three sentences.
  const content = Array.from({ length: 1 + (id % 3) }, (_, index) => sentenceOf(id + index)).join(' ');
  return { id, role, at: timeOf(id), content };
}

function sentenceOf(number: number): string {
  return sentences[number % sentences.length]!;
}

function timeOf(message: number): string {
  return new Date(startedAtMs + message * messageEveryMs).toISOString();
}

function toText(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
