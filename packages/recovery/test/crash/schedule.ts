/**
 * A schedule is what it takes to come to one crash state again: a scenario, perhaps without some of its operations, a
 * model, and the crashes: the first in the scenario, each further one in the recovery from the one before.
 */

import type { Operation } from '@forewrit/core';
import type { PersistenceModel } from '@forewrit/testkit';
import { programOf } from './programs.js';
import { type Scenario, scenarios, type Step } from './scenarios.js';

export interface Crash {
  /** Which moment it was, counted from 0. */
  readonly point: number;
  /** The outcomes of what was pending; or a death without a power cut. */
  readonly choice: readonly number[] | 'killed';
}

export interface Schedule {
  readonly scenario: string;
  /** Operations that are left out, by their places: `steps.0.1`, `others.2` for one that is no transaction. */
  readonly without: readonly string[];
  readonly model: PersistenceModel;
  readonly crashes: readonly Crash[];
}

export function scenarioNamed(name: string): Scenario {
  const scenario = scenarios.find((each) => each.name === name) ?? programOf(name);
  if (scenario === undefined) throw new Error(`there is no scenario '${name}'`);
  return scenario;
}

/** The places of all operations, of what was there before too. */
export function placesOf({ before, steps, others = [] }: Scenario): string[] {
  return Object.entries({ before, steps, others }).flatMap(([list, its]) =>
    its.flatMap((step, index) =>
      isTransaction(step)
        ? step.map((_, operation) => `${list}.${index}.${operation}`)
        : [`${list}.${index}`],
    ),
  );
}

function isTransaction(step: Step): step is readonly Operation[] {
  return Array.isArray(step);
}

export function withoutPlaces(scenario: Scenario, without: readonly string[]): Scenario {
  if (without.length === 0) return scenario;
  const left = (list: string, steps: readonly Step[]): Step[] =>
    steps
      .map((step, index) =>
        isTransaction(step)
          ? step.filter((_, operation) => !without.includes(`${list}.${index}.${operation}`))
          : step,
      )
      .filter(
        (step, index) => !without.includes(`${list}.${index}`) && !(isTransaction(step) && step.length === 0),
      );
  return {
    ...scenario,
    before: left('before', scenario.before).filter(isTransaction),
    steps: left('steps', scenario.steps),
    others: left('others', scenario.others ?? []),
    // What is left may make no sense.
    mayRefuse: true,
  };
}

/** What repeats exactly this. */
export function commandOf({ scenario, without, model, crashes }: Schedule): string {
  const words = ['npm run torture --', `--scenario '${scenario}'`];
  words.push(...without.map((place) => `--without ${place}`), `--model ${model}`);
  words.push(...crashes.map((crash) => `--crash ${crashText(crash)}`));
  return words.join(' ');
}

function crashText({ point, choice }: Crash): string {
  return `${point}:${choice === 'killed' ? choice : choice.join('.')}`;
}

/** As `commandOf` writes it. */
export function crashFrom(text: string): Crash {
  const [, point, choice] = /^(\d+):(killed|[\d.]*)$/.exec(text) ?? [];
  if (point === undefined || choice === undefined) {
    throw new Error(
      `--crash ${text}: the number of a crash point and what survives is wanted, as 12:0.1.0.0`,
    );
  }
  return { point: Number(point), choice: choice === 'killed' ? choice : numbersIn(choice) };
}

function numbersIn(text: string): number[] {
  return text === '' ? [] : text.split('.').map(Number);
}
