/**
 * `set_config($1, $2, true)`: which setting it is, and what it becomes, is decided with the values
 * of each Bind or EXECUTE, by the same guard as for literals.
 */

import { TYPE } from '../calls/function-types.ts';
import type { ProtocolEffect, StatementAnalysis } from '../facts/analysis-types.ts';
import { findType } from '../facts/names.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import type { StatementContext } from '../facts/types.ts';
import { declaredType } from '../lookups/lookup-values.ts';
import { as, literalText, type Node } from '../parse/tree.ts';
import { hasOneUse } from './parameter-uses.ts';
import { isRoleInForce } from './session-statements.ts';

export type SettingFact = NonNullable<ProtocolEffect['settings']>[number];

const VARCHAR = 1043;

/** The text of an argument of set_config(): a literal, also as `'x'::text`, which cuts nothing off. */
export function settingText(facts: StatementFacts, node: Node | undefined): string | undefined {
  return literalText(withoutTextCast(facts, node, 'A_Const'));
}

/** @returns the number of the parameter whose text an argument of set_config() is, unchanged. */
export function settingParameter(
  facts: StatementFacts,
  node: Node | undefined,
): number | undefined {
  const parameter = as(withoutTextCast(facts, node, 'ParamRef'), 'ParamRef');
  if (parameter === undefined) return undefined;
  const number = parameter.number ?? 0;
  const declared = declaredType(facts, parameter);
  // Another place could give it another type, as a name of which only 63 bytes count.
  const isText =
    declared === TYPE.unknown
      ? hasOneUse(facts, number)
      : declared === TYPE.text || declared === VARCHAR;
  return isText ? number : undefined;
}

function withoutTextCast(
  facts: StatementFacts,
  node: Node | undefined,
  inner: 'A_Const' | 'ParamRef',
): Node | undefined {
  const cast = as(node, 'TypeCast');
  if (cast === undefined) return as(node, inner) === undefined ? undefined : node;
  const { typmods, arrayBounds, setof } = cast.typeName ?? {};
  const isPlain = !typmods?.length && !arrayBounds?.length && !setof;
  const isText = isPlain && findType(facts, cast.typeName)?.oid === TYPE.text;
  return isText && as(cast.arg, inner) !== undefined ? cast.arg : undefined;
}

/** Settings that this verdict decides about: not those that wait for the values of a Bind or EXECUTE. */
export function settingsOf({ verb, protocol }: StatementAnalysis): readonly SettingFact[] {
  const settings = protocol.settings ?? [];
  // Of all other statements the values are not looked at when they run.
  const isBound = verb === 'select' || protocol.prepare !== undefined;
  return isBound ? settings.filter((setting) => !isOpen(setting)) : settings;
}

export function hasOpenSettings(analysis: StatementAnalysis): boolean {
  return analysis.protocol.settings?.some(isOpen) ?? false;
}

function isOpen({ nameParameter, valueParameter }: SettingFact): boolean {
  return nameParameter !== undefined || valueParameter !== undefined;
}

/** @param textOf the text of a parameter; undefined: it is NULL or cannot be read. */
export function boundSettings(
  settings: readonly SettingFact[],
  textOf: (parameter: number) => string | undefined,
  context: Pick<StatementContext, 'role' | 'isLoginRole'>,
): readonly SettingFact[] {
  return settings.map((setting) => {
    if (!isOpen(setting)) return setting;
    const { nameParameter, valueParameter, local, ...literal } = setting;
    const name = nameParameter === undefined ? literal.name : (textOf(nameParameter) ?? '*');
    const value = valueParameter === undefined ? literal.value : textOf(valueParameter);
    return settingFact(name, value, local, context);
  });
}

/** A setting as set_config() makes it. */
export function settingFact(
  name: string,
  value: string | undefined,
  local: boolean,
  context: Pick<StatementContext, 'role' | 'isLoginRole'>,
): SettingFact {
  const setting = { name: name.toLowerCase(), value, local };
  const isOwnRole = setting.name === 'role' && value !== undefined && isRoleInForce(context, value);
  return isOwnRole ? { ...setting, unchanged: true } : setting;
}
