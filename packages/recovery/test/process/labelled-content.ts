/**
 * Content that says what it is, in every byte: a file is whole if it is what its first line says it is, and two files
 * belong together if their labels do.
 */

export interface LabelledContent {
  readonly label: string;
  readonly sizeBytes: number;
}

/** At least as long as its first line. */
export function contentOf({ label, sizeBytes }: LabelledContent): Buffer {
  const line = `${label}\t${sizeBytes}\n`;
  const bytes = Buffer.alloc(Math.max(sizeBytes, line.length), line.replace('\n', ' '));
  bytes.write(line);
  return bytes;
}

/** The label of a whole file; throws if it is torn, mixed or edited. */
export function labelOf(bytes: Uint8Array, path: string): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [label = '', size] = buffer
    .subarray(0, Math.max(buffer.indexOf('\n'), 0))
    .toString()
    .split('\t');
  if (size === undefined || !buffer.equals(contentOf({ label, sizeBytes: Number(size) }))) {
    throw new Error(
      `'${path}' (${buffer.length} bytes) is not whole: ${JSON.stringify(buffer.toString('latin1', 0, 80))}`,
    );
  }
  return label;
}
