/** The texts of the questions in `catalog-queries.ts`. */
import {
  CLASS_OF,
  CODE,
  COMPARISON_SQL_TEXT,
  COMPARISONS,
  EQ,
  GE,
  OWNED,
  type OwnedSection,
  type Section,
  type SectionQuery,
  USER,
  WHOLE,
  type WholeSection,
} from './catalog-queries.ts';

/**
 * @returns a query for rows of four texts. Of an object: section, object, JSON array of its rows
 * (arrays of texts and nulls), whether there is SQL in them. Of a list: section, null, JSON array of
 * one row, null.
 */
export function sectionSql(section: Section, owners?: Iterable<number>): string {
  if (isWhole(section)) return wholeSql(section, WHOLE[section]);
  const only = owners === undefined ? undefined : anyOf(owners);
  if (section === 'code') return byOwnerSql(section, codeSql(only), ['value']);
  if (section === 'comparisons') {
    return byOwnerSql(section, comparisonsSql(only), ['value'], COMPARISON_SQL_TEXT);
  }
  const { columns, from, where, order = [], sqlText }: SectionQuery = OWNED[section];
  const conditions = [where, only && `${columns[0]} ${only}`].filter((one) => one !== undefined);
  const found = [
    `${columns[0]} AS owner`,
    `${rowOf(columns)} AS value`,
    ...order.map((expression, index) => `${expression} AS place${index}`),
  ];
  return byOwnerSql(
    section,
    `SELECT ${found.join(', ')} FROM ${from}${conditions.length > 0 ? ` WHERE ${conditions.map((one) => `(${one})`).join(' AND ')}` : ''}`,
    order.map((_, index) => `place${index}`),
    sqlText,
  );
}

function isWhole(section: Section): section is WholeSection {
  return Object.hasOwn(WHOLE, section);
}

function wholeSql(section: WholeSection, { columns, from, where, order }: SectionQuery): string {
  return `SELECT '${section}'::pg_catalog.text, NULL::pg_catalog.text, one.value, NULL::pg_catalog.text
FROM (SELECT pg_catalog.array_to_json(${rowOf(columns)})::pg_catalog.text AS value
FROM ${from}${where === undefined ? '' : ` WHERE ${where}`}${order === undefined ? '' : ` ORDER BY ${order.join(', ')}`}) one`;
}

function rowOf(columns: readonly string[]): string {
  return `ARRAY[${columns.map((one) => `(${one})::pg_catalog.text`).join(', ')}]`;
}

/**
 * @param found - A query with the columns owner, value (the row as an array of texts), and those of
 *   `order`.
 * @param sqlText - Index of the column with a piece of SQL.
 */
function byOwnerSql(
  section: OwnedSection,
  found: string,
  order: readonly string[],
  sqlText?: number,
): string {
  const ordered =
    order.length === 0 ? '' : ` ORDER BY ${order.map((one) => `one.${one}`).join(', ')}`;
  const hasSql =
    sqlText === undefined ? 'false' : `pg_catalog.bool_or(one.value[${sqlText + 1}] IS NOT NULL)`;
  // OFFSET 0: else the row would be made twice, with definitions of views in it.
  return `SELECT '${section}'::pg_catalog.text, one.owner::pg_catalog.text, pg_catalog.json_agg(one.value${ordered})::pg_catalog.text, (${hasSql})::pg_catalog.text
FROM (${found} OFFSET 0) one GROUP BY one.owner`;
}
function comparisonsSql(only: string | undefined): string {
  const parts = COMPARISONS.map(
    ({ kind, owner, name, from, columns, expression = 'NULL', where }) =>
      `SELECT ${owner} AS owner, '${kind}'::pg_catalog.text AS kind, (${name})::pg_catalog.text AS name, ${columns} AS columns,
        (${expression})::pg_catalog.text AS expression
      FROM ${from} WHERE ${where}${only === undefined ? '' : ` AND ${owner} ${only}`}`,
  );
  return `SELECT found.owner, ARRAY[found.owner::pg_catalog.text, found.kind, found.name, found.columns, found.expression] AS value
FROM (${parts.join('\nUNION ALL ')}) found`;
}

function anyOf(oids: Iterable<number>): string {
  return `${EQ} ANY ('{${[...oids].join(',')}}'::pg_catalog.oid[])`;
}

function codeSql(only: string | undefined): string {
  const objects = CODE.map(({ kind, owner, catalog, object, column = '0', where }) => {
    const conditions = [where, only && `${owner} ${only}`].filter((one) => one !== undefined);
    return `SELECT '${kind}'::pg_catalog.text AS kind, ${owner} AS owner,
      'pg_catalog.${CLASS_OF.get(catalog) ?? catalog}'::pg_catalog.regclass::pg_catalog.oid AS class, ${object} AS object,
      ${column}::pg_catalog.int4 AS attnum
      FROM pg_catalog.${catalog} x${conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : ''}`;
  });
  const called = `CASE WHEN d.refclassid ${EQ} 'pg_catalog.pg_operator'::pg_catalog.regclass::pg_catalog.oid
    THEN (SELECT o.oprcode::pg_catalog.oid FROM pg_catalog.pg_operator o WHERE o.oid ${EQ} d.refobjid)
    ELSE d.refobjid END`;
  return `SELECT found.owner, ARRAY[found.owner::pg_catalog.text, found.kind, found.called::pg_catalog.text, found.attnum::pg_catalog.text] AS value
FROM (SELECT DISTINCT c.owner, c.kind, ${called} AS called, c.attnum
  FROM (${objects.join('\nUNION ALL ')}) c
  JOIN pg_catalog.pg_depend d ON d.classid ${EQ} c.class AND d.objid ${EQ} c.object
  WHERE d.refobjid ${GE} ${USER}::pg_catalog.oid AND d.refclassid ${EQ} ANY (ARRAY['pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid,
    'pg_catalog.pg_operator'::pg_catalog.regclass::pg_catalog.oid])) found`;
}

/**
 * Relations whose definition is written with names of these objects: views by their rule, columns
 * that are generated by their expression. A name in there changes without a change of the view.
 */
export function dependentsSql(objects: Iterable<number>): string {
  const named = `d.refclassid ${EQ} ANY (ARRAY['pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid,
    'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid]) AND d.refobjid ${anyOf(objects)}`;
  return `SELECT 'view'::pg_catalog.text, r.ev_class::pg_catalog.text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid ${EQ} d.objid
  WHERE d.classid ${EQ} 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid AND ${named}
UNION SELECT 'column'::pg_catalog.text, a.adrelid::pg_catalog.text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef a ON a.oid ${EQ} d.objid
  WHERE d.classid ${EQ} 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid AND ${named}`;
}
