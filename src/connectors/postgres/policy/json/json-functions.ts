/**
 * Functions that put values into a JSON document and change nothing about them, and the documents
 * that come out. They are those of PostgreSQL 13 to 18; every other function computes.
 */
import { concreteType, elementType, hasUserCast, TYPE } from '../calls/function-types.ts';
import { derive, type Lineage, type NamedLineage, oneOf } from '../facts/lineage.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, type Node, namesOf } from '../parse/tree.ts';
import { arrayShape, type JsonShape, rowShape, shape, surrounded } from './json-shape.ts';

export const JSON_TYPE = 114;
export const JSONB_TYPE = 3802;
const JSON_TYPES: ReadonlySet<number> = new Set([JSON_TYPE, JSONB_TYPE]);
const VARCHAR = 1043;

/** Types whose value may be the text of a document: to_json() makes a JSON string of it. */
const TEXT: ReadonlySet<number> = new Set([TYPE.text, TYPE.unknown, VARCHAR]);

/** Types that hold the whole text of a document. */
export const HOLDERS: ReadonlySet<number> = new Set([JSON_TYPE, JSONB_TYPE, TYPE.text, VARCHAR]);

/** Whether a value of this type, as it was written, can hold a document. */
export function documentType(
  typeName: Pick<FieldsOf<'TypeName'>, 'typmods' | 'arrayBounds'>,
  type: number | undefined,
): boolean {
  const isCut = (typeName.typmods?.length ?? 0) > 0 || (typeName.arrayBounds?.length ?? 0) > 0;
  return type !== undefined && HOLDERS.has(type) && !isCut;
}

/** How the value stands in a document. */
export function asJson(facts: StatementFacts, value: Lineage): JsonShape {
  const isText = value.type !== undefined && TEXT.has(concreteType(facts, value.type));
  return value.document && !isText ? value.document : shape({ type: 'value', value });
}

/** @param values the arguments of `fields`, in its order */
export function jsonFunction(
  facts: StatementFacts,
  fields: FieldsOf<'FuncCall'>,
  values: readonly Lineage[],
): JsonShape | undefined {
  // Which of them are equal would show in the number of elements.
  if (fields.func_variadic || fields.agg_distinct || fields.agg_within_group) {
    return undefined;
  }
  const [first, ...others] = values;
  const name = namesOf(fields.funcname)?.at(-1) ?? '';
  if (!first) {
    return emptyDocument(name);
  }
  const rest = derive(others);
  switch (name) {
    case 'to_json':
    case 'to_jsonb':
    case 'row_to_json':
    case 'array_to_json':
      noteJsonCasts(facts, values);
      facts.noteComputed(rest, `function ${name}()`);
      return surrounded(asJson(facts, first), rest.origins);
    case 'json_agg':
    case 'jsonb_agg':
      noteJsonCasts(facts, values);
      return arrayShape(first);
    case 'json_agg_strict':
    case 'jsonb_agg_strict':
      noteJsonCasts(facts, values);
      return arrayShape(first, undefined, true);
    case 'json_strip_nulls':
    case 'jsonb_strip_nulls':
      return others.length === 0 ? { ...asJson(facts, first), isStripped: true } : undefined;
    case 'jsonb_pretty':
      // The same document as a text with line breaks.
      return others.length === 0 ? wholeDocument(first) : undefined;
    case 'array_agg':
      return first.document && arrayShape(first);
    case 'json_build_array':
    case 'jsonb_build_array':
      noteJsonCasts(facts, values);
      return shape({ type: 'list', elements: values });
    case 'json_build_object':
    case 'jsonb_build_object':
      noteJsonCasts(facts, values);
      return builtObject(facts, pairsOf(fields.args ?? [], values));
    default:
      return aggregatedObject(facts, name, fields, values);
  }
}

function wholeDocument({ document }: Lineage): JsonShape | undefined {
  return document?.content.type === 'value' ? undefined : document;
}

function emptyDocument(name: string): JsonShape | undefined {
  if (name === 'json_build_object' || name === 'jsonb_build_object') return rowShape([]);
  if (name === 'json_build_array' || name === 'jsonb_build_array') {
    return shape({ type: 'list', elements: [] });
  }
  return undefined;
}

const OBJECT_AGGREGATE = /^jsonb?_object_agg(_unique)?(_strict)?$/;

function aggregatedObject(
  facts: StatementFacts,
  name: string,
  fields: FieldsOf<'FuncCall'>,
  values: readonly Lineage[],
): JsonShape | undefined {
  const parts = OBJECT_AGGREGATE.exec(name);
  const [key, value] = values;
  if (!parts || !key || !value) {
    return undefined;
  }
  noteJsonCasts(facts, values);
  const pairs = [{ node: fields.args?.[0], key, value }];
  return builtObject(facts, pairs, parts[2] !== undefined);
}

export interface JsonPair {
  readonly node: Node | undefined;
  readonly key: Lineage;
  readonly value: Lineage;
}

function pairsOf(nodes: readonly Node[], values: readonly Lineage[]): JsonPair[] {
  const pairs: JsonPair[] = [];
  for (let index = 0; index + 1 < values.length; index += 2) {
    const [key, value] = values.slice(index, index + 2);
    if (key && value) pairs.push({ node: nodes[index], key, value });
  }
  return pairs;
}

/**
 * Keys stand in no place that a mask can reach: those from columns decide about all of the object,
 * and whether two are equal (an error with UNIQUE KEYS) or one is NULL is a test of them.
 */
export function builtObject(
  facts: StatementFacts,
  pairs: readonly JsonPair[],
  leavesOutNull = false,
): JsonShape {
  for (const { key } of pairs) {
    facts.noteComputed(key, 'a key of a JSON object');
  }
  const keys = derive(pairs.map(({ key }) => key)).origins;
  const members = pairs.flatMap((pair): NamedLineage[] => {
    const name = constantKey(pair);
    return name === undefined ? [] : [{ name, lineage: pair.value }];
  });
  if (members.length === pairs.length) {
    const { content } = rowShape(members);
    return shape(content.type === 'object' ? { ...content, leavesOutNull } : content, keys);
  }
  const values = oneOf(pairs.map(({ value }) => value));
  return shape({ type: 'map', values, leavesOutNull }, keys);
}

/** The text of a key that is a constant: `'id'` and `'id'::text`, but not `'id'::varchar(1)`. */
function constantKey({ node, key }: JsonPair): string | undefined {
  const cast = as(node, 'TypeCast');
  const isPlain = !cast?.typeName?.typmods && !cast?.typeName?.arrayBounds;
  if (cast && (!isPlain || key.type !== TYPE.text)) {
    return undefined;
  }
  const literal = as(cast ? cast.arg : node, 'A_Const');
  if (literal?.sval) return literal.sval.sval ?? '';
  if (literal?.ival) return String(literal.ival.ival ?? 0);
  return undefined;
}

/** Rows can have the same row in them twice, which has another one twice, and so on. */
const MAX_FIELDS = 5000;

/** A type of the database's own can have a cast to json, which to_json() then calls. */
export function noteJsonCasts(facts: StatementFacts, values: readonly Lineage[]): void {
  const { catalog } = facts.context;
  if (!catalog.userCasts.some(({ target }) => JSON_TYPES.has(target))) {
    return;
  }
  const all = new Set(values);
  // A Set gives what is added while it is walked, too.
  for (const value of all) {
    const element = elementType(facts, concreteType(facts, value.type));
    for (const type of [value.type, element].map((oid) => concreteType(facts, oid))) {
      if ([...JSON_TYPES].some((target) => hasUserCast(facts, type, target))) {
        facts.runsUserCode = true;
        const name = catalog.typeByOid(type)?.name ?? 'a type';
        facts.refuse(`the cast of ${name} to json runs code that is not built in`);
      }
    }
    for (const field of value.fields ?? []) {
      all.add(field.lineage);
    }
    if (all.size > MAX_FIELDS) {
      facts.refuse('the rows in this JSON document have too many fields to look at');
      return;
    }
  }
}
