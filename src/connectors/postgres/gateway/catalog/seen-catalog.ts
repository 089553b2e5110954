/**
 * What names stand for on one connection: the catalog as it sees it, with what its own transaction
 * has changed, and the place where names are looked up. What may be out of date is read again here,
 * and only here; whether that is worth it is the decider's affair.
 */
import type { ChangeScope } from '../../policy/facts/analysis-types.ts';
import type { Catalog } from '../../policy/facts/catalog-types.ts';
import type { Place } from '../statements/known-statement.ts';
import { askAside, probe } from '../target/probe.ts';
import type { StreamState } from '../wire/stream-state.ts';

export class SeenCatalog {
  readonly #state: StreamState;
  /** Of the catalog seen last. */
  #schemas: readonly string[] | undefined;
  #generation: number | undefined;
  /** The last look before a refusal began after this time, monotonic ms. */
  #lookBegan = Number.NEGATIVE_INFINITY;

  constructor(state: StreamState) {
    this.#state = state;
  }

  /** Where names are looked up, if that is certain. */
  get place(): Place | undefined {
    return this.#state.isDisturbed ? undefined : this.#state.settings.place;
  }

  /** `current`, where there is nothing to be read or forgotten. */
  currentAtOnce(): Catalog | undefined {
    const { settings, options } = this.#state;
    if (settings.catalogStale !== undefined) return undefined;
    const catalog = options.catalog.fresh?.();
    if (catalog === undefined || this.#schemas !== catalog.schemas) return undefined;
    if (settings.ranReadCode && this.#generation !== catalog.generation) return undefined;
    return settings.ownCatalog(catalog.generation) ?? catalog;
  }

  async current(): Promise<Catalog> {
    const { settings, options } = this.#state;
    // Where relations came and went, it is read again when a statement names one.
    const last = settings.catalogStale === 'relations' ? options.catalog.lastRead?.() : undefined;
    if (settings.catalogStale !== undefined && last === undefined) await this.lookAgain();
    const catalog = last ?? (await options.catalog.current());
    // Others may have made or dropped a schema of the search_path.
    if (this.#schemas !== catalog.schemas && this.#schemas !== undefined) settings.forgetPlace();
    if (settings.ranReadCode && this.#generation !== catalog.generation) settings.doubtReadCode();
    this.#schemas = catalog.schemas;
    this.#generation = catalog.generation;
    return settings.ownCatalog(catalog.generation) ?? catalog;
  }

  /** Reads again what has changed since this session, or anyone, changed it. */
  async lookAgain(): Promise<void> {
    const { settings, options } = this.#state;
    const scope = settings.catalogStale;
    settings.catalogStale = undefined;
    await options.catalog.refresh(scope);
  }

  /**
   * Looks for changes of others before a refusal.
   * @returns whether a verdict would rest on another catalog now than on `judgedBy`
   */
  async hasChangedSince(judgedBy: Catalog): Promise<boolean> {
    // Statements that arrived together share a look: it began after all of them.
    if (this.#lookBegan < this.#state.receivedAt) {
      const beganAfter = performance.now();
      await this.#state.options.catalog.lookAnew();
      this.#lookBegan = beganAfter;
    }
    return (await this.current()).generation !== judgedBy.generation;
  }

  /**
   * The catalog as the open transaction sees it, after what ran in it: DDL, a trigger.
   * @returns whether that is known now
   */
  async lookWithin(scope: ChangeScope): Promise<boolean> {
    const { settings, options, queue } = this.#state;
    const { catalog: source } = options;
    const isFailed = settings.transaction === 'failed' && queue.length === 0;
    // The names in it may have no form in another encoding, which would fail the transaction.
    if (source.seenBy === undefined || isFailed || !isUtf8(settings.encoding.name)) return false;
    if (this.place === undefined) await probe(this.#state);
    const place = this.place;
    if (place === undefined) return false;
    await source.current();
    const ask = (sql: string) => askAside(this.#state, sql);
    const seen = await source.seenBy(ask, scope, place.searchPath);
    if (seen === undefined || this.#state.skipping) return false;
    settings.learnedCatalog(seen);
    return true;
  }
}

function isUtf8(name: string): boolean {
  return /^(utf-?8|unicode)$/i.test(name);
}
