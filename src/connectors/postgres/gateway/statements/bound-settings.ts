/** A statement with set_config($1, …) under the values of one Bind. */
import { isAscii } from 'node:buffer';
import { ProtocolError } from '../../../../errors.ts';
import { grantSides } from '../../../../policy/grant-sides.ts';
import type { Grant } from '../../../../policy/types.ts';
import type { AllowedStatement, SqlRefusal } from '../../policy/facts/types.ts';
import { guardSettings } from '../../policy/verdict/guards.ts';
import { boundSettings, hasOpenSettings } from '../../policy/walk/bound-settings.ts';
import type { Bind } from '../../protocol/frontend-messages.ts';
import type { StreamState } from '../wire/stream-state.ts';
import type { KnownStatement } from './known-statement.ts';

/** Whether what is bound decides which settings it changes. */
export function needsSettings(allowed: AllowedStatement | undefined): boolean {
  return allowed !== undefined && hasOpenSettings(allowed.analysis);
}

/** Texts of parameters: those in binary have the same bytes (textrecv). What cannot be read is left out. */
export function settingValues(
  { allowed }: KnownStatement,
  { parameters }: Pick<Bind, 'parameters'>,
  { encoding, parserDoubt }: Pick<StreamState['settings'], 'encoding' | 'parserDoubt'>,
): ReadonlyMap<number, string> {
  const values = new Map<number, string>();
  const settings = allowed?.analysis.protocol.settings ?? [];
  for (const number of settings.flatMap(({ nameParameter = [], valueParameter = [] }) =>
    [nameParameter, valueParameter].flat(),
  )) {
    const bytes = parameters[number - 1];
    const isClear = encoding.isSafe && encoding.isExact && parserDoubt === undefined;
    if (!bytes || !(isClear || isAscii(bytes))) continue;
    try {
      values.set(number, encoding.codec.decode(bytes));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
    }
  }
  return values;
}

/** The statement as these values make it, or why it must not be bound. */
export function withSettings(
  known: KnownStatement,
  values: ReadonlyMap<number, string>,
  grant: Grant,
): KnownStatement | SqlRefusal {
  const { allowed, basis } = known;
  if (allowed === undefined) return known;
  const { analysis } = allowed;
  const { role, isLoginRole } = basis?.place ?? {};
  const settings = boundSettings(
    analysis.protocol.settings ?? [],
    (parameter) => values.get(parameter),
    { role, isLoginRole },
  );
  for (const side of grantSides(grant)) {
    const refusal = guardSettings(settings, side);
    if (refusal) return refusal;
  }
  const protocol = { ...analysis.protocol, settings };
  return {
    ...known,
    allowed: { ...allowed, analysis: { ...analysis, protocol } },
    settingValues: values,
  };
}
