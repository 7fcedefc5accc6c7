/** Files as resources: `forewrit:///<path>`, with the path percent-encoded. The files of the root directory are listed. */

import { isStoreError } from '@forewrit/core';
import {
  ErrorCode,
  type ListResourcesResult,
  McpError,
  type ReadResourceResult,
} from '@modelcontextprotocol/sdk/types.js';
import { contentOf } from './content.js';
import { requireBelow } from './files/fields.js';
import type { Services } from './services.js';
import { errorReport } from './tool-error.js';

const scheme = 'forewrit:';
const pageResources = 500;
const resourceBytesMax = 16 * 1024 * 1024;
/** The protocol's own code for it. */
const resourceNotFound = -32_002;

export const resourceTemplate = {
  uriTemplate: `${scheme}///{+path}`,
  name: 'file',
  title: 'A file of the store',
  description: 'Path relative to the root of the store; as text, or as a blob if it is not valid UTF-8.',
} as const;

export function uriOf(path: string): string {
  return `${scheme}///${path.split('/').map(encodeURIComponent).join('/')}`;
}

export async function listResources(
  { store }: Services,
  cursor: string | undefined,
): Promise<ListResourcesResult> {
  return await store.snapshot(async (view) => {
    const names = (await view.readdir('.')).filter((name) => cursor === undefined || name > cursor);
    const page = names.slice(0, pageResources);
    const resources = [];
    for (const name of page) {
      try {
        const { type, size, mtimeMs } = await view.stat(name);
        if (type !== 'file') continue;
        resources.push({
          uri: uriOf(name),
          name,
          size,
          annotations: { lastModified: new Date(mtimeMs).toISOString() },
        });
      } catch (error) {
        // Gone meanwhile, or a link that leads outside.
        if (!isStoreError(error)) throw error;
      }
    }
    return { resources, ...(names.length > page.length ? { nextCursor: page.at(-1)! } : {}) };
  });
}

export async function readResource({ store }: Services, uri: string): Promise<ReadResourceResult> {
  const path = pathOf(uri);
  try {
    const { size } = await store.stat(path);
    requireBelow(resourceBytesMax, { op: 'resources/read', path, size });
    const { content, encoding } = contentOf(await store.readFile(path));
    return { contents: [{ uri, ...(encoding === 'utf8' ? { text: content } : { blob: content }) }] };
  } catch (error) {
    const { code, message, hint } = errorReport(error);
    const number = code === 'ERR_NOT_FOUND' ? resourceNotFound : ErrorCode.InvalidParams;
    throw new McpError(number, `${code}: ${message}`, { code, uri, ...(hint === undefined ? {} : { hint }) });
  }
}

/** Not by `URL`: it would take out `..` before the store could refuse it. */
function pathOf(uri: string): string {
  const prefix = `${scheme}///`;
  const encoded = uri.startsWith(prefix) ? uri.slice(prefix.length) : '';
  try {
    const path = decodeURIComponent(encoded);
    if (path !== '') return path;
  } catch {
    // Said below.
  }
  throw new McpError(
    ErrorCode.InvalidParams,
    `A resource is ${prefix}<path>, percent-encoded; this is '${uri}'`,
  );
}
