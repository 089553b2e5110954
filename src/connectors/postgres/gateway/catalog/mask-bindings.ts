/**
 * Keeps what masks are bound to, durably: (relation OID, attribute number), by target and database.
 *
 * The numbers mean something only within one database of one cluster. A database is known by the
 * system identifier of its cluster, which a standby, a promoted standby and a restored base backup
 * share with the primary, as they share the numbers, and by its own OID. Where the numbers are others
 * (a restored dump, a logical replica, pg_upgrade, CREATE DATABASE … TEMPLATE) a mask is bound anew:
 * to what the policy names, and to what the column was called when it was last seen elsewhere.
 */

import { errorFields, type Log } from '../../../../gateway/base/log.ts';
import type { MaskAlert } from '../../../../policy/mask-alert.ts';
import { qualifiedName } from '../../../../policy/patterns.ts';
import { columnName } from '../../../../policy/words/describe-grant.ts';
import type { Catalog, MaskBinding, MaskedName } from '../../policy/facts/catalog-types.ts';
import { columnByName } from '../../policy/facts/relation-attributes.ts';
import {
  bindingKey,
  columnOf,
  nameOf,
  type ResolvedMask,
  resolveMask,
} from '../../policy/masks/resolve-masks.ts';
import type { CatalogMasks, DatabasePlace } from '../types.ts';
import type { KeptBinding } from './mask-bindings-file.ts';

export interface MaskBindingsOptions {
  readonly bindings: readonly KeptBinding[];
  /** @throws when they are not on disk: then nothing rests on them. */
  readonly write: (bindings: readonly KeptBinding[]) => void;
  /** What the policy in force masks on a target; undefined: there is no policy. */
  readonly masked: (target: string) => readonly MaskedName[] | undefined;
  readonly log: Log;
}

export class MaskBindings {
  readonly #options: MaskBindingsOptions;
  #kept: readonly KeptBinding[];
  /** By target and database, as looked at last. */
  readonly #alerts = new Map<string, readonly MaskAlert[]>();
  /** Relations by target. */
  readonly #notRead = new Map<string, ReadonlySet<string>>();
  #revision = 0;

  constructor(options: MaskBindingsOptions) {
    this.#options = options;
    this.#kept = options.bindings;
  }

  /** For the catalogs of one target. */
  of(target: string): CatalogMasks {
    return {
      revision: () => this.#revision,
      bind: (catalog, place) => this.#bind(target, catalog, place),
      unread: (relations) => this.#unread(target, relations),
    };
  }

  /** Another policy is in force: what it does not mask any more is bound to nothing. */
  policyChanged(): void {
    const wanted = new Map<string, ReadonlySet<string> | undefined>();
    const isWanted = (target: string, column: string): boolean => {
      if (!wanted.has(target)) {
        const masked = this.#options.masked(target);
        wanted.set(target, masked && new Set(masked.map(columnName)));
      }
      return wanted.get(target)?.has(column) ?? true;
    };
    this.#revision += 1;
    for (const [key, alerts] of this.#alerts) {
      const wantedOnes = alerts.filter(({ target, column }) => isWanted(target, column));
      this.#alerts.set(key, wantedOnes);
    }
    this.#keep(this.#kept.filter(({ target, mask }) => isWanted(target, columnName(mask))));
  }

  /**
   * Of the targets that were looked at. A mask that many targets share need not be about each of
   * them: where it never stood for anything and does so elsewhere, there is nothing to say.
   */
  alerts(): readonly MaskAlert[] {
    const shown = this.#worthSaying([...this.#alerts.values()].flat());
    const distinct = new Map(shown.map((alert) => [JSON.stringify(alert), alert]));
    return [...distinct.values()];
  }

  #worthSaying(alerts: readonly MaskAlert[]): readonly MaskAlert[] {
    const bound = new Set(this.#kept.map(({ mask }) => columnName(mask)));
    return alerts.filter(({ boundTo, column }) => boundTo.length > 0 || !bound.has(column));
  }

  #bind(target: string, catalog: Catalog, place: DatabasePlace): readonly MaskBinding[] {
    const database = databaseKey(place);
    const ofTarget = this.#kept.filter((one) => one.target === target);
    const byMask = Map.groupBy(ofTarget, ({ mask }) => columnName(mask));
    const resolved = (this.#options.masked(target) ?? []).map((mask) => {
      const known = byMask.get(columnName(mask)) ?? [];
      const here = known.filter((one) => one.database === database);
      return resolveMask(mask, catalog, here.length > 0 ? here : carriedOver(known, catalog));
    });
    // A standby may not have got yet what the primary has: only that one knows what is gone for good.
    const lastSeen = new Map(ofTarget.map((one) => [bindingKey(one), one.seen]));
    const next = resolved
      .flatMap(({ bindings, gone }) => (place.isPrimary ? bindings : [...bindings, ...gone]))
      .map((binding) => ({ target, database, ...named(binding, catalog, lastSeen) }));
    const others = this.#kept.filter((one) => one.target !== target || one.database !== database);
    const before = ofTarget.filter((one) => one.database === database);
    if (JSON.stringify(before) !== JSON.stringify(next)) {
      this.#keep([...others, ...next]);
    }
    this.#tell(target, database, resolved);
    return resolved.flatMap(({ bindings }) => bindings);
  }

  /** Said once for each relation, until it can be read. */
  #unread(target: string, relations: Parameters<CatalogMasks['unread']>[0]): void {
    const before = this.#notRead.get(target) ?? new Set();
    const now = new Set<string>();
    for (const { relation, error } of relations) {
      const name = relation ? qualifiedName(relation.schema, relation.name) : 'a relation';
      now.add(name);
      if (!before.has(name)) {
        const fields = { target, relation: name, ...errorFields(error) };
        this.#options.log.warn('mask.definitions_unread', fields);
      }
    }
    this.#notRead.set(target, now);
  }

  #keep(bindings: readonly KeptBinding[]): void {
    if (
      bindings.length !== this.#kept.length ||
      bindings.some((one, at) => one !== this.#kept[at])
    ) {
      this.#options.write(bindings);
      this.#kept = bindings;
    }
  }

  #tell(target: string, database: string, resolved: readonly ResolvedMask[]): void {
    const key = JSON.stringify([target, database]);
    const alerts = resolved.flatMap((mask) => alertOf(target, mask) ?? []);
    const before = new Set((this.#alerts.get(key) ?? []).map((alert) => JSON.stringify(alert)));
    this.#alerts.set(key, alerts);
    for (const alert of this.#worthSaying(alerts)) {
      if (!before.has(JSON.stringify(alert))) {
        const { state, column, boundTo } = alert;
        this.#options.log.warn(`mask.${state}`, { target, column, boundTo: boundTo.join(', ') });
      }
    }
  }
}

export function databaseKey({ system, database }: DatabasePlace): string {
  return `${system ?? 'unknown'}/${database}`;
}

function alertOf(
  target: string,
  { mask, isNamed, elsewhere }: ResolvedMask,
): MaskAlert | undefined {
  if (isNamed && elsewhere.length === 0) {
    return undefined;
  }
  const state = isNamed ? 'moved' : 'unresolved';
  return { target, column: columnName(mask), state, boundTo: elsewhere.map(columnName) };
}

/** By the last names of elsewhere, as if it had been bound here before. */
function carriedOver(known: readonly KeptBinding[], catalog: Catalog): MaskBinding[] {
  return known.flatMap(({ mask, isNamed, seen }) => {
    const relation = catalog.relation(seen.schema, seen.relation);
    const column = relation && columnByName(relation, seen.column);
    return relation && column ? [{ mask, isNamed, oid: relation.oid, attnum: column.attnum }] : [];
  });
}

/** With its name of now; of what is not there, the one before. */
function named(
  { mask, oid, attnum, isNamed }: MaskBinding,
  catalog: Catalog,
  lastSeen: ReadonlyMap<string, MaskedName>,
): Omit<KeptBinding, 'target' | 'database'> {
  const now = columnOf({ oid, attnum }, catalog);
  const last = lastSeen.get(bindingKey({ oid, attnum }));
  return { mask, oid, attnum, isNamed, seen: now ? nameOf(now) : (last ?? mask) };
}
