/** Casts, choices and tests of whole documents, which leave what is in them as it is. */

import { concreteType, TYPE } from '../calls/function-types.ts';
import { constant, type Lineage } from '../facts/lineage.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { isPlainConstant } from '../parse/constant-shapes.ts';
import type { FieldsOf } from '../parse/tree.ts';
import { documentType, HOLDERS } from './json-functions.ts';
import { type JsonShape, literalShape, loosened, mergeShapes, shape } from './json-shape.ts';

/** What becomes of a document in a cast; a row as a text is no JSON. */
export function castDocument(
  value: Lineage,
  typeName: FieldsOf<'TypeName'> | undefined,
  type: number | undefined,
): JsonShape | undefined {
  const isJson =
    value.type !== undefined && (HOLDERS.has(value.type) || value.type === TYPE.unknown);
  return isJson && typeName && documentType(typeName, type) ? value.document : undefined;
}

/** The document of CASE and COALESCE: all of `values` that are no constants must have one. */
export function chosenDocument(values: readonly Lineage[]): JsonShape | undefined {
  const documents = values.flatMap(({ document }) => document ?? []);
  if (documents.length === 0) {
    return undefined;
  }
  const typed = values.filter(({ type }) => type !== TYPE.unknown);
  const others = values.filter(({ document }) => document === undefined);
  if (
    typed.some(({ type }) => type !== typed[0]?.type) ||
    others.some(({ origins }) => origins.size > 0)
  ) {
    return undefined;
  }
  const merged = mergeShapes(documents);
  return merged && others.length > 0 ? loosened(merged) : merged;
}

/** Which one COALESCE takes tells whether the first is NULL: only rows and arrays may say that. */
export function coalescedDocument(value: Lineage): Lineage {
  return value.document?.content.type === 'value' ? { ...value, document: undefined } : value;
}

/** Fields of rows in rows; with more of them the row counts as one value. */
const MAX_NULL_TESTS = 2000;

/**
 * What `IS NULL` asks of a value: a document that is an object or an array is as NULL as what
 * decides about it as a whole, and a row is NULL when its fields are.
 */
export function nullDeciders(facts: StatementFacts, value: Lineage): readonly Lineage[] {
  const found: Lineage[] = [];
  const open = [value];
  for (let next = open.pop(); next; next = open.pop()) {
    const { document, fields } = next;
    const isScalar = !document || document.content.type === 'value';
    const isHeld = HOLDERS.has(concreteType(facts, next.type));
    if (isScalar || (!isHeld && !(fields && document.content.type === 'object'))) {
      found.push(next);
    } else {
      found.push({ ...constant(), origins: document.around });
      open.push(...(isHeld ? [] : (fields ?? []).map(({ lineage }) => lineage)));
    }
    if (found.length + open.length > MAX_NULL_TESTS) {
      return [value];
    }
  }
  return found;
}

/** The JSON that a literal holds if it is taken for one. */
export function literalDocument(fields: FieldsOf<'A_Const'>): JsonShape | undefined {
  if (fields.isnull) return shape({ type: 'null' });
  return isPlainConstant(fields.sval) ? undefined : literalShape(fields.sval?.sval ?? '');
}
