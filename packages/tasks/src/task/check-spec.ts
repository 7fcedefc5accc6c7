/**
 * What a caller asks for, checked before anything is done, with its defaults: whatever is wrong with it is the
 * programmer's mistake (`ERR_INVALID_ARGUMENT`).
 */

import path from 'node:path';
import { InvalidArgumentError } from '@forewrit/core';
import { priorityMax } from './index-rows.js';
import type { Dependency, StoredSpec } from './stored-task.js';
import type { RetryPolicy, TaskSpec } from './task.js';
import { checkTaskId } from './task-id.js';
import { defined } from './task-record.js';

export const specDefaults = {
  timeoutMs: 1_800_000,
  killGraceMs: 5_000,
  outputMaxBytes: 64 * 1024 * 1024,
  outputSegmentBytes: 4 * 1024 * 1024,
} as const;

const textBytesMax = 1024 * 1024;
const nameBytesMax = 256;
const tagsMax = 64;
const dependenciesMax = 1000;
const retriesMax = 1000;
/** Some 285 years; a date can hold it. */
export const durationMsMax = 9_000_000_000_000;

export interface CheckedSpec {
  readonly stored: StoredSpec;
  readonly secretEnv: Readonly<Record<string, string>>;
  readonly startAfterMs?: number;
}

const keys: Readonly<Record<keyof TaskSpec, true>> = {
  command: true,
  cwd: true,
  env: true,
  secretEnv: true,
  stdin: true,
  label: true,
  tags: true,
  group: true,
  priority: true,
  startAfter: true,
  dependsOn: true,
  idempotencyKey: true,
  timeoutMs: true,
  killGraceMs: true,
  retry: true,
  output: true,
  survive: true,
  ttlMs: true,
};

export function checkSpec(spec: TaskSpec, root: string): CheckedSpec {
  requireObject('start', 'the specification', spec);
  // A misspelt `secretEnv` would end on the disk, a misspelt `timeoutMs` would wait for ever.
  const unknown = Object.keys(spec).find((key) => !Object.hasOwn(keys, key));
  if (unknown !== undefined) throw wrong(`there is no '${unknown}' in the specification of a task`);
  const { startAfter } = spec;
  const env = environment('env', spec.env);
  const secretEnv = environment('secretEnv', spec.secretEnv);
  const both = Object.keys(env).find((name) => Object.hasOwn(secretEnv, name));
  if (both !== undefined) throw wrong(`'${both}' is in env and in secretEnv`);
  if (spec.survive !== undefined) oneOf('survive', spec.survive, ['restart', 'never']);
  const stored: StoredSpec = {
    command: command(spec.command),
    cwd: path.resolve(root, spec.cwd === undefined ? '.' : noNul('cwd', nonEmpty('cwd', spec.cwd))),
    env,
    secretNames: Object.keys(secretEnv),
    stdin: stdin(spec.stdin),
    tags: tags(spec.tags),
    group: spec.group === undefined ? '' : checkName('start', 'group', spec.group),
    priority: integer('priority', spec.priority ?? 0, -priorityMax, priorityMax),
    dependsOn: dependencies(spec.dependsOn),
    timeoutMs: duration('timeoutMs', spec.timeoutMs ?? specDefaults.timeoutMs, 1),
    killGraceMs: duration('killGraceMs', spec.killGraceMs ?? specDefaults.killGraceMs),
    output: output(spec.output),
    survive: spec.survive ?? 'restart',
    ...defined({
      label: spec.label === undefined ? undefined : text('label', spec.label, nameBytesMax),
      idempotencyKey:
        spec.idempotencyKey === undefined
          ? undefined
          : checkName('start', 'idempotencyKey', spec.idempotencyKey),
      retry: spec.retry === undefined ? undefined : retry(spec.retry),
      ttlMs: spec.ttlMs === undefined ? undefined : duration('ttlMs', spec.ttlMs),
    }),
  };
  const startAfterMs = startAfter instanceof Date ? startAfter.getTime() : startAfter;
  if (startAfterMs === undefined) return { stored, secretEnv };
  if (!Number.isFinite(startAfterMs) || Math.abs(startAfterMs) > durationMsMax) {
    throw wrong('startAfter must be a date, or milliseconds since 1970');
  }
  return { stored, secretEnv, startAfterMs };
}

function command(value: unknown): StoredSpec['command'] {
  if (typeof value === 'string') return noNul('command', nonEmpty('command', value));
  requireObject('start', 'command', value);
  const { file, args = [] } = value as { file?: unknown; args?: unknown };
  if (!Array.isArray(args)) throw wrong('command.args must be an array of texts');
  return {
    file: noNul('command.file', nonEmpty('command.file', file)),
    args: args.map((each: unknown) => noNul('command.args', text('command.args', each, textBytesMax))),
  };
}

export function environment(op: string, value: unknown): Record<string, string> {
  if (value === undefined) return {};
  requireObject('start', op, value);
  const entries = Object.entries(value as Record<string, unknown>).map(([name, each]) => {
    if (!/^[^=\0]+$/.test(name)) throw wrong(`${op}: '${name}' is no name of a variable`);
    return [name, noNul(`${op}.${name}`, text(`${op}.${name}`, each, textBytesMax))] as const;
  });
  return Object.fromEntries(entries);
}

function stdin(value: unknown): StoredSpec['stdin'] {
  if (value === undefined || value === 'none') return 'none';
  if (value === 'pipe') return 'pipe';
  if (typeof value !== 'object' || value === null || !('text' in value)) {
    throw wrong("stdin must be 'none', 'pipe' or { text }");
  }
  return { text: text('stdin.text', value.text, textBytesMax) };
}

function tags(value: unknown): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > tagsMax) {
    throw wrong(`tags must be an array of at most ${tagsMax} texts`);
  }
  return [...new Set(value.map((each: unknown) => checkName('start', 'tags', each)))];
}

function dependencies(value: unknown): readonly Dependency[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > dependenciesMax) {
    throw wrong(`dependsOn must be an array of at most ${dependenciesMax} { id, on }`);
  }
  const found = new Map<string, Dependency>();
  for (const each of value as { id?: unknown; on?: unknown }[]) {
    requireObject('start', 'dependsOn', each);
    const { on = 'success' } = each;
    const id = checkTaskId('start', each.id);
    oneOf('dependsOn.on', on, ['success', 'finish']);
    // Asked for twice: the stricter one holds.
    if (found.get(id)?.on !== 'success') found.set(id, { id, on: on as Dependency['on'] });
  }
  return [...found.values()];
}

function retry(value: RetryPolicy): RetryPolicy {
  requireObject('start', 'retry', value);
  const { limit, delayMs, factor, maxDelayMs, jitter, onExitCodes, onTimeout, onLost } = value;
  if (factor !== undefined && !(factor >= 1 && factor <= 100))
    throw wrong('retry.factor must be from 1 to 100');
  if (jitter !== undefined && !(jitter >= 0 && jitter <= 1)) throw wrong('retry.jitter must be from 0 to 1');
  if (onExitCodes !== undefined && !Array.isArray(onExitCodes)) {
    throw wrong('retry.onExitCodes must be an array of exit codes');
  }
  for (const [name, flag] of Object.entries({ onTimeout, onLost })) {
    if (flag !== undefined && typeof flag !== 'boolean') throw wrong(`retry.${name} must be true or false`);
  }
  return {
    limit: integer('retry.limit', limit, 0, retriesMax),
    ...defined({
      delayMs: delayMs === undefined ? undefined : duration('retry.delayMs', delayMs),
      factor,
      maxDelayMs: maxDelayMs === undefined ? undefined : duration('retry.maxDelayMs', maxDelayMs),
      jitter,
      onExitCodes: onExitCodes?.map((code) => integer('retry.onExitCodes', code, 0, 255)),
      onTimeout,
      onLost,
    }),
  };
}

function output(value: TaskSpec['output']): StoredSpec['output'] {
  if (value !== undefined) requireObject('start', 'output', value);
  const { maxBytes = specDefaults.outputMaxBytes, overflow = 'drop-oldest' } = value ?? {};
  oneOf('output.overflow', overflow, ['drop-oldest', 'drop-new', 'kill']);
  integer('output.maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER);
  const segmentBytes =
    value?.segmentBytes ?? Math.min(specDefaults.outputSegmentBytes, Math.ceil(maxBytes / 4));
  integer('output.segmentBytes', segmentBytes, 1, maxBytes);
  return { maxBytes, segmentBytes, overflow };
}

export function duration(name: string, value: unknown, minMs = 0): number {
  if (typeof value === 'number' && value >= minMs && value <= durationMsMax) return Math.ceil(value);
  throw wrong(`${name} must be a number of milliseconds from ${minMs} to ${durationMsMax}`);
}

function integer(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw wrong(`${name} must be a whole number from ${min} to ${max}`);
}

function oneOf(name: string, value: unknown, allowed: readonly string[]): void {
  if (allowed.includes(value as string)) return;
  throw wrong(`${name} must be one of ${allowed.map((each) => `'${each}'`).join(', ')}`);
}

function text(name: string, value: unknown, bytesMax: number): string {
  if (typeof value !== 'string') throw wrong(`${name} must be a text`);
  if (Buffer.byteLength(value) > bytesMax) throw wrong(`${name} has more than ${bytesMax} bytes`);
  if (/\p{Surrogate}/u.test(value)) throw wrong(`${name} holds half of a surrogate pair`);
  return value;
}

function nonEmpty(name: string, value: unknown): string {
  if (value === '' || value === undefined) throw wrong(`${name} is missing`);
  return text(name, value, textBytesMax);
}

function noNul(name: string, value: string): string {
  if (value.includes('\0')) throw wrong(`${name} holds a NUL, which no process can be given`);
  return value;
}

/** Of groups, tags and keys: part of the key of an entry. */
export function checkName(op: string, name: string, value: unknown): string {
  if (
    typeof value !== 'string' ||
    value === '' ||
    /\p{Surrogate}/u.test(value) ||
    Buffer.byteLength(value) > nameBytesMax
  ) {
    throw new InvalidArgumentError(op, `${name} must be a text of 1 to ${nameBytesMax} bytes`);
  }
  return value;
}

function requireObject(op: string, what: string, value: unknown): void {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  throw new InvalidArgumentError(op, `${what} must be an object`);
}

function wrong(message: string): InvalidArgumentError {
  return new InvalidArgumentError('start', message);
}
