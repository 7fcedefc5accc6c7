/** What can be wrong with the pages of a log, and what the walk says of it. */
import { readTree, type Tree, TreePage } from '#src/log/lmdb-page.js';

/** The bytes of a log, and where its parts are. */
export class Anatomy {
  readonly bytes: Buffer;
  readonly pageBytes: number;
  readonly newest: number;
  readonly previous: number;

  constructor(whole: Buffer) {
    this.bytes = Buffer.from(whole);
    this.pageBytes = whole.readUInt32LE(48);
    const [first, second] = [this.#transaction(0), this.#transaction(this.pageBytes)];
    [this.newest, this.previous] = second > first ? [this.pageBytes, 0] : [0, this.pageBytes];
  }

  /** Where the record of a table is. */
  record(table: string): number {
    const page = this.#tree(this.newest + 96).root! * this.pageBytes;
    for (let index = 0; ; index += 1) {
      const { begin, end } = this.#page(page, true).key(index);
      if (this.bytes.toString('latin1', page + begin, page + end) === `${table}\0`) return page + end;
    }
  }

  root(table: string): number {
    return this.#tree(this.record(table)).root! * this.pageBytes;
  }

  child(page: number, index: number): number {
    return this.#page(page, false).child(index) * this.pageBytes;
  }

  /** Where the node with this index is. */
  node(page: number, index: number): number {
    return page + 24 + this.bytes.readUInt16LE(page + 24 + 2 * index);
  }

  /** Where the first entry of the free pages has its value. */
  freeList(): number {
    const root = this.#tree(this.newest + 48).root! * this.pageBytes;
    return this.node(root, 0) + 16;
  }

  add(at: number, amount: number): void {
    this.bytes.writeUInt32LE(this.bytes.readUInt32LE(at) + amount, at);
  }

  /** Turns the sign bit of a number of 64 bits. */
  negate(at: number): void {
    this.bytes[at + 7]! ^= 0x80;
  }

  swap(one: number, other: number, length: number): void {
    const kept = Buffer.from(this.bytes.subarray(one, one + length));
    this.bytes.copyWithin(one, other, other + length);
    kept.copy(this.bytes, other);
  }

  #transaction(meta: number): number {
    return Number(this.bytes.readBigUInt64LE(meta + 152));
  }

  #tree(at: number): Tree {
    return readTree(new DataView(this.bytes.buffer, this.bytes.byteOffset), at);
  }

  #page(at: number, isLeaf: boolean): TreePage {
    const wanted = { number: at / this.pageBytes, isLeaf, transactionMax: Infinity };
    return new TreePage(this.bytes.subarray(at, at + this.pageBytes), wanted, (reason) => new Error(reason));
  }
}

export type Damage = readonly [what: string, damage: (log: Anatomy) => void, found: RegExp];

/** To a log as `lmdb-walk.slow.test.ts` fills it. */
export const damages: readonly Damage[] = [
  ['the newest meta two commits older', (log) => log.add(log.newest + 152, -2), /is not of transaction/],
  ['the older meta two commits newer', (log) => log.add(log.previous + 152, 2), /is not of transaction/],
  ['the older meta four commits older', (log) => log.add(log.previous + 152, -4), /two commits in a row/],
  ['a tree of tables that is elsewhere', (log) => log.add(log.newest + 136, 1), /page \d+/],
  ['another flag of the free pages', (log) => log.add(log.newest + 52, 4), /flags of the tree are 12/],
  [
    'another flag in the older meta',
    (log) => log.add(log.previous + 52, 0x2000),
    /flags of the tree are 8200/,
  ],
  [
    'several values to a key',
    (log) => log.add(log.record('files') + 4, 4),
    /'?files'?: the flags of the tree are 4/,
  ],
  ['a table of another name', (log) => log.add(log.record('files') - 2, 1), /something else than a table/],
  ['a table that is a row', (log) => log.add(log.record('files') - 6 - 4, -2), /something else than a table/],
  ['a depth of 0', (log) => log.add(log.record('files') + 6, -2), /depth of the tree is 0/],
  ['a depth of 3', (log) => log.add(log.record('files') + 6, 1), /its kind is 2/],
  ['a depth of 1', (log) => log.add(log.record('files') + 6, -1), /its kind is 1/],
  ['a branch too many', (log) => log.add(log.record('files') + 8, 1), /has 1 branches, and should have 2/],
  ['a leaf too many', (log) => log.add(log.record('files') + 16, 1), /leaves, and should have/],
  ['a large page too few', (log) => log.add(log.record('log') + 24, -1), /of large values, and should have/],
  ['a row too few', (log) => log.add(log.record('files') + 32, -1), /has 200 entries, and should have 199/],
  [
    'an empty table with a row',
    (log) => log.add(log.record('locks') + 32, 1),
    /has 0 entries, and should have 1/,
  ],
  [
    'a table in the place of another',
    (log) => log.bytes.copyWithin(log.record('log'), log.record('meta'), log.record('meta') + 48),
    /in use elsewhere/,
  ],
  [
    'a child that is its parent',
    (log) =>
      log.add(
        log.node(log.root('files'), 1),
        (log.root('files') - log.child(log.root('files'), 1)) / log.pageBytes,
      ),
    /in use elsewhere/,
  ],
  [
    'one child twice',
    (log) =>
      log.add(
        log.node(log.root('files'), 1),
        (log.child(log.root('files'), 0) - log.child(log.root('files'), 1)) / log.pageBytes,
      ),
    /in use elsewhere/,
  ],
  [
    'a child far away',
    (log) => log.bytes.writeUInt16LE(1, log.node(log.root('files'), 1) + 4),
    /names page 42949\d+ of/,
  ],
  [
    'children in another order',
    (log) => log.swap(log.node(log.root('files'), 1), log.node(log.root('files'), 2), 4),
    /keys are/,
  ],
  ['another key in a branch', (log) => log.add(log.node(log.root('files'), 1) + 8, 1), /keys are/],
  [
    'a page with another number',
    (log) => log.add(log.child(log.root('files'), 0), 1),
    /number of another page/,
  ],
  ['a page of another kind', (log) => log.add(log.child(log.root('files'), 0) + 18, 2), /its kind is 4/],
  [
    'a page of a later transaction',
    (log) => log.add(log.child(log.root('files'), 0) + 8, 100),
    /never committed/,
  ],
  [
    'an offset less',
    (log) =>
      log.bytes.writeUInt16LE(log.bytes.readUInt16LE(log.root('meta') + 20) - 2, log.root('meta') + 20),
    /entries (?:lie wrong|do not fill it)/,
  ],
  ['an uneven end', (log) => log.bytes.writeUInt16LE(7, log.root('meta') + 20), /bounds are wrong/],
  ['no offset', (log) => log.bytes.writeUInt16LE(0, log.root('meta') + 20), /it is empty/],
  [
    'an end behind the page',
    (log) => log.bytes.writeUInt16LE(0xfff0, log.root('meta') + 22),
    /bounds are wrong/,
  ],
  [
    'nodes that begin before the offsets end',
    (log) => log.bytes.writeUInt16LE(2, log.root('meta') + 22),
    /bounds are wrong/,
  ],
  [
    'one node twice',
    (log) => log.bytes.copyWithin(log.root('meta') + 24, log.root('meta') + 26, log.root('meta') + 28),
    /lie wrong/,
  ],
  [
    'nodes in another order',
    (log) => log.swap(log.root('meta') + 24, log.root('meta') + 26, 2),
    /out of order/,
  ],
  ['a key in the wrong place', (log) => log.add(log.node(log.root('meta'), 0) + 8, 10), /out of order/],
  [
    'a key that is empty',
    (log) => log.bytes.writeUInt16LE(0, log.node(log.root('meta'), 0) + 6),
    /do not fill it/,
  ],
  [
    'a key that is too long',
    (log) => log.bytes.writeUInt16LE(3000, log.node(log.root('meta'), 0) + 6),
    /too long/,
  ],
  ['a value that is longer', (log) => log.add(log.node(log.root('meta'), 0), 2), /lie wrong|do not fill/],
  ['a value far too long', (log) => log.add(log.node(log.root('meta'), 0), 2 ** 24), /lie wrong|do not fill/],
  [
    'a value of an unknown kind',
    (log) => log.bytes.writeUInt16LE(4, log.node(log.root('meta'), 0) + 4),
    /unknown kind/,
  ],
  [
    'a table within a table',
    (log) => log.bytes.writeUInt16LE(2, log.node(log.root('meta'), 0) + 4),
    /table within a table/,
  ],
  [
    'a large value elsewhere',
    (log) => log.add(log.node(log.root('log'), 0) + 8 + 5, -1),
    /in use elsewhere|another page|no large value/,
  ],
  [
    'a large value of fewer pages',
    (log) => log.add(log.node(log.root('log'), 0) + 8 + 5 + 16, -1),
    /its value is too long/,
  ],
  [
    'a large value of more pages',
    (log) => log.add(log.node(log.root('log'), 0) + 8 + 5 + 16, 1),
    /in use elsewhere|another length|names page/,
  ],
  [
    'a large value that is too long',
    (log) => log.add(log.node(log.root('log'), 0), 10_000),
    /its value is too long/,
  ],
  [
    'a large value of a later transaction',
    (log) => log.add(log.node(log.root('log'), 0) + 8 + 5 + 8, 100),
    /never committed/,
  ],
  [
    'a page in use among the free ones',
    (log) => log.bytes.writeBigInt64LE(BigInt(log.root('meta') / log.pageBytes), log.freeList() + 8),
    /in use elsewhere/,
  ],
  [
    'a run of free pages over one in use',
    (log) => {
      log.bytes.writeBigInt64LE(-9n, log.freeList() + 8);
      log.bytes.writeBigInt64LE(2n, log.freeList() + 16);
    },
    /in use elsewhere|names page/,
  ],
  [
    'a free run that is longer than the file',
    (log) => log.negate(log.freeList() + 8 * log.bytes.readUInt32LE(log.freeList())),
    /longer than the file/,
  ],
  [
    'free pages of no transaction',
    (log) => log.bytes.writeBigUInt64LE(0n, log.freeList() - 8),
    /free pages is not whole/,
  ],
  ['more free pages than there are', (log) => log.add(log.freeList(), 500), /free pages is not whole/],
  [
    'free pages of a later transaction',
    (log) => log.add(log.freeList() - 8, 100),
    /out of order|free pages is not whole/,
  ],
];
