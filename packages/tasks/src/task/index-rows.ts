/**
 * What is written of a task beside its record: rows of the collection `tasks.index`, each there so that somebody finds
 * tasks without looking at all of them. They are a pure function of the record and change in the same transaction.
 *
 *     q/<group>/<priority>/<id>   may start as soon as its group has room; the next one first
 *     w/<time>/<id>               waits for a moment
 *     b/<id>                      blocked
 *     r/<group>/<id>              starting, running or orphaned: counts against the limit of its group
 *     s/<state>/<id>              settled, by state
 *     g/<group>/<id>, t/<tag>/<id>, k/<idempotency key>, a/<alias>   until it is removed
 *     d/<dependency>/<id>         blocked by that one
 *     x/<time>/<id>               to be removed then (`ttlMs`)
 *     z/<id>                      being removed
 */

import type { LiveState, TaskState } from './task.js';
import { type EngineIdentity, isSettledPhase, type Phase, type StoredTask } from './stored-task.js';

export const taskCollection = 'tasks';
export const indexCollection = 'tasks.index';
export const groupCollection = 'tasks.groups';
/** Output of imported tasks, by id; that of others is in files. */
export const outputCollection = 'tasks.output';

export const priorityMax = 1_000_000;

export interface QueueRow {
  readonly id: string;
  readonly holder?: EngineIdentity;
}
export interface LiveRow {
  readonly id: string;
  readonly state: LiveState;
  readonly version: number;
}

export function indexRows(task: StoredTask): Map<string, unknown> {
  const { id, spec, phase } = task;
  if (task.removed === true) return new Map([[`z/${id}`, 0]]);
  const rows = new Map<string, unknown>([[phaseKey(task), phaseValue(task)]]);
  if (phase.state === 'blocked') for (const { id: on } of spec.dependsOn) rows.set(`d/${on}/${id}`, 0);
  if (spec.group !== '') rows.set(`g/${part(spec.group)}/${id}`, 0);
  for (const tag of spec.tags) rows.set(`t/${part(tag)}/${id}`, 0);
  if (spec.idempotencyKey !== undefined) rows.set(idempotencyRow(spec.idempotencyKey), id);
  if (task.alias !== undefined) rows.set(aliasRow(task.alias), id);
  if (spec.ttlMs !== undefined && isSettledPhase(phase)) {
    rows.set(`x/${moment(task.createdAtMs + spec.ttlMs)}/${id}`, 0);
  }
  return rows;
}

function phaseKey({ id, spec, phase }: StoredTask): string {
  switch (phase.state) {
    case 'pending':
      return phase.notBeforeMs === undefined
        ? `q/${part(spec.group)}/${urgency(spec.priority)}/${id}`
        : `w/${moment(phase.notBeforeMs)}/${id}`;
    case 'blocked':
      return `b/${id}`;
    case 'starting':
    case 'running':
    case 'orphaned':
      return `r/${part(spec.group)}/${id}`;
    default:
      return `s/${phase.state}/${id}`;
  }
}

function phaseValue(task: StoredTask): unknown {
  const { id, phase, version, holder } = task;
  if (isSettledPhase(phase)) return 0;
  const row: LiveRow & QueueRow = { id, state: phase.state, version };
  return phase.state === 'pending' && holder !== undefined ? { ...row, holder } : row;
}

/** All rows whose key begins with this. */
export function rowsUnder(prefix: string): { readonly start: string; readonly end: string } {
  return { start: `${prefix}/`, end: `${prefix}0` };
}

export const queueOf = (group: string): string => `q/${part(group)}`;
export const runningOf = (group: string): string => `r/${part(group)}`;
export const dependentsOf = (id: string): string => `d/${id}`;
export const tagged = (tag: string): string => `t/${part(tag)}`;
export const inGroup = (group: string): string => `g/${part(group)}`;
export const settledAs = (state: TaskState): string => `s/${state}`;
export const idempotencyRow = (key: string): string => `k/${part(key)}`;
export const aliasRow = (alias: string): string => `a/${part(alias)}`;
export const waitingUntil = (nowMs: number): { readonly start: string; readonly end: string } => ({
  start: 'w/',
  end: `w/${moment(nowMs + 1)}`,
});
export const expiredAt = (nowMs: number): { readonly start: string; readonly end: string } => ({
  start: 'x/',
  end: `x/${moment(nowMs + 1)}`,
});

export function groupOfQueueKey(key: string): string {
  return decodeURIComponent(key.split('/')[1] ?? '');
}

export function idOfKey(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

export function momentOfKey(key: string): number {
  return Number(key.split('/')[1]);
}

export function isLaunched(phase: Phase): boolean {
  return phase.state === 'starting' || phase.state === 'running' || phase.state === 'orphaned';
}

/** No slash, and '' for ''. */
function part(text: string): string {
  return encodeURIComponent(text);
}

/** Higher priorities sort first. */
function urgency(priority: number): string {
  return String(priorityMax - priority).padStart(7, '0');
}

function moment(atMs: number): string {
  return String(Math.min(Math.max(0, Math.ceil(atMs)), Number.MAX_SAFE_INTEGER)).padStart(16, '0');
}
