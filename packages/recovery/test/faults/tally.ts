/** What a campaign has reached, by call site. */

import type { CallSite, Place } from './call-sites.js';
import { kindsOf } from './fault-kinds.js';
import type { Injection, SeenCall } from './injector.js';

interface Reached {
  readonly stacks: Set<string>;
  /** Kind of fault, once or sticky. */
  readonly kinds: Set<string>;
  injections: number;
}

export class Tally {
  readonly #sites = new Map<Place, Reached>();
  /** Runs in which two calls failed. */
  seconds = 0;
  /** Worlds after a kill or a power cut that were recovered and judged. */
  crashes = 0;

  sees({ stack }: SeenCall): void {
    this.#at(stack).stacks.add(stack.join(' '));
  }

  injects({ call, kind, sticky }: Injection): void {
    const reached = this.#at(call.stack);
    reached.kinds.add(`${kind.name}${sticky ? ', sticky' : ''}`);
    reached.injections += 1;
  }

  /** Of these sites, those that did not fail in every way there is. */
  missing(sites: readonly CallSite[]): string[] {
    return sites.flatMap(({ place, seam, method, text }) => {
      const kinds = this.#sites.get(place)?.kinds;
      const wanted = kindsOf(seam, method).flatMap(({ name }) => [name, `${name}, sticky`]);
      const left = wanted.filter((kind) => kinds?.has(kind) !== true);
      if (left.length === 0) return [];
      return [`${place} ${text}${left.length === wanted.length ? '' : ` (${left.join('; ')})`}`];
    });
  }

  hasReached({ place }: CallSite): boolean {
    return this.#sites.has(place);
  }

  /** One row for each folder of the product. */
  table(sites: readonly CallSite[]): string {
    const folders = new Map<string, CallSite[]>();
    for (const site of sites) {
      const folder = site.place.slice(0, site.place.lastIndexOf('/'));
      folders.set(folder, [...(folders.get(folder) ?? []), site]);
    }
    const rows = [...folders].map(([folder, inFolder]) => {
      const reached = inFolder.flatMap(({ place }) => this.#sites.get(place) ?? []);
      const sum = (count: (each: Reached) => number): number =>
        reached.reduce((total, each) => total + count(each), 0);
      return [
        folder,
        `${reached.length} of ${inFolder.length}`,
        sum(({ stacks }) => stacks.size),
        sum(({ kinds }) => kinds.size),
        sum(({ injections }) => injections),
      ];
    });
    const lines = [
      ['code', 'call sites', 'call paths', 'site x kind', 'faults'],
      ['---', '---', '---', '---', '---'],
      ...rows,
    ];
    const counts = `${this.seconds} of the faults were second ones; ${this.crashes} crashes after faults were recovered and judged`;
    return `${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n${counts}`;
  }

  #at(stack: readonly Place[]): Reached {
    const [place = 'outside'] = stack;
    const known = this.#sites.get(place) ?? { stacks: new Set(), kinds: new Set(), injections: 0 };
    this.#sites.set(place, known);
    return known;
  }
}
