/** Finds the mask of a column, and the relations that have masks. */

import { stricterOf } from '../../../../policy/strictest-masks.ts';
import type { ColumnMask } from '../../../../policy/types.ts';
import { columnName } from '../../../../policy/words/describe-grant.ts';
import { concreteTypeOf } from '../calls/function-types.ts';
import type { ColumnFact, RelationFact } from '../facts/analysis-types.ts';
import type { Catalog, CatalogRelation } from '../facts/catalog-types.ts';
import { generatedFrom } from '../facts/generated-columns.ts';
import { columnByName, columnByNumber } from '../facts/relation-attributes.ts';
import { relationFamily } from '../facts/relation-family.ts';
import { BUILT_IN_PATH } from '../facts/statement-facts.ts';
import { isString } from '../facts/string-types.ts';
import { systemMaskOf } from '../facts/system-relations.ts';
import { withReferencing } from './referencing-masks.ts';
import { columnOf, nameOf } from './resolve-masks.ts';

/** Masks by column, followed along inheritance and partitions in both directions, and foreign keys. */
export class MaskIndex {
  readonly #byOid = new Map<string, ColumnMask>();
  readonly #byName = new Map<string, ColumnMask>();
  readonly #relations = new Set<number>();
  /** Views that a mask names: their columns are seen through, so such a mask finds nothing. */
  readonly #views = new Map<number, ColumnMask>();
  /** Of columns of tables, and of those that are generated from them, whatever the table. */
  readonly columnNames = new Set<string>();
  readonly #catalog: Catalog;
  readonly #coversSystem: boolean;
  /** No column of a table is masked. */
  readonly isEmpty: boolean;

  /** @param coversSystem whether columns of system views that show data of others are masked, too */
  constructor(masks: readonly ColumnMask[], catalog: Catalog, coversSystem = false) {
    this.#catalog = catalog;
    this.#coversSystem = coversSystem;
    this.isEmpty = masks.length === 0;
    const { named, members } = boundMasks(masks, catalog);
    for (const mask of withReferencing([...masks, ...named], catalog)) {
      const name = nameKey(mask.schema, mask.relation, mask.column);
      this.columnNames.add(mask.column);
      const other = this.#byName.get(name);
      this.#byName.set(name, other ? stricterOf(other, mask) : mask);
      const relation = catalog.relation(mask.schema, mask.relation);
      if (relation) {
        this.#putFamily(relation, mask.column, mask);
      }
    }
    for (const { oid, mask } of members) {
      this.#put({ oid }, mask.column, mask);
    }
  }

  #putFamily(relation: CatalogRelation, column: string, mask: ColumnMask): void {
    if (relation.kind === 'v' || relation.kind === 'm') {
      this.#views.set(relation.oid, mask);
    }
    for (const member of relationFamily(this.#catalog, relation)) {
      this.#put(member, column, mask);
    }
  }

  /** The mask of a base column. */
  of(column: ColumnFact): ColumnMask | undefined {
    const byOid = this.#byOid.get(oidKey(column.oid, column.column));
    const byName = this.#byName.get(nameKey(column.schema, column.name, column.column));
    const named = byOid && byName ? strictest([byOid, byName]) : (byOid ?? byName);
    const system = this.#coversSystem ? systemMaskOf(column) : undefined;
    return system ?? named;
  }

  hasMasks(relation: Pick<RelationFact, 'oid'>): boolean {
    return this.#relations.has(relation.oid);
  }

  /** Whether it is a view that reads a relation with masks. */
  isBehind({ oid }: Pick<RelationFact, 'oid'>): boolean {
    const views = new Set([this.#catalog.relationByOid(oid)]);
    // A Set gives what is added while it is walked, too.
    for (const view of views) {
      for (const { schema, name } of view?.viewTree === undefined ? [] : tablesIn(view.viewTree)) {
        const relation = this.#named(schema, name, view?.viewPath);
        if (relation && this.#relations.has(relation.oid)) {
          return true;
        }
        views.add(relation);
      }
    }
    return false;
  }

  #named(
    schema: string,
    name: string,
    path: readonly string[] = BUILT_IN_PATH,
  ): CatalogRelation | undefined {
    const schemas = schema === '' ? path : [schema];
    const [found] = schemas.flatMap((one) => this.#catalog.relation(one, name) ?? []);
    return found;
  }

  /** Every value of this column is shown as NULL: NULL where it is not text, or by its mask. */
  hidesNull(column: ColumnFact): boolean {
    const relation = this.#catalog.relationByOid(column.oid);
    const found = relation && columnByNumber(relation, column.attnum);
    const type = found && concreteTypeOf(this.#catalog, found.typeOid);
    const shown = this.#catalog.typeByOid(type ?? 0);
    // As for the masker: citext and enums are strings too.
    const isText = isString(type) || shown?.name === 'citext' || shown?.kind === 'e';
    return this.of(column)?.mask === 'null' || !isText;
  }

  viewMask(relation: RelationFact): ColumnMask | undefined {
    return this.#views.get(relation.oid);
  }

  #put({ oid }: Pick<CatalogRelation, 'oid'>, column: string, mask: ColumnMask): void {
    this.#relations.add(oid);
    this.columnNames.add(column);
    const key = oidKey(oid, column);
    const other = this.#byOid.get(key);
    this.#byOid.set(key, other ? stricterOf(other, mask) : mask);
    const relation = this.#catalog.relationByOid(oid);
    const attnum = relation && columnByName(relation, column)?.attnum;
    for (const { name } of relation && attnum ? generatedFrom(relation, attnum) : []) {
      this.columnNames.add(name);
    }
  }
}

/**
 * What the names stood for before, as masks of their names of now. The family of a renamed column
 * is found by its new name; other members are bound each by itself, and are nobody's parent here.
 */
function boundMasks(masks: readonly ColumnMask[], catalog: Catalog) {
  const named: ColumnMask[] = [];
  const members: { readonly oid: number; readonly mask: ColumnMask }[] = [];
  const byName = new Map(
    masks.map((mask) => [nameKey(mask.schema, mask.relation, mask.column), mask]),
  );
  for (const binding of catalog.maskBindings ?? []) {
    const { schema, relation, column } = binding.mask;
    const mask = byName.get(nameKey(schema, relation, column));
    const now = mask && columnOf(binding, catalog);
    if (!now) {
      continue;
    }
    const name = nameOf(now);
    if (!binding.isNamed) {
      members.push({ oid: binding.oid, mask: { ...mask, ...name } });
    } else if (columnName(name) !== columnName(mask)) {
      named.push({ ...mask, ...name });
    }
  }
  return { named, members };
}

export function strictest(masks: readonly ColumnMask[]): ColumnMask {
  return masks.reduce(stricterOf);
}

/** Names in the definition of a view; '': not qualified. */
function tablesIn(tree: unknown): { readonly schema: string; readonly name: string }[] {
  const found: { schema: string; name: string }[] = [];
  const open: unknown[] = [tree];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== 'object' || value === null) {
      continue;
    }
    if ('RangeVar' in value) {
      const { schemaname, relname }: { schemaname?: unknown; relname?: unknown } = Object(
        value.RangeVar,
      );
      found.push({ schema: String(schemaname ?? ''), name: String(relname ?? '') });
    }
    open.push(...Object.values(value).filter((inner) => inner !== undefined));
  }
  return found;
}

function oidKey(oid: number, column: string): string {
  return `${oid} ${column}`;
}

function nameKey(schema: string, relation: string, column: string): string {
  return JSON.stringify([schema, relation, column]);
}
