/** FuncCall nodes: arguments, aggregate clauses, and the calls that change the session. */

import { isStar } from './column-references.ts';
import { condition, windowOrigins } from './conditions.ts';
import { expressions } from './expressions.ts';
import { TYPE } from './function-types.ts';
import { type CallResult, callFunction } from './functions.ts';
import { checkFields } from './grammar.ts';
import { constant, derive, type Lineage, withOrigins } from './lineage.ts';
import { findType, isBuiltIn } from './names.ts';
import { findColumn, findTable, type Scope } from './scope.ts';
import { settingNamed } from './setting-name.ts';
import type { StatementFacts } from './statement-facts.ts';
import { as, type FieldsOf, literalText, type Node, namesOf, stringOf } from './tree.ts';

export function functionCall(
  facts: StatementFacts,
  fields: FieldsOf<'FuncCall'>,
  scope: Scope | undefined,
): CallResult {
  checkFields(facts, 'FuncCall', fields);
  const names = namesOf(fields.funcname) ?? [];
  const args = expressions(facts, fields.args, scope);
  const ordered = expressions(facts, fields.agg_order, scope);
  for (const key of ordered) {
    facts.noteInferred(key);
  }
  // WITHIN GROUP: what is ordered is an argument of the function.
  const call = {
    names,
    args: fields.agg_within_group ? [...args, ...ordered] : args,
    location: fields.location,
  };
  let result = callFunction(facts, call) ?? notAFunction(facts, fields, call.args);
  if (names.at(-1) === 'set_config') {
    noteSetConfig(facts, fields.args ?? [], scope);
  }
  if (isRowCount(facts, fields, scope) && result.functions.every(isBuiltIn)) {
    result = { ...result, lineage: constant(TYPE.int8) };
  }
  const filter = fields.agg_filter ? condition(facts, fields.agg_filter, scope) : [];
  const lineage = withOrigins(withOrigins(result.lineage, derive(ordered).origins), [
    ...filter,
    ...windowOrigins(facts, fields.over, scope),
  ]);
  return { ...result, lineage };
}

/** `count(t)`, `count(t.*)`: a row of a relation is never NULL, whatever is in it. */
function isRowCount(
  facts: StatementFacts,
  fields: FieldsOf<'FuncCall'>,
  scope: Scope | undefined,
): boolean {
  const [argument, second] = fields.args ?? [];
  const names = namesOf(fields.funcname) ?? [];
  const parts = as(argument, 'ColumnRef')?.fields ?? [];
  const table = stringOf(parts[0]) ?? '';
  const isRow =
    parts.length === 1 ? findColumn(facts, scope, table) === undefined : isStar(argument);
  return (
    names.at(-1) === 'count' &&
    second === undefined &&
    !fields.agg_distinct &&
    parts.length <= 2 &&
    isRow &&
    findTable(scope, table)?.relation !== undefined
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
    const type = findType(facts, { names: fields.funcname ?? [] });
    return { lineage: derive(args, type?.oid), functions: [] };
  }
  facts.functions.set(names.join('.'), {
    schema: names.at(-2),
    name: names.at(-1) ?? '',
    builtIn: false,
  });
  facts.refuse(`function ${names.join('.')} is not known`, {
    location: fields.location,
    missing: names.join('.'),
  });
  return { lineage: derive(args), functions: [] };
}

/** set_config('role', 'x', false) is SET ROLE x in the dress of an expression. */
function noteSetConfig(
  facts: StatementFacts,
  args: readonly Node[],
  scope: Scope | undefined,
): void {
  const name = literalText(args[0]) ?? settingNamed(args[0], scope);
  if (name === undefined) {
    facts.settings.push({ name: '*', value: undefined, local: false });
    facts.refuse('set_config() with a computed name can change any setting', {
      hint: 'Write the name of the setting as a literal.',
    });
    return;
  }
  facts.settings.push({
    name: name.toLowerCase(),
    value: literalText(args[1]),
    local: literalText(args[2]) === 'true' || literalText(args[2]) === 't',
  });
}
