/** Reads the target's catalog on the gateway's own connection and notices when it changes. */
import { createHash } from 'node:crypto';
import type { Catalog } from '../../policy/sql/types.ts';
import {
  CASTS,
  CODE,
  COLUMNS,
  FINGERPRINT,
  FOREIGN_KEYS,
  FUNCTIONS,
  INHERITS,
  OPERATORS,
  RELATIONS,
  RULES,
  SCHEMAS,
  SERVER,
  TRIGGERS,
  TYPES,
} from './catalog-queries.ts';
import type { Row } from './catalog-rows.ts';
import { type CatalogRows, catalogSnapshot } from './catalog-snapshot.ts';
import { columnNamesIn } from './catalog-texts.ts';
import type { CatalogSource } from './types.ts';

/**
 * How long DDL of other sessions can go unnoticed. It bounds how stale a verdict can be, and costs
 * one query of a few milliseconds per interval while statements arrive.
 */
const POLL_MILLISECONDS = 2000;
/** Parsed view definitions and expressions that are kept; far above what databases have. */
const MAX_PARSED_TEXTS = 20_000;
/** Then a text that the parser cannot be asked about is taken for one without a tree. */
const MAX_PARSE_ATTEMPTS = 3;

export interface CatalogSourceOptions {
  /**
   * Runs one simple query on the gateway's own connection and returns its rows as text. Calls come
   * one after another and must all use the same connection: the first sets its search_path.
   */
  readonly query: (sql: string) => Promise<readonly Row[]>;
  /**
   * The SQL parser's tree of a text; undefined when it does not parse (a newer server's syntax).
   * Throws when that could not be found out, e.g. because the parser is being replaced.
   */
  readonly parse: (sql: string) => Promise<unknown>;
  readonly pollMilliseconds?: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
}

export function openCatalogSource(options: CatalogSourceOptions): CatalogSource {
  return new CatalogReader(options);
}

class CatalogReader implements CatalogSource {
  readonly #options: CatalogSourceOptions;
  readonly #now: () => number;
  readonly #parsed = new Map<string, unknown>();
  /** Texts that the parser could not be asked about, and how often. */
  readonly #failures = new Map<string, number>();
  #catalog: Catalog | undefined;
  #digest = '';
  #fingerprint = '';
  #checkedAt = Number.NEGATIVE_INFINITY;
  /** Reads wait for each other: they share one connection. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: CatalogSourceOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  async current(): Promise<Catalog> {
    const interval = this.#options.pollMilliseconds ?? POLL_MILLISECONDS;
    if (this.#catalog && this.#now() - this.#checkedAt < interval) {
      return this.#catalog;
    }
    const asked = this.#now();
    return await this.#inTurn(async () => {
      // Another caller may have looked while this one waited.
      const fresh = this.#catalog && this.#checkedAt >= asked;
      return fresh && this.#catalog ? this.#catalog : await this.#check();
    });
  }

  async refresh(): Promise<Catalog> {
    return await this.#inTurn(() => this.#check());
  }

  fingerprint(): string {
    return this.#fingerprint;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#queue;
    const turn = before.then(work, work);
    this.#queue = turn.catch(() => undefined);
    return await turn;
  }

  async #check(): Promise<Catalog> {
    const { query } = this.#options;
    const askedAt = this.#now();
    await query("SET search_path = ''");
    // Asked before reading: a change while we read is seen by the next check.
    const fingerprint = (await query(`SELECT ${FINGERPRINT}`))[0]?.[0] ?? '';
    if (!this.#catalog || fingerprint !== this.#fingerprint) {
      const rows = await this.#read();
      const digest = createHash('sha256').update(JSON.stringify(rows)).digest('hex');
      if (!this.#catalog || digest !== this.#digest) {
        const isComplete = await this.#parseTexts(rows);
        const generation = (this.#catalog?.generation ?? 0) + 1;
        this.#catalog = catalogSnapshot(rows, this.#texts(), generation);
        // What the parser owes is asked of it again with the next look at the catalog.
        this.#digest = isComplete ? digest : '';
      }
      this.#fingerprint = this.#digest === '' ? '' : fingerprint;
    }
    this.#checkedAt = askedAt;
    return this.#catalog;
  }

  /** All catalogs as of one moment, as far as PostgreSQL gives that. */
  async #read(): Promise<CatalogRows> {
    const { query } = this.#options;
    await query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    try {
      return {
        server: await query(SERVER),
        schemas: await query(SCHEMAS),
        relations: await query(RELATIONS),
        columns: await query(COLUMNS),
        inherits: await query(INHERITS),
        triggers: await query(TRIGGERS),
        rules: await query(RULES),
        foreignKeys: await query(FOREIGN_KEYS),
        functions: await query(FUNCTIONS),
        types: await query(TYPES),
        operators: await query(OPERATORS),
        casts: await query(CASTS),
        code: await query(CODE),
      };
    } finally {
      await query('ROLLBACK');
    }
  }

  /** @returns whether each text was parsed, or is known not to parse. */
  async #parseTexts(rows: CatalogRows): Promise<boolean> {
    const definitions = rows.relations.flatMap((row) => row[6] ?? []);
    const expressions = rows.columns.flatMap((row) => (row[5] ? [`SELECT ${row[5]}`] : []));
    if (this.#parsed.size > MAX_PARSED_TEXTS) {
      this.#parsed.clear();
    }
    let isComplete = true;
    for (const text of [...definitions, ...expressions]) {
      if (!this.#parsed.has(text)) {
        isComplete = (await this.#parse(text)) && isComplete;
      }
    }
    return isComplete;
  }

  /** A text without a tree leaves its view opaque. @returns false: try again. */
  async #parse(text: string): Promise<boolean> {
    try {
      this.#parsed.set(text, await this.#options.parse(text));
      this.#failures.delete(text);
      return true;
    } catch {
      const failures = (this.#failures.get(text) ?? 0) + 1;
      this.#failures.set(text, failures);
      if (failures < MAX_PARSE_ATTEMPTS) {
        return false;
      }
      // It may be this very text that breaks the parser.
      this.#failures.delete(text);
      this.#parsed.set(text, undefined);
      return true;
    }
  }

  #texts() {
    return {
      view: (definition: string): unknown => this.#parsed.get(definition),
      columnNames: (expression: string): readonly string[] | undefined =>
        columnNamesIn(this.#parsed.get(`SELECT ${expression}`)),
    };
  }
}
