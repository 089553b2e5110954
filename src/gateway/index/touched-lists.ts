/**
 * What statements touch, in the index. Most statements of a program touch the same as others of it, so
 * each combination is kept once, and is known by the lists of the verdict that it came with.
 */
import { hash } from 'node:crypto';
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
    { readonly decision: Decision; readonly id: number }
  >();
  #staged: Staged | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Large lists are written in parts, one for each call.
   * @returns whether a lot can be written that has them
   */
  async isReady(decision: Decision): Promise<boolean> {
    if (countOf(decision) <= MAX_FACTS) return true;
    try {
      return await this.#isStored(decision);
    } catch (error) {
      this.#staged = undefined;
      throw error;
    }
  }

  /** Writes the next part of what it touches. @returns whether all of it is there. */
  async #isStored(decision: Decision): Promise<boolean> {
    const all = listsOf(decision);
    if (this.#ids.has(all)) return true;
    const digest = digestOf(all);
    const before = this.#staged?.all === all ? this.#staged : undefined;
    if (before === undefined && (await this.#store.get(TOUCHED, { digest })) !== undefined) {
      return true;
    }
    const facts = before?.facts ?? factsOf(decision);
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
    const missing = new Map<string, { readonly all: string; readonly decision: Decision }>();
    for (const {
      entry: { decision },
    } of lot) {
      if (decision === undefined || this.#known(decision) !== undefined) continue;
      const all = listsOf(decision);
      const id = this.#ids.get(all);
      if (id !== undefined) found.set(all, id);
      else missing.set(digestOf(all), { all, decision });
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
    for (const [digest, { all, decision }] of missing) {
      const fresh = ids.get(digest);
      const id = fresh ?? integer((yield* get(TOUCHED, { digest }))?.['id']);
      found.set(all, id);
      if (fresh === undefined) continue;
      for (const [kind, name, extra] of factsOf(decision)) facts.push([kind, name, id, extra]);
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
  idOf(decision: Decision, found: ReadonlyMap<string, number>): number {
    const known = this.#known(decision);
    if (known !== undefined) return known;
    const all = listsOf(decision);
    const id = found.get(all);
    if (id === undefined) throw new Error('what a statement touches was not written');
    // Not what this lot adds, which may not be kept.
    if (this.#ids.has(all)) this.#byRules.set(decision.rules, { decision, id });
    return id;
  }

  #known(decision: Decision): number | undefined {
    const same = this.#byRules.get(decision.rules);
    return same !== undefined && hasSameLists(same.decision, decision) ? same.id : undefined;
  }
}

export function factCount({ decision }: Pending): number {
  return decision === undefined ? 0 : countOf(decision);
}

function countOf({ verbs, relations, columnsMasked, rules }: Decision): number {
  return verbs.length + relations.length + columnsMasked.length + rules.length;
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

function listsOf({ verbs, relations, columnsMasked, rules }: Decision): string {
  return JSON.stringify([verbs, relations, columnsMasked, rules]);
}

/** As they are written. */
function factsOf({ verbs, relations, columnsMasked, rules }: Decision): readonly Fact[] {
  const named = Object.entries({ verb: verbs, relation: relations, masked: columnsMasked });
  return [
    ...named.flatMap(([kind, names]) => names.map((name): Fact => [kind, storable(name), null])),
    ...rules.map(({ id, file, line }): Fact => ['rule', storable(id), storable(`${file}:${line}`)]),
  ];
}

function hasSameLists(one: Decision, other: Decision): boolean {
  return (
    one.verbs === other.verbs &&
    one.relations === other.relations &&
    one.columnsMasked === other.columnsMasked
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
