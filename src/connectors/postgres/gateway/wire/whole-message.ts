/**
 * A refusal in one line: libraries and servers of the Model Context Protocol pass the message on and
 * drop DETAIL and HINT, and an agent that reads no more than "not allowed" tries again. psql, outside
 * of a run, shows all three fields, each in its place.
 */
import type { SqlRefusal } from '../../policy/facts/types.ts';

/** @returns the message with the rule, for approvals what stands in the detail, and what to do. */
export function wholeMessage({ code, message, detail, hint, rule }: SqlRefusal): string {
  const shown = code.startsWith('HOOP_APPROVAL_') ? detail : undefined;
  const isNamed = rule === undefined || `${message} ${shown}`.includes(rule.id);
  const parts = [isNamed ? undefined : `rule ${rule.id}`, shown, hint];
  return withRest(message, parts);
}

export function withRest(message: string, parts: readonly (string | undefined)[]): string {
  const said = parts.flatMap((part) => (part === undefined || part === '' ? [] : [part]));
  return said.length === 0 ? message : `${message} [${said.join(' | ')}]`;
}
