import { concreteType } from '../calls/function-types.ts';
import { arrayShape, type JsonShape, rowShape } from '../json/json-shape.ts';
import type { CatalogColumn, CatalogRelation } from './catalog-types.ts';
import {
  columnsOfEntry,
  constant,
  derive,
  type Lineage,
  lazily,
  type NamedLineage,
  type Origin,
  retyped,
} from './lineage.ts';
import { isBuiltIn } from './names.ts';
import { columnByName } from './relation-attributes.ts';
import { relationFamily } from './relation-family.ts';
import { rowTypeRelation, visibleColumns } from './row-types.ts';
import type { StatementFacts } from './statement-facts.ts';
import { serverFileOf } from './system-relations.ts';

/** Row types in row types; deeper than this the inner ones count as a whole. */
const MAX_ROW_TYPE_DEPTH = 4;

export function relationColumns(
  facts: StatementFacts,
  relation: CatalogRelation,
  only: boolean,
): readonly NamedLineage[] {
  facts.noteRelation(relation);
  facts.noteReference(relation);
  if (relation.kind === 't') {
    facts.refuse(`${relation.schema}.${relation.name} holds raw values of other tables`);
  }
  const looksThrough = (relation.kind === 'v' || relation.kind === 'm') && !isBuiltIn(relation);
  if (!looksThrough) {
    return columnsOfEntry(storedColumns(facts, relation, only), true);
  }
  const seen = facts.walks.view(facts, relation);
  const own = visibleColumns(relation);
  if (!seen || seen.length !== own.length) {
    if (seen) {
      facts.refuse(`the view ${relation.schema}.${relation.name} does not match its definition`);
    }
    return storedColumns(facts, relation, only);
  }
  return columnsOfEntry(
    own.map((column, index) => {
      const inner = seen[index]?.lineage ?? constant();
      return { name: column.name, lineage: retyped(inner, column.typeOid) };
    }),
  );
}

/** Of a table; that it is read is not noted. */
export function storedColumns(
  facts: StatementFacts,
  relation: CatalogRelation,
  only: boolean,
): readonly NamedLineage[] {
  const family = relationFamily(facts.context.catalog, relation, only);
  return visibleColumns(relation).map((column) =>
    // A table can have a thousand partitions: only the columns that are used are worked out.
    lazily(column.name, () => storedColumn(facts, relation, column, family)),
  );
}

/** One column of a table: itself, the same column of its family, and what it is generated from. */
function storedColumn(
  facts: StatementFacts,
  relation: CatalogRelation,
  column: CatalogColumn,
  family: readonly CatalogRelation[],
): Lineage {
  const own = facts.column(relation, column.attnum, column.name);
  const origins = new Set<Origin>([own]);
  for (const member of family) {
    const same = columnByName(member, column.name);
    if (same && member.oid !== relation.oid) {
      origins.add(facts.column(member, same.attnum, same.name));
    }
  }
  const identity = column.generatedFrom === undefined ? own : undefined;
  // Since PostgreSQL 16 that of a child can be generated from other columns.
  for (const member of [relation, ...family]) {
    const same = columnByName(member, column.name);
    if (same?.generatedFrom === undefined) continue;
    for (const source of visibleColumns(member)) {
      const used = same.generatedColumns?.includes(source.attnum) ?? true;
      if (used && source.generatedFrom === undefined) {
        for (const reached of storedColumn(facts, member, source, family).origins) {
          origins.add(reached);
        }
      }
    }
  }
  const holding = new Set(origins);
  const fields = rowTypeFields(facts, column.typeOid, [own], 0);
  for (const field of fields ?? []) {
    for (const origin of field.lineage.origins) {
      origins.add(origin);
    }
  }
  const document = fields && rowTypeShape(facts, column.typeOid, fields, holding);
  return {
    origins,
    identity: fields ? undefined : identity,
    type: column.typeOid,
    fields,
    document,
  };
}

/**
 * Columns of the composite type behind `typeOid` (through arrays and domains). A value of a table's
 * row type is a copy of its row, so it carries the table's columns, and their masks.
 */
export function rowTypeFields(
  facts: StatementFacts,
  typeOid: number | undefined,
  holders: readonly Origin[],
  depth: number,
): readonly NamedLineage[] | undefined {
  const relation = rowTypeRelation(facts, typeOid);
  if (!relation) {
    return undefined;
  }
  return visibleColumns(relation).map((column) => {
    const origin = facts.column(relation, column.attnum, column.name);
    const inner =
      depth < MAX_ROW_TYPE_DEPTH
        ? rowTypeFields(facts, column.typeOid, [...holders, origin], depth + 1)
        : undefined;
    const family = relationFamily(facts.context.catalog, relation).flatMap((member) => {
      const same = columnByName(member, column.name);
      return same ? [facts.column(member, same.attnum, same.name)] : [];
    });
    const holding = new Set<Origin>([origin, ...family, ...holders]);
    const origins = new Set(holding);
    for (const field of inner ?? []) {
      for (const other of field.lineage.origins) {
        origins.add(other);
      }
    }
    return {
      name: column.name,
      lineage: {
        origins,
        identity: undefined,
        type: column.typeOid,
        fields: inner,
        document: inner && rowTypeShape(facts, column.typeOid, inner, holding),
      },
    };
  });
}

/** What to_json() makes of a value of a row type, or of an array of such values. */
function rowTypeShape(
  facts: StatementFacts,
  typeOid: number,
  fields: readonly NamedLineage[],
  holders: ReadonlySet<Origin>,
): JsonShape | undefined {
  const type = facts.context.catalog.typeByOid(concreteType(facts, typeOid));
  if (type?.relationOid) {
    return rowShape(fields, holders);
  }
  const row = facts.context.catalog.typeByOid(concreteType(facts, type?.elementOid));
  if (!type || !row?.relationOid) {
    return undefined;
  }
  const element = derive(
    fields.map(({ lineage }) => lineage),
    row.oid,
    fields,
  );
  return arrayShape({ ...element, document: rowShape(fields, holders) }, holders);
}

/** Refuses a column of a system relation that shows files of the server. */
export function refuseServerFiles(
  facts: StatementFacts,
  lineage: Lineage,
  location: number | undefined,
): void {
  for (const origin of lineage.origins) {
    const server = origin.kind === 'column' ? serverFileOf(origin.fact) : undefined;
    if (origin.kind !== 'column' || server === undefined) {
      continue;
    }
    facts.serverAccess.add(server);
    const { name, column } = origin.fact;
    facts.refuse(`${name}.${column} reads server files`, { location });
    return;
  }
}
