/**
 * Reads the target's catalog on the gateway's own connection, notices when it changes, and reads
 * again what has changed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ChangeScope } from '../../policy/facts/analysis-types.ts';
import type { Catalog, MaskBinding, MaskText } from '../../policy/facts/catalog-types.ts';
import { readMaskTexts } from '../results/mask-texts.ts';
import { BucketMap } from '../statements/bucket-map.ts';
import type { CatalogMasks, CatalogSource, DatabasePlace } from '../types.ts';
import { type Ask, findChanges, isUnchanged, readChanges } from './catalog-changes.ts';
import { firstMarks, MARKS_SQL, type Marks, widerScope } from './catalog-marks.ts';
import { OWNED_SECTIONS, WHOLE_SECTIONS } from './catalog-queries.ts';
import { flag, number, type Row } from './catalog-rows.ts';
import { sectionSql } from './catalog-sql.ts';
import { type CatalogState, type Changed, emptyState, withReading } from './catalog-state.ts';
import { type CatalogTextParser, CatalogTexts } from './catalog-texts.ts';
import { CatalogView, type ParsedTexts } from './catalog-view.ts';

/**
 * How long DDL of others, past every gateway session, can go unnoticed. It bounds how stale a
 * verdict can be, and costs one query of a few milliseconds per interval while statements arrive.
 */
const POLL_MILLISECONDS = 2000;
/** A look may take this many times as long as the last one, and be done when it is due. */
const AHEAD = 2;
/**
 * Before a refusal others' changes are looked for. Such looks leave the target this many times as
 * long as the last one took, but never longer than the interval: a flood of misspelt names costs a
 * fifth of a connection's time at most.
 */
const PAUSE = 4;
/**
 * Names in definitions come out qualified. LOCAL: behind a pooler the connection is somebody else's
 * next.
 */
const EMPTY_PATH = "SET LOCAL search_path = ''";
const READ_COMMITTED: ReadonlySet<string> = new Set(['read committed', 'read uncommitted']);

const NO_TEXTS: ParsedTexts = {
  relations: BucketMap.empty(),
  bodies: BucketMap.empty(),
  computations: BucketMap.empty(),
};

export interface CatalogSourceOptions extends CatalogTextParser {
  /**
   * Runs one simple query on the gateway's own connection and returns the rows of its last
   * statement as text. Calls come one after another.
   */
  readonly query: (sql: string) => Promise<readonly Row[]>;
  /** A session has changed the catalog. */
  readonly onChange?: (scope: ChangeScope) => void;
  /** Absent: masks hold for the names in the policy alone. */
  readonly masks?: CatalogMasks;
  readonly pollMilliseconds?: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
  /** Waits for so many milliseconds. */
  readonly pause?: (milliseconds: number) => Promise<unknown>;
}

export function openCatalogSource(options: CatalogSourceOptions): CatalogSource {
  return new CatalogReader(options);
}

interface Known {
  readonly state: CatalogState;
  readonly texts: ParsedTexts;
  readonly catalog: Catalog;
  /** Of the policy whose masks it is bound to. */
  readonly masksRevision: number;
  /** undefined: nobody asks for it. */
  readonly place: DatabasePlace | undefined;
}

class CatalogReader implements CatalogSource {
  readonly #options: CatalogSourceOptions;
  readonly #now: () => number;
  readonly #texts: CatalogTexts;
  #known: Known | undefined;
  /** Of catalogs that one connection alone sees: below zero. */
  #ownGenerations = 0;
  /** Columns included. */
  #checkedAt = Number.NEGATIVE_INFINITY;
  readonly #interval: number;
  /** Age in milliseconds from which on the next look may begin. */
  #lookFrom = Number.POSITIVE_INFINITY;
  #isLookingAhead = false;
  /** A session of this gateway has changed it since; until that has been read nobody is given what is known. */
  #stale: ChangeScope | undefined;
  #timesStale = 0;
  /** Looks are counted when they begin; the last that has ended well. */
  #looks = 0;
  #lastLook = 0;
  /** The next look before a refusal: it has not begun, and may not before `#pauseUntil`. */
  #anew: Promise<Catalog> | undefined;
  #pauseUntil = Number.NEGATIVE_INFINITY;
  /** What texts of the catalog tell of masked columns could not be read the last time. */
  #textsOwed = false;
  /** Reads wait for each other: they share one connection. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: CatalogSourceOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#interval = options.pollMilliseconds ?? POLL_MILLISECONDS;
    this.#texts = new CatalogTexts(options);
  }

  fresh(): Catalog | undefined {
    const age = this.#now() - this.#checkedAt;
    if (age >= this.#interval || this.#stale !== undefined) return undefined;
    if (age >= this.#lookFrom && !this.#isLookingAhead) this.#lookAhead();
    return this.#known?.catalog;
  }

  get #isDue(): boolean {
    return this.#now() - this.#checkedAt >= this.#interval;
  }

  /**
   * A look at a catalog of tens of thousands of tables takes some hundred milliseconds. It begins
   * before it is due, so that statements need not wait for it.
   */
  #lookAhead(): void {
    this.#isLookingAhead = true;
    this.#inTurn(() => this.#check('all'))
      // Whoever needs it asks again, and is told.
      .catch(() => undefined)
      .finally(() => {
        this.#isLookingAhead = false;
      });
  }

  async current(): Promise<Catalog> {
    const fresh = this.fresh();
    if (fresh !== undefined) {
      return fresh;
    }
    const [asked, before] = [this.#now(), this.#looks];
    return await this.#inTurn(async () => {
      // Another look may have begun and ended while this one waited: what came later, nobody asked for.
      const isDue = this.#isDue && this.#checkedAt < asked;
      const isStale = this.#stale !== undefined && this.#lastLook <= before;
      return this.#known && !isDue && !isStale
        ? this.#known.catalog
        : await this.#check(isDue ? 'all' : (this.#stale ?? 'all'));
    });
  }

  async refresh(scope: ChangeScope = 'all'): Promise<Catalog> {
    return await this.#inTurn(() => this.#check(widerScope(this.#stale, scope)));
  }

  lookAnew(): Promise<Catalog> {
    this.#anew ??= this.#lookAnew();
    return this.#anew;
  }

  async #lookAnew(): Promise<Catalog> {
    const pause = this.#options.pause ?? ((ms) => delay(ms, undefined, { ref: false }));
    const waitMs = this.#pauseUntil - this.#now();
    if (waitMs > 0) await pause(waitMs);
    return await this.#inTurn(async () => {
      // Whoever asks from now on may know of a change that this look is too early for.
      this.#anew = undefined;
      const beganAt = this.#now();
      try {
        return await this.#check('all');
      } finally {
        const endedAt = this.#now();
        this.#pauseUntil = endedAt + Math.min(PAUSE * (endedAt - beganAt), this.#interval);
      }
    });
  }

  lastRead(): Catalog | undefined {
    return this.#known?.catalog;
  }

  invalidate(scope: ChangeScope, by?: 'another'): void {
    this.#stale = widerScope(this.#stale, scope);
    this.#timesStale += 1;
    if (by === undefined) this.#options.onChange?.(scope);
  }

  async seenBy(
    ask: Ask,
    scope: ChangeScope,
    path: readonly string[],
  ): Promise<{ readonly catalog: Catalog; readonly basedOn: number } | undefined> {
    const known = this.#known;
    if (known === undefined) return undefined;
    const changes = await findChanges(known.state, scope, ask);
    const { startedAt } = known.state.marks.server;
    if (changes === undefined || changes.marks.server.startedAt !== startedAt) return undefined;
    const basedOn = known.catalog.generation;
    if (isUnchanged(changes)) return { catalog: known.catalog, basedOn };
    // Else names are looked up in what is committed now, and queries see what was so before.
    if (!READ_COMMITTED.has(changes.isolation)) return undefined;
    const changed = await readChanges(known.state, changes, ask);
    if (changed === undefined) return undefined;
    // A definition that reads the same may mean something else where names are looked up elsewhere.
    const { state, read } = changed;
    const texts = await this.#texts.after(known.texts, { state, owners: read }, path);
    this.#ownGenerations -= 1;
    // A transaction that may yet be rolled back binds nothing; what is bound holds in it.
    const masks = masksOf(known.catalog);
    return { catalog: new CatalogView(state, texts, this.#ownGenerations, masks), basedOn };
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#queue;
    const turn = before.then(work, work);
    this.#queue = turn.catch(() => undefined);
    return await turn;
  }

  async #check(scope: ChangeScope): Promise<Catalog> {
    const askedAt = this.#now();
    const timesStale = this.#timesStale;
    this.#looks += 1;
    const look = this.#looks;
    const { catalog } = (await this.#readChanges(scope)) ?? (await this.#readAll());
    // What came meanwhile may have come too late to be read now.
    if (this.#timesStale === timesStale) this.#stale = undefined;
    this.#lastLook = look;
    if (scope === 'all') {
      this.#checkedAt = askedAt;
      const ahead = Math.min(this.#interval / 2, AHEAD * (this.#now() - askedAt));
      this.#lookFrom = this.#interval - ahead;
    }
    return catalog;
  }

  /** @returns undefined: everything must be read. */
  async #readChanges(scope: ChangeScope): Promise<Known | undefined> {
    const known = this.#known;
    if (known === undefined) return undefined;
    const ask: Ask = (sql) => this.#options.query(`${EMPTY_PATH}; ${sql}`);
    const changes = await findChanges(known.state, scope, ask);
    const { process, startedAt } = known.state.marks.server;
    const server = changes?.marks.server;
    if (changes === undefined || server?.process !== process || server.startedAt !== startedAt) {
      return undefined;
    }
    if (isUnchanged(changes)) {
      return await this.#learn(known, {
        state: { ...known.state, marks: changes.marks },
        owners: new Map(),
        read: new Map(),
        whole: new Set(),
      });
    }
    const changed = await readChanges(known.state, changes, ask);
    return changed && (await this.#learn(known, changed));
  }

  /** All catalogs as of one moment, as far as PostgreSQL gives that. */
  async #readAll(): Promise<Known> {
    const { query, masks } = this.#options;
    const place = masks && (await readPlace(query));
    await query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${EMPTY_PATH}`);
    const rows: Row[] = [];
    let marks: Marks;
    try {
      marks = await firstMarks(await query(MARKS_SQL));
      for (const section of [...WHOLE_SECTIONS, ...OWNED_SECTIONS]) {
        for (const row of await query(sectionSql(section))) rows.push(row);
      }
    } finally {
      await query('ROLLBACK');
    }
    const known = {
      ...(this.#known ?? {
        state: emptyState(marks),
        texts: NO_TEXTS,
        catalog: undefined,
        masksRevision: 0,
      }),
      place,
    };
    const owned = new Map(OWNED_SECTIONS.map((section) => [section, 'all' as const]));
    const reading = { owned, whole: new Set(WHOLE_SECTIONS), rows };
    return await this.#learn(known, await withReading(known.state, reading, marks));
  }

  async #learn(
    before: Omit<Known, 'state' | 'catalog'> & { readonly catalog: Catalog | undefined },
    changed: Changed,
  ): Promise<Known> {
    const { state } = changed;
    const texts = await this.#texts.after(before.texts, changed, undefined, 'again');
    const isSame =
      before.catalog !== undefined &&
      texts === before.texts &&
      changed.owners.size === 0 &&
      changed.whole.size === 0;
    const generation = (before.catalog?.generation ?? 0) + 1;
    const { place } = before;
    const masksRevision = this.#options.masks?.revision() ?? 0;
    let catalog =
      isSame && before.catalog ? before.catalog : new CatalogView(state, texts, generation);
    // A row was written that reads the same: the text of a default is in none of them.
    const wasRead = changed.read.size > 0 || this.#textsOwed;
    if (
      place &&
      (catalog !== before.catalog || wasRead || masksRevision !== before.masksRevision)
    ) {
      const bindings = this.#options.masks?.bind(catalog, place) ?? [];
      const { query, parse } = this.#options;
      const { texts: told, unread } = await readMaskTexts({ bindings, catalog, query, parse });
      this.#textsOwed = unread.length > 0;
      this.#options.masks?.unread(
        unread.map(({ oid, error }) => ({ relation: catalog.relationByOid(oid), error })),
      );
      const found = { bindings, texts: told };
      if (catalog !== before.catalog || !isSameJson(found, masksOf(catalog))) {
        catalog = new CatalogView(state, texts, generation, found);
      }
    }
    this.#known = { state, texts, catalog, masksRevision, place };
    return this.#known;
  }
}

function masksOf({ maskBindings, maskTexts }: Catalog): {
  readonly bindings: readonly MaskBinding[];
  readonly texts: readonly MaskText[];
} {
  return { bindings: maskBindings ?? [], texts: maskTexts ?? [] };
}

function isSameJson(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

// Which database a connection is to.

/**
 * pg_control_system() is open to everyone unless somebody has revoked it, and a permission is looked
 * at before any CASE around the call: so it is asked for first.
 */
const PLACE_SQL = `SELECT b.oid::pg_catalog.text, pg_catalog.pg_is_in_recovery()::pg_catalog.text,
  (SELECT pg_catalog.has_function_privilege(p.oid, 'EXECUTE') FROM pg_catalog.pg_proc p
    WHERE p.proname OPERATOR(pg_catalog.=) 'pg_control_system'::pg_catalog.name
      AND p.pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid
    LIMIT 1)::pg_catalog.text
FROM pg_catalog.pg_database b
WHERE b.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()`;
const SYSTEM_SQL =
  'SELECT c.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() c';

async function readPlace(query: (sql: string) => Promise<readonly Row[]>): Promise<DatabasePlace> {
  const [place = []] = await query(PLACE_SQL);
  const [oid, isInRecovery, mayAsk] = place;
  const [system = []] = flag(mayAsk) ? await query(SYSTEM_SQL) : [];
  return {
    system: system[0] ?? undefined,
    database: number(oid),
    isPrimary: !flag(isInRecovery),
  };
}
