/**
 * What statements touch, in the index. Most statements of a program touch the same as others of it, so
 * each combination is kept once, and is known by the lists of the verdict that it came with.
 */
import { hash } from 'node:crypto';
import type { StatementFacts } from '../../recording/formats/types.ts';
import {
  addAll,
  bulk,
  change,
  get,
  integer,
  type Store,
  sql,
  storable,
  text,
  type Work,
} from '../store/store.ts';
import type { Decision, Known, Pending } from './pending-statement.ts';

/** Of what statements touch, in one turn: some ten milliseconds. A DROP may name 50,000 tables. */
export const MAX_FACTS = 2000;
/** Combinations whose row is known. */
const MAX_KNOWN = 10_000;
/** In the place of a digest, as long as not all that it stands for is written. */
const UNFINISHED = '~unfinished';

type Entry = Pick<Pending, 'facts'> & { readonly decision: Decision };

type Fact = readonly [kind: string, name: string, extra: string | null];

/** A large list of what is touched, of which a part is written. */
interface Staged {
  readonly all: string;
  readonly id: number;
  readonly facts: readonly Fact[];
  readonly at: number;
}

export class TouchedLists {
  readonly #store: Store;
  /** By the JSON of the lists. */
  readonly #ids = new Map<string, number>();
  /** The same by identity: decisions of one verdict share their lists. */
  readonly #byRules = new WeakMap<
    Decision['rules'],
    { readonly entry: Entry; readonly id: number }
  >();
  #staged: Staged | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Large lists are written in parts, one for each call.
   * @returns whether a lot can be written that has them
   */
  async isReady({ decision, facts }: Pending): Promise<boolean> {
    if (decision === undefined || countOf({ decision, facts }) <= MAX_FACTS) return true;
    try {
      return await this.#isStored({ decision, facts });
    } catch (error) {
      this.#staged = undefined;
      throw error;
    }
  }

  /** Writes the next part of what it touches. @returns whether all of it is there. */
  async #isStored(entry: Entry): Promise<boolean> {
    const all = listsOf(entry);
    if (this.#ids.has(all)) return true;
    const digest = digestOf(all);
    const before = this.#staged?.all === all ? this.#staged : undefined;
    if (before === undefined && (await this.#store.get(TOUCHED, { digest })) !== undefined) {
      return true;
    }
    const facts = before?.facts ?? factsOf(entry);
    const at = before?.at ?? 0;
    const to = Math.min(at + MAX_FACTS, facts.length);
    const id = await this.#store.transaction(function* () {
      const staged = before?.id ?? (yield* stage());
      yield* addAll(
        ADD_FACTS,
        facts.slice(at, to).map(([kind, name, extra]) => [kind, name, staged, extra]),
      );
      if (to === facts.length) yield* change(FINISH, { digest, id: staged });
      return staged;
    });
    this.#staged = to === facts.length ? undefined : { all, id, facts, at: to };
    return this.#staged === undefined;
  }

  /** Adds those of the lot that are not there. @returns the ids of all that are not known yet */
  *find(lot: readonly Known[]): Work<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    const missing = new Map<string, { readonly all: string; readonly entry: Entry }>();
    for (const { entry: pending } of lot) {
      const entry = decided(pending);
      if (entry === undefined || this.#known(entry) !== undefined) continue;
      const all = listsOf(entry);
      const id = this.#ids.get(all);
      if (id !== undefined) found.set(all, id);
      else missing.set(digestOf(all), { all, entry });
    }
    if (missing.size === 0) return found;
    // In one order, so that two who add the same do not wait for each other.
    const digests = [...missing.keys()].sort();
    const added = yield* addAll(
      ADD_TOUCHED,
      digests.map((digest) => [digest]),
    );
    const ids = new Map(added.map((row) => [text(row['digest']), integer(row['id'])]));
    const facts: (readonly [string, string, number, string | null])[] = [];
    for (const [digest, { all, entry }] of missing) {
      const fresh = ids.get(digest);
      const id = fresh ?? integer((yield* get(TOUCHED, { digest }))?.['id']);
      found.set(all, id);
      if (fresh === undefined) continue;
      for (const [kind, name, extra] of factsOf(entry)) facts.push([kind, name, id, extra]);
    }
    yield* addAll(ADD_FACTS, facts);
    return found;
  }

  /** The lot is there for which they were found. */
  learn(found: ReadonlyMap<string, number>): void {
    if (this.#ids.size + found.size > MAX_KNOWN) this.#ids.clear();
    for (const [all, id] of found) this.#ids.set(all, id);
  }

  /** @param found of the lot */
  idOf(pending: Pending, found: ReadonlyMap<string, number>): number {
    const entry = decided(pending);
    if (entry === undefined) throw new TypeError('a result by itself touches nothing');
    const known = this.#known(entry);
    if (known !== undefined) return known;
    const all = listsOf(entry);
    const id = found.get(all);
    if (id === undefined) throw new Error('what a statement touches was not written');
    // Not what this lot adds, which may not be kept.
    if (this.#ids.has(all)) this.#byRules.set(entry.decision.rules, { entry, id });
    return id;
  }

  #known(entry: Entry): number | undefined {
    const same = this.#byRules.get(entry.decision.rules);
    return same !== undefined && hasSameLists(same.entry, entry) ? same.id : undefined;
  }
}

function decided({ decision, facts }: Pending): Entry | undefined {
  return decision && { decision, facts };
}

export function factCount(pending: Pending): number {
  const entry = decided(pending);
  return entry === undefined ? 0 : countOf(entry);
}

function countOf({ decision, facts }: Entry): number {
  const { verbs, relations, columnsMasked, rules } = decision;
  const own = verbs.length + relations.length + columnsMasked.length + rules.length;
  return facts === undefined ? own : own + sum(Object.values(namesOf(facts)));
}

function sum(lists: readonly (readonly string[])[]): number {
  return lists.reduce((count, list) => count + list.length, 0);
}

/** By the kind of fact. */
function namesOf({ asked, clear, looked, unknown, used, written, writes }: StatementFacts) {
  return { asked, clear, looked, unknown, used, written, write: writes };
}

/** @returns the row that facts are added to until all are there */
function* stage(): Work<number> {
  // Of a gateway that was killed meanwhile.
  yield* change(UNFINISHED_ONES, { digest: UNFINISHED });
  const [row] = yield* addAll(ADD_TOUCHED, [[UNFINISHED]]);
  return integer(row?.['id']);
}

function digestOf(all: string): string {
  return hash('sha256', all, 'base64url');
}

function listsOf({ decision, facts }: Entry): string {
  const { verbs, relations, columnsMasked, rules } = decision;
  const own = [verbs, relations, columnsMasked, rules];
  return JSON.stringify(facts === undefined ? own : [...own, namesOf(facts)]);
}

/** As they are written. */
function factsOf({ decision, facts }: Entry): readonly Fact[] {
  const { verbs, relations, columnsMasked, rules } = decision;
  const named = Object.entries({
    ...{ verb: verbs, relation: relations, masked: columnsMasked },
    ...(facts && namesOf(facts)),
  });
  return [
    ...named.flatMap(([kind, names]) => names.map((name): Fact => [kind, storable(name), null])),
    ...rules.map(({ id, file, line }): Fact => ['rule', storable(id), storable(`${file}:${line}`)]),
  ];
}

function hasSameLists({ decision: a, facts: x }: Entry, { decision: b, facts: y }: Entry): boolean {
  return (
    a.verbs === b.verbs &&
    a.relations === b.relations &&
    a.columnsMasked === b.columnsMasked &&
    x?.asked === y?.asked &&
    x?.clear === y?.clear &&
    x?.looked === y?.looked &&
    x?.unknown === y?.unknown &&
    x?.used === y?.used &&
    x?.written === y?.written &&
    x?.writes === y?.writes
  );
}

const TOUCHED = sql('SELECT id FROM touched WHERE digest = $digest');
const ADD_TOUCHED = bulk(
  'touched',
  { digest: 'text' },
  'ON CONFLICT DO NOTHING RETURNING id, digest',
);
const FINISH = sql('UPDATE touched SET digest = $digest WHERE id = $id');
const UNFINISHED_ONES = sql('DELETE FROM touched WHERE digest = $digest');
const ADD_FACTS = bulk(
  'touched_facts',
  { kind: 'text', name: 'text', touched: 'bigint', extra: 'text' },
  'ON CONFLICT DO NOTHING',
);
