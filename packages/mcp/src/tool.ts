/** What a tool is: its schemas, what it promises about itself, and how it runs. */

import type { z } from 'zod';
import type { Services } from './services.js';

export interface ToolContext {
  readonly services: Services;
  /** Aborted when the client cancels the request, or its connection ends. */
  readonly signal: AbortSignal;
  /** Whether it was the client who cancelled: a lost connection ends no command. */
  readonly isCancelled: () => boolean;
  /** Tells the client how far it is, if the client wants to know. */
  readonly progress: (report: ProgressReport) => void;
}

export interface ProgressReport {
  readonly progress: number;
  readonly total?: number;
  readonly message?: string;
}

/** All four are always given: what is left out counts as the worst. */
export interface ToolAnnotations {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

export interface ToolAnswer<Structured> {
  readonly structured: Structured;
  /** What a model reads first, in place of the JSON of `structured`. */
  readonly text?: readonly string[];
  /** The tool has worked, and what it has found out is a failure. */
  readonly isError?: boolean;
}

interface ToolShape<Input extends z.ZodObject, Output extends z.ZodObject> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: Input;
  readonly output: Output;
  readonly annotations: ToolAnnotations;
  /** Offered only with a task engine. */
  readonly needsShell?: true;
  /** May run as a task of the protocol (`tasks/get`, `tasks/result`, `tasks/cancel`). */
  readonly mayBeTask?: true;
}

export interface Tool extends ToolShape<z.ZodObject, z.ZodObject> {
  readonly run: (args: Record<string, unknown>, context: ToolContext) => Promise<ToolAnswer<object>>;
}

export function defineTool<Input extends z.ZodObject, Output extends z.ZodObject>(
  tool: ToolShape<Input, Output> & {
    readonly run: (args: z.output<Input>, context: ToolContext) => Promise<ToolAnswer<z.output<Output>>>;
  },
): Tool {
  // Arguments have been through the schema when a tool runs.
  return { ...tool, run: (args, context) => tool.run(args as z.output<Input>, context) };
}

export const reads: ToolAnnotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};

/** Of what changes files, unless it says more. */
export const writes: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: true,
  openWorldHint: false,
};
