/**
 * A process that examines damaged copies, started anew whenever LMDB has taken it down. A new one costs a tenth of a
 * second, a copy a few milliseconds.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { TestProcess } from '@forewrit/testkit/child-process';
import type { DamageMessage, DamageRequest } from './damage-child.js';
import { type Damage, filesAt, removeCopy } from './specimen.js';

/** For one copy, which takes some milliseconds. */
const caseTimeoutMs = 5000;
/** Then it is started anew: what LMDB has damaged in its own memory should not pile up. */
const casesOfProcessMax = 20_000;
/** A batch that no process survives between two copies. */
const attemptsMax = 10;
const lanesMax = 2;
const casesOfBatch = 100;

export interface Examined {
  readonly damage: Damage;
  /** As `damage-child.ts` says it; or `died <signal>`, or `hung`. */
  readonly outcome: string;
}

export class DamageLanes implements AsyncDisposable {
  readonly #lanes: readonly DamageLane[];

  constructor(request: DamageRequest) {
    const numbers = Array.from({ length: Math.min(lanesMax, availableParallelism()) }, (_, number) => number);
    this.#lanes = numbers.map((number) => new DamageLane({ ...request, root: `${request.root}-${number}` }));
  }

  /** The outcomes in the order of the cases. */
  async examine(cases: readonly Damage[]): Promise<Examined[]> {
    const examined: Examined[][] = [];
    let next = 0;
    const work = async (lane: DamageLane): Promise<void> => {
      while (next * casesOfBatch < cases.length) {
        const batch = next++;
        const begin = batch * casesOfBatch;
        examined[batch] = await lane.examine(cases.slice(begin, begin + casesOfBatch));
      }
    };
    await Promise.all(this.#lanes.map(work));
    return examined.flat();
  }

  async examineAlone(damage: Damage): Promise<Examined> {
    return await this.#lanes[0]!.examineAlone(damage);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const lane of this.#lanes) await lane[Symbol.asyncDispose]();
  }
}

class DamageLane implements AsyncDisposable {
  readonly #request: DamageRequest;
  #process: TestProcess<DamageMessage> | undefined;
  #cases = 0;

  constructor(request: DamageRequest) {
    this.#request = request;
  }

  async examine(cases: readonly Damage[]): Promise<Examined[]> {
    const examined: Examined[] = [];
    let attempts = 0;
    while (examined.length < cases.length) {
      const process = await this.#running();
      process.tell({ cases: cases.slice(examined.length) });
      while (examined.length < cases.length && process === this.#process) {
        const damage = cases[examined.length]!;
        const outcome = await this.#answer(process);
        if (outcome !== undefined) examined.push({ damage, outcome });
        else if ((attempts += 1) > attemptsMax) throw new Error(`no process survives: ${this.#errors()}`);
      }
      this.#cases += cases.length;
      if (this.#cases > casesOfProcessMax) await this.#end();
    }
    return examined;
  }

  /** In a process that has seen nothing else: LMDB may have damaged its own memory before. */
  async examineAlone(damage: Damage): Promise<Examined> {
    await this.#end();
    const [examined] = await this.examine([damage]);
    return examined!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    removeCopy(this.#request.root);
    rmSync(this.#errorFile, { force: true });
  }

  /** `undefined` if the process ended between two copies. */
  async #answer(process: TestProcess<DamageMessage>): Promise<string | undefined> {
    let hung = false;
    const answer = await process.nextOrEnd('case', caseTimeoutMs).catch(() => {
      hung = true;
      return undefined;
    });
    if (answer !== undefined) return answer.outcome;
    const { code, signal } = await process.kill();
    this.#process = undefined;
    if (!existsSync(this.#request.root)) return undefined;
    if (signal === null) return `failed: exit code ${code}: ${this.#errors()}`;
    const end = hung ? 'hung' : `died ${signal}`;
    return this.#isTreeWhole() ? end : `wrong tree, ${end}`;
  }

  #isTreeWhole(): boolean {
    const files = filesAt(this.#request.root);
    return this.#request.versions.some((version) => isDeepStrictEqual(version.files, files));
  }

  async #running(): Promise<TestProcess<DamageMessage>> {
    if (this.#process !== undefined) return this.#process;
    removeCopy(this.#request.root);
    this.#cases = 0;
    this.#process = new TestProcess<DamageMessage>(new URL('./damage-child.js', import.meta.url), {
      request: this.#request,
      // LMDB says on stderr what it does not like, a million times.
      under: ['sh', '-c', 'exec "$@" 2>"$0"', this.#errorFile],
    });
    await this.#process.next('ready');
    return this.#process;
  }

  async #end(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
  }

  get #errorFile(): string {
    return `${this.#request.root}.errors`;
  }

  #errors(): string {
    return existsSync(this.#errorFile) ? readFileSync(this.#errorFile, 'utf8').slice(-1000) : '';
  }
}
