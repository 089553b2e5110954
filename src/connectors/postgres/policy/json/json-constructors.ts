/** JSON_OBJECT, JSON_ARRAY and the other constructors of SQL/JSON, of PostgreSQL 16 and later. */

import { derive, type Lineage, oneOf, withOrigins } from '../facts/lineage.ts';
import { findType } from '../facts/names.ts';
import type { Scope } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, is, type Node } from '../parse/tree.ts';
import { combined, expression } from '../walk/expressions.ts';
import { COMBINED } from '../walk/grammar.ts';
import { asJson, builtObject, documentType, JSON_TYPE, noteJsonCasts } from './json-functions.ts';
import { arrayShape, type JsonShape, shape } from './json-shape.ts';

/** @returns undefined where `node` is none of them. */
export function jsonConstructor(
  facts: StatementFacts,
  node: Node,
  scope: Scope | undefined,
): Lineage | undefined {
  const walk: Walk = { facts, scope };
  if (is(node, 'JsonObjectConstructor')) return object(walk, node.JsonObjectConstructor);
  if (is(node, 'JsonArrayConstructor')) return array(walk, node.JsonArrayConstructor);
  if (is(node, 'JsonArrayQueryConstructor')) return queried(walk, node.JsonArrayQueryConstructor);
  if (is(node, 'JsonObjectAgg')) return objectOf(walk, node.JsonObjectAgg);
  if (is(node, 'JsonArrayAgg')) return arrayOf(walk, node.JsonArrayAgg);
  if (is(node, 'JsonScalarExpr')) return scalar(walk, node.JsonScalarExpr);
  return undefined;
}

interface Walk {
  readonly facts: StatementFacts;
  readonly scope: Scope | undefined;
}

function object(walk: Walk, fields: FieldsOf<'JsonObjectConstructor'>): Lineage {
  const { exprs, ...others } = fields;
  const pairs = (exprs ?? []).map((node) => keyAndValue(walk, as(node, 'JsonKeyValue')));
  return made(walk, fields.output, {
    values: pairs.flatMap(({ key, value }) => [key, value]),
    clauses: rest(walk, 'JsonObjectConstructor', others),
    document: () =>
      pairs.some(({ isText }) => isText)
        ? undefined
        : builtObject(walk.facts, pairs, fields.absent_on_null ?? false),
  });
}

function array(walk: Walk, fields: FieldsOf<'JsonArrayConstructor'>): Lineage {
  const { exprs, ...others } = fields;
  const entries = (exprs ?? []).map((node) => entryOf(walk, as(node, 'JsonValueExpr')));
  const values = entries.map(({ value }) => value);
  return made(walk, fields.output, {
    values,
    clauses: rest(walk, 'JsonArrayConstructor', others),
    document: () => {
      if (entries.some(({ isText }) => isText)) return undefined;
      return fields.absent_on_null
        ? arrayShape(oneOf(values), undefined, true)
        : shape({ type: 'list', elements: values });
    },
  });
}

/** JSON_ARRAY(SELECT …), which always leaves out NULL. */
function queried(walk: Walk, fields: FieldsOf<'JsonArrayQueryConstructor'>): Lineage {
  const { query, ...others } = fields;
  const { columns } = walk.facts.walks.query(walk.facts, query, walk.scope);
  const [first] = columns;
  return made(walk, fields.output, {
    values: columns.map((column) => column.lineage),
    clauses: rest(walk, 'JsonArrayQueryConstructor', others),
    document: () =>
      first && !isJsonText(fields.format) ? arrayShape(first.lineage, undefined, true) : undefined,
  });
}

function objectOf(walk: Walk, fields: FieldsOf<'JsonObjectAgg'>): Lineage {
  const { arg, ...others } = fields;
  const pair = keyAndValue(walk, arg);
  return made(walk, fields.constructor?.output, {
    values: [pair.key, pair.value],
    clauses: rest(walk, 'JsonObjectAgg', others),
    document: () =>
      pair.isText ? undefined : builtObject(walk.facts, [pair], fields.absent_on_null ?? false),
  });
}

function arrayOf(walk: Walk, fields: FieldsOf<'JsonArrayAgg'>): Lineage {
  const { arg, ...others } = fields;
  const { value, isText } = entryOf(walk, arg);
  return made(walk, fields.constructor?.output, {
    values: [value],
    clauses: rest(walk, 'JsonArrayAgg', others),
    document: () =>
      isText ? undefined : arrayShape(value, undefined, fields.absent_on_null ?? false),
  });
}

function scalar(walk: Walk, fields: FieldsOf<'JsonScalarExpr'>): Lineage {
  const { expr, ...others } = fields;
  const value = expression(walk.facts, expr, walk.scope);
  return made(walk, fields.output, {
    values: [value],
    clauses: rest(walk, 'JsonScalarExpr', others),
    document: () => {
      const json = asJson(walk.facts, value);
      return json.content.type === 'value' ? json : undefined;
    },
  });
}

interface Entry {
  readonly value: Lineage;
  /** FORMAT JSON: a text that is read as JSON. */
  readonly isText: boolean;
}

function entryOf(walk: Walk, fields: FieldsOf<'JsonValueExpr'> | undefined): Entry {
  const { raw_expr, ...others } = fields ?? {};
  rest(walk, 'JsonValueExpr', others);
  const value = expression(walk.facts, raw_expr, walk.scope);
  return { value, isText: isJsonText(fields?.format) || fields?.formatted_expr !== undefined };
}

function keyAndValue(
  walk: Walk,
  fields: FieldsOf<'JsonKeyValue'> | undefined,
): Entry & { readonly key: Lineage; readonly node: Node | undefined } {
  const { key: node, value, ...others } = fields ?? {};
  rest(walk, 'JsonKeyValue', others);
  const key = expression(walk.facts, node, walk.scope);
  return { ...entryOf(walk, value), node, key };
}

function isJsonText(format: FieldsOf<'JsonFormat'> | undefined): boolean {
  return format !== undefined && format.format_type !== 'JS_FORMAT_DEFAULT';
}

/** The other fields: filters, order and windows decide about the document as a whole. */
function rest(walk: Walk, tag: string, fields: object): Lineage {
  return combined(walk.facts, tag, COMBINED[tag] ?? {}, fields, walk.scope);
}

interface Parts {
  readonly values: readonly Lineage[];
  readonly clauses: Lineage;
  readonly document: () => JsonShape | undefined;
}

function made(walk: Walk, output: FieldsOf<'JsonOutput'> | undefined, parts: Parts): Lineage {
  const { facts } = walk;
  noteJsonCasts(facts, parts.values);
  const typeName = output?.typeName;
  const type = typeName ? findType(facts, typeName)?.oid : JSON_TYPE;
  const holds = documentType(typeName ?? {}, type);
  const document = holds ? parts.document() : undefined;
  const value = derive(parts.values, type);
  if (!document) {
    facts.combine(parts.values);
    facts.noteComputed(value, 'a constructor of JSON');
  }
  // Which rows, and in which order, is no part of a value; in a view its owner says so.
  const told = facts.view ? parts.clauses.origins : [];
  return withOrigins({ ...value, document }, told);
}
