/** The tools as a client lists them. */

import type { Tool as ListedTool } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import type { Tool } from './tool.js';

export function listed(tool: Tool): ListedTool {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: schemaOf(tool.input, 'input'),
    outputSchema: schemaOf(tool.output, 'output'),
    annotations: { title: tool.title, ...tool.annotations },
    ...(tool.mayBeTask === true ? { execution: { taskSupport: 'optional' as const } } : {}),
  };
}

function schemaOf(schema: z.ZodObject, io: 'input' | 'output'): ListedTool['inputSchema'] {
  // Draft 7 is what most clients can check against.
  return z.toJSONSchema(schema, { io, target: 'draft-7' }) as ListedTool['inputSchema'];
}
