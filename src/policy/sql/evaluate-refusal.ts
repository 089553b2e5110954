/**
 * The text of a refusal. It must let a person, or an agent, go on: what was refused, by which
 * rule, and what may be done instead. It names only what the statement itself names.
 */
import { describeConditions } from '../describe-grant.ts';
import type { Grant, Refusal, RuleRef } from '../types.ts';

/** Characters. psql prints the hint on one line. */
const MAX_HINT = 400;

export interface RefusalText {
  readonly code: Refusal['code'];
  readonly message: string;
  /** The rule that says so; undefined: none allows it. */
  readonly rule?: RuleRef | undefined;
  /** A full sentence in place of "Rule … denies it.". */
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly sqlState?: string;
  readonly position?: number | undefined;
}

export function refusal(grant: Grant, text: RefusalText): Refusal {
  const commit = grant.commit.slice(0, 12);
  const by = text.rule
    ? `Rule ${text.rule.id} (${text.rule.file === 'builtin' ? '' : `${text.rule.file}:${text.rule.line}, `}policy ${commit})`
    : undefined;
  return {
    code: text.code,
    sqlState: text.sqlState ?? '42501',
    message: text.message,
    detail: joined(text.detail, by ? `${by} says so.` : `No rule of policy ${commit} allows it.`),
    hint: text.hint ?? joined(allowedInstead(grant), onRequest(grant)),
    position: text.position,
    rule: text.rule,
  };
}

/** "Allowed here: select on public.*; insert on public.orders." */
function allowedInstead(grant: Grant): string | undefined {
  const allowed = grant.rules
    .filter(({ effect }) => effect === 'allow')
    .map((rule) => describeConditions(rule));
  if (allowed.length === 0) {
    return onRequest(grant) !== undefined
      ? undefined
      : 'Ask the people who review the policy repository.';
  }
  let hint = 'Allowed here: ';
  let shown = 0;
  for (const text of new Set(allowed)) {
    if (hint.length + text.length > MAX_HINT) {
      break;
    }
    hint += shown === 0 ? text : `; ${text}`;
    shown += 1;
  }
  return shown < new Set(allowed).size ? `${hint}; and more (see \`hoop targets\`).` : `${hint}.`;
}

/** "More on request: hoop access request prod-db --grant fix-orders." */
function onRequest({ target, requestable = [] }: Grant): string | undefined {
  const [only, second] = requestable;
  if (only === undefined) {
    return undefined;
  }
  const grant = second === undefined ? ` --grant ${only}` : '';
  return `More on request: see \`hoop access list\`, then \`hoop access request ${target}${grant}\`.`;
}

function joined(...sentences: (string | undefined)[]): string {
  return sentences.filter((sentence) => sentence !== undefined).join(' ');
}
