/** Keys and values for logs under test; free of the testkit, so that child processes can use it. */
import type { Log, Table } from '#src/log/log.js';

export function bytes(value: string): Uint8Array {
  return new Uint8Array(Buffer.from(value));
}

export function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value).toString();
}

export function read(log: Log, table: Table, key: string): string | undefined {
  return text(log.view((view) => view.get(table, bytes(key))));
}

/** Bytes that differ from place to place. */
export function patterned(length: number): Uint8Array {
  const value = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) value[index] = (index * 31 + (index >> 8)) & 0xff;
  return value;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function catchFrom(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
