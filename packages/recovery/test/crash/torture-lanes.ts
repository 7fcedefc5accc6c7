/** The processes of `npm run torture`, as the one sees them that tells them what to do. */

import { type ChildProcess, fork } from 'node:child_process';
import { type Answer, Lane, type Unit } from './torture-lane.js';
import { watchInvariants } from '../broken-invariants.js';

const placeVariable = 'FOREWRIT_TORTURE_LANE';

type Message = { readonly answer: Answer } | { readonly failure: string };

export class Lanes {
  readonly #children: readonly ChildProcess[];

  constructor(count: number) {
    this.#children = Array.from({ length: count }, (_, lane) =>
      fork(new URL('./torture.js', import.meta.url), [], {
        env: { ...process.env, [placeVariable]: `${lane}/${count}` },
      }),
    );
  }

  get count(): number {
    return this.#children.length;
  }

  run(unit: Unit): Promise<Answer[]> {
    return Promise.all(this.#children.map((child) => ask(child, unit)));
  }

  close(): void {
    for (const child of this.#children) child.kill();
  }
}

function ask(child: ChildProcess, unit: Unit): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null, signal: string | null): void =>
      reject(new Error(`a lane ended with ${code ?? signal} in ${JSON.stringify(unit)}`));
    child.once('exit', died);
    child.once('message', (message: Message) => {
      child.off('exit', died);
      if ('answer' in message) resolve(message.answer);
      else reject(new Error(message.failure));
    });
    child.send(unit);
  });
}

/** In a process that is a lane: does what comes. */
export function serveIfLane(): boolean {
  const [lane, lanes] = (process.env[placeVariable] ?? '').split('/').map(Number);
  if (lane === undefined || lanes === undefined) return false;
  const worker = new Lane({ lane, lanes });
  watchInvariants();
  // The one that leads decides when it is over; and if it is gone, it is over.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit());
  process.on('message', (unit: Unit) => {
    const tell = (message: Message): void => void process.send!(message);
    worker.run(unit).then(
      (answer) => tell({ answer }),
      (error: unknown) => tell({ failure: error instanceof Error ? (error.stack ?? '') : String(error) }),
    );
  });
  return true;
}
