/** Answers and errors of tools in the words of the protocol. */

import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import type { ErrorReport } from './tool-error.js';
import type { ToolAnswer } from './tool.js';

export function callResult({ structured, text, isError = false }: ToolAnswer<object>): CallToolResult {
  const blocks = text ?? [JSON.stringify(structured)];
  return {
    content: blocks.map((block) => ({ type: 'text', text: block })),
    structuredContent: { ...structured },
    ...(isError ? { isError } : {}),
  };
}

/**
 * Clients hold structured content against the schema of the tool, also that of an error. So an error is the text, which is one
 * JSON document: `{ "error": { "code", "message", "hint"?, "path"?, "transaction"?, "current"? } }`.
 */
export function errorResult(error: ErrorReport): CallToolResult {
  return { content: [{ type: 'text', text: JSON.stringify({ error }) }], isError: true };
}
