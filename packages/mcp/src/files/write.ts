/** write_file, write_files and append_file. */

import { InvalidArgumentError } from '@forewrit/core';
import { z } from 'zod';
import { bytesOf, encodingInput } from '../content.js';
import { defineTool, writes } from '../tool.js';
import { committed, committedOutput, guards, ifAbsentInput, ifRevisionInput, pathInput } from './fields.js';

const filesMax = 500;

const modeInput = z
  .number()
  .int()
  .min(0)
  .max(0o777)
  .optional()
  .describe(
    'Permission bits of the file, as a decimal number (493 is 0755). Default: kept, or 0666 and umask.',
  );

const fileInput = z.strictObject({
  path: pathInput,
  content: z.string().describe('All of the new content.'),
  encoding: encodingInput,
  if_revision: ifRevisionInput,
  if_absent: ifAbsentInput,
  mode: modeInput,
});

type FileInput = z.output<typeof fileInput>;

function optionsOf(file: FileInput) {
  const { if_revision, if_absent, mode } = file;
  return {
    ...guards({
      ...(if_revision === undefined ? {} : { if_revision }),
      ...(if_absent === undefined ? {} : { if_absent }),
    }),
    ...(mode === undefined ? {} : { mode }),
  };
}

export const writeFile = defineTool({
  name: 'write_file',
  title: 'Write a file',
  description:
    'Writes a whole file, replacing what is there; missing directories are made. When it answers, the file is durable: ' +
    'a crash before leaves the old content, never a part of the new one. For a small change use edit_file; for ' +
    'several files that belong together, write_files.',
  input: fileInput,
  output: committedOutput,
  annotations: writes,
  async run(file, { services, signal }) {
    const bytes = bytesOf(file.content, file.encoding);
    return {
      structured: committed(await services.store.writeFile(file.path, bytes, { ...optionsOf(file), signal })),
    };
  },
});

export const writeFiles = defineTool({
  name: 'write_files',
  title: 'Write several files, all or nothing',
  description:
    'Writes several whole files as one: all of them or, on any failure, conflict or crash, none. No reader through the store ' +
    'ever sees a part. Guards count for each file by itself; one that fails refuses the whole set.',
  input: z.strictObject({
    files: z.array(fileInput).min(1).max(filesMax).describe('Each path once.'),
  }),
  output: committedOutput,
  annotations: writes,
  async run({ files }, { services, signal, progress }) {
    const paths = new Set(files.map(({ path }) => path));
    if (paths.size < files.length) throw new InvalidArgumentError('write_files', 'a path is given twice');
    const tx = await services.store.begin({ signal });
    try {
      for (const [index, file] of files.entries()) {
        await tx.writeFile(file.path, bytesOf(file.content, file.encoding), optionsOf(file));
        progress({ progress: index + 1, total: files.length + 1, message: file.path });
      }
      const commit = await tx.commit();
      progress({ progress: files.length + 1, total: files.length + 1, message: 'committed' });
      return { structured: committed(commit) };
    } finally {
      await tx.abort();
    }
  },
});

export const appendFile = defineTool({
  name: 'append_file',
  title: 'Add to the end of a file',
  description:
    'Adds to the end of a file, or creates it. Two that append at the same time both succeed, one after the other. ' +
    'Not to be repeated blindly: if the answer was lost, read the end of the file first.',
  input: z.strictObject({
    path: pathInput,
    content: z.string().describe('What is added. No newline is added to it.'),
    encoding: encodingInput,
  }),
  output: committedOutput,
  annotations: { ...writes, destructiveHint: false, idempotentHint: false },
  async run({ path, content, encoding }, { services, signal }) {
    const commit = await services.store.appendFile(path, bytesOf(content, encoding), { signal });
    return { structured: committed(commit) };
  },
});
