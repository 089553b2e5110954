/** FuncCall nodes: arguments, aggregate clauses, and the calls that change the session. */

import { constant, derive, type Lineage, withOrigins } from '../facts/lineage.ts';
import { findType, isBuiltIn, typeNamed } from '../facts/names.ts';
import { findColumn, findTable, type Scope } from '../facts/scope.ts';
import { isSettingList } from '../facts/secret-settings.ts';
import { calledSetting, namedSetting } from '../facts/setting-lineage.ts';
import { settingNamed } from '../facts/setting-name.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { jsonFunction } from '../json/json-functions.ts';
import { as, type FieldsOf, literalText, type Node, namesOf, stringOf } from '../parse/tree.ts';
import { settingFact, settingParameter, settingText } from '../walk/bound-settings.ts';
import { isStar } from '../walk/column-references.ts';
import { condition, windowOrigins } from '../walk/conditions.ts';
import { expressions } from '../walk/expressions.ts';
import { checkFields } from '../walk/grammar.ts';
import { callSignature } from './call-signature.ts';
import { elementType, TYPE } from './function-types.ts';
import { type Call, type CallResult, callFunction } from './functions.ts';
import { isStringOfColumn, totalArguments } from './total-functions.ts';

export function functionCall(
  facts: StatementFacts,
  written: FieldsOf<'FuncCall'>,
  scope: Scope | undefined,
): CallResult {
  checkFields(facts, 'FuncCall', written);
  const fields = withoutVoid(facts, written);
  const names = namesCalled(facts, fields);
  const args = expressions(facts, fields.args, scope);
  const ordered = expressions(facts, fields.agg_order, scope);
  for (const key of ordered) {
    facts.noteComputed(key, 'ORDER BY of an aggregate');
  }
  // WITHIN GROUP: what is ordered is an argument of the function.
  const all = fields.agg_within_group ? [...args, ...ordered] : args;
  const document = jsonFunction(facts, fields, args);
  const known: KnownCall = document
    ? { carried: new Set(args), isApart: true }
    : knownCall(facts, fields, args, scope);
  const call = { names, args: all, location: fields.location, node: fields, ...known };
  const result = callFunction(facts, call) ?? notAFunction(facts, fields, all);
  if (names.at(-1) === 'set_config') {
    noteSetConfig(facts, fields.args ?? [], scope);
  }
  const filter = fields.agg_filter ? condition(facts, fields.agg_filter, scope) : [];
  const window = windowOrigins(facts, fields.over, scope);
  // Which rows, and in which order, is no part of a value; in a view its owner says so.
  const told = facts.view ? [...derive(ordered).origins, ...filter, ...window] : [];
  const isBuiltInCall = result.functions.length > 0 && result.functions.every(isBuiltIn);
  const lineage = isBuiltInCall
    ? { ...(known.result ?? result.lineage), ...(document ? { document } : {}) }
    : result.lineage;
  return { ...result, lineage: withOrigins(lineage, told) };
}

const VOID = 2278;

/**
 * JDBC sends what `{? = call f(?)}` returns as a parameter of type void, and the server leaves such
 * arguments out (ParseFuncOrColumn in parse_func.c).
 */
function withoutVoid(facts: StatementFacts, fields: FieldsOf<'FuncCall'>): FieldsOf<'FuncCall'> {
  const { parameterTypes } = facts;
  if (fields.agg_within_group || !parameterTypes.includes(VOID)) return fields;
  const isVoid = (node: Node): boolean =>
    parameterTypes[(as(node, 'ParamRef')?.number ?? 0) - 1] === VOID;
  const args = fields.args?.filter((node) => !isVoid(node));
  return { ...fields, args: args ?? [] };
}

/**
 * What the parser of today makes of syntax for functions, and the server made of it before: EXTRACT
 * had another function, and json_object was no keyword, so that it could mean one of a user.
 */
function namesCalled(facts: StatementFacts, { funcname }: FieldsOf<'FuncCall'>): readonly string[] {
  const names = namesOf(funcname) ?? [];
  const { majorVersion } = facts.context.catalog;
  const written = names.join('.');
  if (written === 'pg_catalog.extract' && majorVersion < 14) return ['pg_catalog', 'date_part'];
  return written === 'pg_catalog.json_object' && majorVersion < 16 ? ['json_object'] : names;
}

interface KnownCall extends Pick<Call, 'carried' | 'isApart'> {
  readonly result?: Lineage;
}

/** Aggregates and window functions that give one of the values, or all, without a look at them. */
const CARRYING: ReadonlySet<string> = new Set([
  'any_value',
  'array_agg',
  'first_value',
  'lag',
  'last_value',
  'lead',
  'max',
  'min',
  'nth_value',
]);

/**
 * Calls that do less with their arguments than compute: which arguments they carry or only count,
 * and what comes out if the function is the built-in one (others are not let through unnamed).
 */
function knownCall(
  facts: StatementFacts,
  fields: FieldsOf<'FuncCall'>,
  args: readonly Lineage[],
  scope: Scope | undefined,
): KnownCall {
  const name = namesOf(fields.funcname)?.at(-1) ?? '';
  const [value] = args;
  if (name === 'current_setting') {
    const literal = settingText(facts, fields.args?.[0]);
    const isKnown = literal !== undefined;
    return { result: isKnown ? namedSetting(facts, literal) : calledSetting(facts, value) };
  }
  if (name === 'array_to_string' && value?.identity && isSettingList(value.identity.fact)) {
    return { carried: new Set([value]), result: value };
  }
  if (isRowCount(facts, fields, scope)) {
    return { carried: new Set(args), result: constant(TYPE.int8) };
  }
  if (name === 'count' && value && args.length === 1) {
    if (fields.agg_distinct) facts.noteGrouped(value, 'count(DISTINCT)');
    const isGrouped = fields.agg_distinct && !facts.view;
    const counted = isGrouped ? constant(TYPE.int8) : facts.nullTest(value, 'count()', TYPE.int8);
    return { carried: new Set(args), result: counted };
  }
  if (name === 'jsonb_pretty' && value?.identity && args.length === 1) {
    // As a cast to text, with blanks in it.
    return { carried: new Set(args), result: { ...derive(args, TYPE.text), total: true } };
  }
  const strings = totalArguments(facts.context.catalog, name, fields.args, args);
  if (strings) {
    return { carried: new Set(strings), result: { ...derive(args, TYPE.text), total: true } };
  }
  const isJoined = name === 'string_agg' && as(fields.args?.[1], 'A_Const') !== undefined;
  // A default of lag() can be of another type, to which the value is converted.
  const isCarried =
    (CARRYING.has(name) && args.length < 3 && !isComparing(facts, name, value)) || isJoined;
  if (!value || fields.agg_distinct || !isCarried) {
    return {};
  }
  const carried = { carried: new Set([value]) };
  return name !== 'array_agg' && isStringOfColumn(facts.context.catalog, value)
    ? { ...carried, result: { ...derive(args, value.type), total: true } }
    : carried;
}

/**
 * Which of several values is the largest depends on what they are: next to a constant, that compares
 * the column with it. An array of arrays fails where they are empty or of different sizes.
 */
function isComparing(facts: StatementFacts, name: string, value: Lineage | undefined): boolean {
  if (name === 'max' || name === 'min') return value?.identity === undefined;
  return name === 'array_agg' && elementType(facts, value?.type) !== undefined;
}

/** `count(t)`, `count(t.*)`: a row of a relation or a query is never NULL, whatever is in it. */
function isRowCount(
  facts: StatementFacts,
  fields: FieldsOf<'FuncCall'>,
  scope: Scope | undefined,
): boolean {
  const [argument, second] = fields.args ?? [];
  const names = namesOf(fields.funcname) ?? [];
  const parts = as(argument, 'ColumnRef')?.fields ?? [];
  const table = stringOf(parts[0]) ?? '';
  const found = findTable(scope, table);
  const isRow =
    parts.length === 1 ? findColumn(facts, scope, table) === undefined : isStar(argument);
  return (
    names.at(-1) === 'count' &&
    second === undefined &&
    !fields.agg_distinct &&
    parts.length <= 2 &&
    isRow &&
    (found?.relation !== undefined || found?.namesRows === true)
  );
}

/** No function of that name: `card(t)` is the column t.card, `text(x)` is a cast. */
function notAFunction(
  facts: StatementFacts,
  fields: FieldsOf<'FuncCall'>,
  args: readonly Lineage[],
): CallResult {
  const names = namesOf(fields.funcname) ?? [];
  const [argument] = args;
  if (argument && args.length === 1) {
    const field = argument.fields?.find((candidate) => candidate.name === names.at(-1));
    if (field && names.length === 1) {
      return { lineage: field.lineage, functions: [] };
    }
    facts.noteComputed(argument, `function ${names.join('.')}()`);
    if (typeNamed(facts, names, names.at(-1) ?? '')) {
      const type = findType(facts, { names: fields.funcname ?? [] });
      return { lineage: derive(args, type?.oid), functions: [] };
    }
  }
  facts.functions.set(names.join('.'), {
    schema: names.at(-2),
    name: names.at(-1) ?? '',
    builtIn: false,
  });
  const signature = callSignature(facts.context.catalog, names, args, fields.args);
  facts.refuse(`function ${signature} is not known`, {
    location: fields.location,
    missing: names.join('.'),
  });
  return { lineage: derive(args), functions: [] };
}

/** `set_config('role', 'x', false)` does what SET ROLE x does. */
function noteSetConfig(
  facts: StatementFacts,
  args: readonly Node[],
  scope: Scope | undefined,
): void {
  const local = literalText(args[2]) === 'true' || literalText(args[2]) === 't';
  const name = settingText(facts, args[0]) ?? settingNamed(args[0], scope);
  const nameParameter = name === undefined ? settingParameter(facts, args[0]) : undefined;
  if (name === undefined && nameParameter === undefined) {
    facts.settings.push({ name: '*', value: undefined, local: false });
    facts.refuse('set_config() with a computed name can change any setting', {
      hint: 'Write the name of the setting as a literal, or send it as a parameter.',
    });
    return;
  }
  const value = settingText(facts, args[1]);
  const valueParameter = value === undefined ? settingParameter(facts, args[1]) : undefined;
  facts.settings.push({
    ...settingFact(name ?? '*', value, local, facts.context),
    ...(nameParameter === undefined ? {} : { nameParameter }),
    ...(valueParameter === undefined ? {} : { valueParameter }),
  });
}
