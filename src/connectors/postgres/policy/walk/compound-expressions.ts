/** CASE, subqueries, rows and arrays: expressions made of others with a shape of their own. */
import { arrayOf as arrayType } from '../calls/coercions.ts';
import { commonTypeOf, elementType, TYPE } from '../calls/function-types.ts';
import { checkOperator } from '../calls/operators.ts';
import { constant, derive, type Lineage, settled, withOrigins } from '../facts/lineage.ts';
import type { Scope } from '../facts/scope.ts';
import { columnFacts, type StatementFacts } from '../facts/statement-facts.ts';
import { arrayShape, rowShape, surrounded } from '../json/json-shape.ts';
import { as, type FieldsOf, namesOf } from '../parse/tree.ts';
import { chosen, expression, expressions, listed, noteUnified } from './expressions.ts';
import { checkFields } from './grammar.ts';

export function caseOf(
  facts: StatementFacts,
  fields: FieldsOf<'CaseExpr'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'CaseExpr', fields);
  const written = expression(facts, fields.arg, scope);
  const subject = written.type === TYPE.unknown ? { ...written, type: TYPE.text } : written;
  const conditions = fields.arg ? [subject] : [];
  const results: Lineage[] = [];
  for (const node of fields.args ?? []) {
    const when = as(node, 'CaseWhen');
    if (!when) {
      facts.unknown('this part of CASE', fields.location);
      continue;
    }
    checkFields(facts, 'CaseWhen', when);
    const condition = expression(facts, when.expr, scope);
    conditions.push(condition);
    results.push(expression(facts, when.result, scope));
    if (fields.arg) {
      checkOperator(facts, ['='], [subject, condition], fields.location);
      facts.tie(derive([subject, condition]).origins);
    }
  }
  if (fields.defresult) {
    results.push(expression(facts, fields.defresult, scope));
  }
  for (const condition of conditions) {
    facts.noteComputed(condition, 'a condition of CASE');
  }
  // What is else comes first.
  const otherwise = fields.defresult ? results.at(-1) : constant(TYPE.unknown);
  const type = commonTypeOf(facts, [...(otherwise ? [otherwise] : []), ...results]);
  noteUnified(facts, results, 'CASE', type);
  const value = chosen(facts, results, type);
  // In a view, which branch was taken tells about the conditions, which the owner wrote.
  const told = facts.view ? conditions : [];
  const all = derive([...told, ...results], value.type, value.fields);
  const document = value.document && surrounded(value.document, derive(told).origins);
  return { ...all, document };
}

export function subLink(
  facts: StatementFacts,
  fields: FieldsOf<'SubLink'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'SubLink', fields);
  const inner = facts.walks.query(facts, fields.subselect, scope);
  const values = settled(inner.columns).map((column) => column.lineage);
  // What the owner of a view tests is masked like the columns that are tested.
  const tested = facts.view ? inner.conditions : [];
  switch (fields.subLinkType) {
    case 'EXISTS_SUBLINK':
      return withOrigins(constant(TYPE.bool), tested);
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK': {
      const test = expression(facts, fields.testexpr, scope);
      const operator = namesOf(fields.operName) ?? [];
      const tested = values.length === 1 ? [test] : test.fields?.map(({ lineage }) => lineage);
      const pairs = (tested ?? []).flatMap((one, index) => {
        const value = values[index];
        return value ? [[one, value]] : [];
      });
      for (const sides of pairs.length > 0 ? pairs : [[]]) {
        checkOperator(facts, operator.length > 0 ? operator : ['='], sides, fields.location);
      }
      const [left, right] = values.length === 1 ? [test, ...values] : [];
      const isEqual = fields.subLinkType === 'ANY_SUBLINK' && isBuiltInEquals(operator);
      // IN (SELECT …) compares as a join does.
      if (isEqual && left && right && facts.noteEquated([left, right], IN_SUBQUERY)) {
        facts.tie(derive([left, right]).origins);
        return constant(TYPE.bool);
      }
      return facts.test([test, ...values], IN_SUBQUERY, TYPE.bool);
    }
    case 'EXPR_SUBLINK':
    case 'ARRAY_SUBLINK': {
      const value = derive(values);
      const [first] = values;
      // (SELECT 1 … WHERE …) is a test in the dress of a value.
      const told = columnFacts(value.origins).length === 0 ? tested : [];
      const isArray = fields.subLinkType === 'ARRAY_SUBLINK';
      const arrayType = arrayTypeOf(facts, first?.type);
      if (isArray && first) noteArrayOfArrays(facts, first);
      const document = isArray ? first?.document && arrayShape(first) : first?.document;
      return {
        ...withOrigins(isArray || values.length > 1 ? value : (first ?? value), told),
        type: isArray ? arrayType : values.length === 1 ? first?.type : undefined,
        // With several columns (UPDATE … SET (a, b) = (SELECT …)) it is a row.
        fields: values.length === 1 ? first?.fields : inner.columns,
        document: values.length === 1 ? document && surrounded(document, told) : undefined,
      };
    }
    default:
      facts.unknown(`the subquery kind ${fields.subLinkType}`, fields.location);
      return derive(values);
  }
}

const IN_SUBQUERY = 'a comparison with a subquery';

/** IN has no name, and = ANY has its own. */
function isBuiltInEquals(operator: readonly string[]): boolean {
  return operator.length === 0 || operator.join() === '=';
}

export function rowOf(
  facts: StatementFacts,
  fields: FieldsOf<'RowExpr'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'RowExpr', fields);
  const parts = listed(facts, fields.args, scope);
  const named = parts.map((lineage, index) => {
    // The shape of each is made, and kept.
    facts.budget.spend(1);
    return { name: `f${index + 1}`, lineage };
  });
  return { ...derive(parts, TYPE.record, named), document: rowShape(named) };
}

/** It fails where the arrays in it are empty or of different sizes. */
function noteArrayOfArrays(facts: StatementFacts, element: Lineage): void {
  if (elementType(facts, element.type) !== undefined)
    facts.noteComputed(element, 'ARRAY of arrays');
}

export function arrayOf(
  facts: StatementFacts,
  fields: FieldsOf<'A_ArrayExpr'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'A_ArrayExpr', fields);
  const elements = expressions(facts, fields.elements, scope);
  // Literals alone make an array of text.
  const literals = elements.length > 0 && elements.every((one) => one.type === TYPE.unknown);
  noteUnified(facts, elements, 'ARRAY');
  for (const [index, element] of elements.entries()) {
    const isWritten = as(fields.elements?.[index], 'A_ArrayExpr') !== undefined;
    if (!isWritten) noteArrayOfArrays(facts, element);
  }
  const common = literals ? constant(TYPE.text) : chosen(facts, elements);
  const document = common.document && arrayShape(common);
  return { ...derive(elements, arrayTypeOf(facts, common.type), common.fields), document };
}

/** An array of arrays is one of more dimensions, and of the same type. */
function arrayTypeOf(facts: StatementFacts, type: number | undefined): number | undefined {
  if (type === undefined) return undefined;
  return elementType(facts, type) === undefined ? arrayType(facts.context.catalog, type) : type;
}
