/** Operators that put documents together or take a part out, and look at no value in them. */
import { TYPE } from '../calls/function-types.ts';
import { derive, type Lineage, withOrigins } from '../facts/lineage.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type Node } from '../parse/tree.ts';
import { asJson, JSON_TYPE, JSONB_TYPE } from './json-functions.ts';
import {
  type JsonContent,
  type JsonShape,
  joinedMembers,
  shape,
  surrounded,
} from './json-shape.ts';

/** @returns undefined where it is another operator, or what comes out is not known exactly. */
export function jsonOperation(
  facts: StatementFacts,
  operator: string,
  operands: readonly Lineage[],
  right: Node | undefined,
): Lineage | undefined {
  if (operator === '||') {
    const document = joinedDocuments(operands);
    return document && { ...derive(operands, JSONB_TYPE), document };
  }
  if (operator === '-') {
    const [document, key] = operands;
    return document && key ? withoutMembers(document, key, right) : undefined;
  }
  return operator === '->' && operands[0] ? partOf(facts, operands[0], right) : undefined;
}

/** `a || b` of two objects has the members of both; where both have one, the second one's. */
function joinedDocuments(operands: readonly Lineage[]): JsonShape | undefined {
  const [left, right] = operands.map(({ document }) => document);
  const isJsonb =
    operands.every(({ type }) => type === JSONB_TYPE || type === TYPE.unknown) &&
    operands.some(({ type }) => type === JSONB_TYPE);
  const isStripped = left?.isStripped || right?.isStripped;
  if (
    !isJsonb ||
    isStripped ||
    left?.content.type !== 'object' ||
    right?.content.type !== 'object'
  ) {
    return undefined;
  }
  const content = {
    type: 'object' as const,
    members: joinedMembers(left.content.members, right.content.members, 'and'),
    leavesOutNull: left.content.leavesOutNull || right.content.leavesOutNull,
  };
  return surrounded(shape(content, left.around), right.around);
}

/** `document - 'key'` and `document - ARRAY['a', 'b']` have all members but these, whatever they are. */
function withoutMembers(
  { document, type }: Lineage,
  key: Lineage,
  node: Node | undefined,
): Lineage | undefined {
  const names = constantKeys(key, node);
  if (
    !document ||
    document.isStripped ||
    document.content.type !== 'object' ||
    type !== JSONB_TYPE ||
    names === undefined
  ) {
    return undefined;
  }
  const members = document.content.members.filter(({ name }) => !names.includes(name));
  const left = shape({ ...document.content, members }, document.around);
  const value = derive(
    members.map(({ lineage }) => lineage),
    JSONB_TYPE,
  );
  return withOrigins({ ...value, document: left }, document.around);
}

const TEXT_ARRAY = 1009;

/** @returns undefined where they are not known from the text, or might be the number of an element. */
function constantKeys({ type }: Lineage, node: Node | undefined): readonly string[] | undefined {
  const cast = as(node, 'TypeCast');
  const isCut = (cast?.typeName?.typmods ?? []).length > 0;
  const value = cast ? cast.arg : node;
  const text = as(value, 'A_Const')?.sval?.sval;
  if (isCut) return undefined;
  if (type === TEXT_ARRAY) {
    const elements = (as(value, 'A_ArrayExpr')?.elements ?? []).map(
      (element) => as(element, 'A_Const')?.sval?.sval,
    );
    if (text !== undefined) return plainElements(text);
    return elements.length > 0 && elements.every((one) => one !== undefined) ? elements : undefined;
  }
  const isText = type === TYPE.text || (cast === undefined && type === TYPE.unknown);
  return isText && text !== undefined ? [text] : undefined;
}

/** Of `{a,b}` without quotes, escapes and NULL. */
function plainElements(text: string): readonly string[] | undefined {
  const [, list] = /^\{(\w+(?:,\w+)*)\}$/.exec(text) ?? [];
  const elements = list?.split(',');
  return elements?.some((element) => element.toLowerCase() === 'null') ? undefined : elements;
}

/** `document -> 'key'` and `document -> 0`: the part at that place and none other. */
function partOf(
  facts: StatementFacts,
  { document, type }: Lineage,
  place: Node | undefined,
): Lineage | undefined {
  const part = document && partAt(document.content, place);
  if (!part || document.isStripped || (type !== JSON_TYPE && type !== JSONB_TYPE)) {
    return undefined;
  }
  const value = { ...derive([part], type), document: asJson(facts, part) };
  return withOrigins(value, document.around);
}

function partAt(content: JsonContent, place: Node | undefined): Lineage | undefined {
  const constant = as(place, 'A_Const');
  if (content.type === 'object' && constant?.sval && !content.leavesOutNull) {
    const key = constant.sval.sval ?? '';
    return content.members.find(({ name }) => name === key)?.lineage;
  }
  const index = constant?.ival ? (constant.ival.ival ?? 0) : undefined;
  if (index === undefined) {
    return undefined;
  }
  if (content.type === 'list') {
    return content.elements[index];
  }
  return content.type === 'array' && !content.leavesOutNull ? content.elements : undefined;
}
