/**
 * The text of a refusal. It must let a person, or an agent, go on: what was refused, by which
 * rule, and what may be done instead. It names only what the statement itself names.
 */

import { bothAllow } from './both-allow.ts';
import type { Grant, Refusal, RuleRef, StatementRule } from './types.ts';
import { describeConditions } from './words/describe-grant.ts';
import { requestCommand } from './words/request-command.ts';

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
  readonly position?: number | undefined;
  /** What rules of these effects cover, in words; absent: those of the grant about statements. */
  readonly covered?: Readonly<Record<'allow' | 'approve', readonly string[]>>;
}

export function refusal(grant: Grant, text: RefusalText): Refusal {
  const commit = grant.commit.slice(0, 12);
  const by = text.rule
    ? `Rule ${text.rule.id} (${text.rule.file === 'builtin' ? '' : `${text.rule.file}:${text.rule.line}, `}policy ${commit}) says so.`
    : lacking(grant, commit);
  return {
    code: text.code,
    message: text.message,
    detail: joined(askedBy(grant), text.detail, by),
    hint:
      text.hint ??
      joined(
        allowedInstead(grant, text),
        onceApproved(grant, text),
        onRequest(grant),
        wayOut(grant),
      ),
    position: text.position,
    rule: text.rule,
  };
}

/** "devin asks for ann@example.org." An agent must learn that it is not the person who is refused. */
function askedBy({ agent }: Grant): string | undefined {
  if (agent === undefined || (agent.isAgent && agent.requester === undefined)) {
    return undefined;
  }
  const { name, isAgent, principal, requester } = agent;
  const whom = requester === undefined ? '' : ` (for ${requester}, says its issuer)`;
  return isAgent
    ? `Requested by ${principal}${whom}.`
    : `Requested by ${name} for ${principal}${whom}.`;
}

/** Which of both sides has no rule. */
function lacking({ agent }: Grant, commit: string): string {
  switch (agent?.side) {
    case 'agent':
      return `No rule of agent ${agent.name} (${agent.file}, policy ${commit}) allows it.`;
    case 'principal':
      return `No rule of policy ${commit} allows it for ${agent.principal}.`;
    case undefined:
      return `No rule of policy ${commit} allows it.`;
  }
}

/** Where the agent alone is what stands in the way: it is asked second. */
function wayOut({ agent }: Grant): string | undefined {
  return agent?.side === 'agent' && !agent.isAgent
    ? `${agent.principal} may do it without the agent, if appropriate.`
    : undefined;
}

/** "Allowed here: select on public.*; insert on public.orders." */
function allowedInstead(grant: Grant, text: RefusalText): string | undefined {
  const { agent } = grant;
  const whom = agent?.side === 'agent' ? `for agent ${agent.name}` : 'here';
  return (
    rulesWith('allow', `Allowed ${whom}: `, grant, text) ??
    (onceApproved(grant, text) !== undefined || onRequest(grant) !== undefined
      ? undefined
      : 'Ask the people who review the policy repository.')
  );
}

/** "Once approved: delete with WHERE on public.orders." */
function onceApproved(grant: Grant, text: RefusalText): string | undefined {
  return rulesWith('approve', 'Once approved: ', grant, text);
}

function rulesWith(
  effect: 'allow' | 'approve',
  start: string,
  grant: Grant,
  { covered }: RefusalText,
): string | undefined {
  const texts = new Set(
    covered?.[effect] ?? rulesOf(effect, grant).map((rule) => describeConditions(rule)),
  );
  if (texts.size === 0) {
    return undefined;
  }
  let hint = start;
  let shown = 0;
  for (const text of texts) {
    if (hint.length + text.length > MAX_HINT) {
      break;
    }
    hint += shown === 0 ? text : `; ${text}`;
    shown += 1;
  }
  return shown < texts.size ? `${hint}; and more (see \`hoop targets\`).` : `${hint}.`;
}

/** With an agent: what both sides allow, and what is left to approve when both have been asked. */
function rulesOf(effect: 'allow' | 'approve', { agent, rules }: Grant): readonly StatementRule[] {
  const ofEffect = (list: readonly StatementRule[], wanted: 'allow' | 'approve') =>
    list.filter((rule) => rule.effect === wanted);
  if (agent === undefined) return ofEffect(rules, effect);
  const { principal, agent: own } = agent.sides;
  const both = (one: 'allow' | 'approve', other: 'allow' | 'approve') =>
    bothAllow(ofEffect(principal, one), ofEffect(own, other));
  return effect === 'allow'
    ? both('allow', 'allow')
    : [...both('approve', 'approve'), ...both('approve', 'allow'), ...both('allow', 'approve')];
}

/** "More on request: hoop access request prod-db --grant fix-orders." */
function onRequest({ target, requestable = [], agent }: Grant): string | undefined {
  const [only, second] = requestable;
  // What is asked for adds to what the principal has, and to nothing of the agent's.
  if (only === undefined || agent?.side === 'agent') {
    return undefined;
  }
  const command = requestCommand(target, second === undefined ? only : undefined);
  if (agent !== undefined && !agent.isAgent) {
    return `${agent.principal} can request more access, outside the run: \`${command}\`.`;
  }
  return `More on request: see \`hoop access list\`, then \`${command}\`.`;
}

function joined(...sentences: (string | undefined)[]): string {
  return sentences.filter((sentence) => sentence !== undefined).join(' ');
}

/** One that no rule of a grant explains. */
export function plainRefusal(text: Pick<Refusal, 'code' | 'message'> & Partial<Refusal>): Refusal {
  return { detail: undefined, hint: undefined, position: undefined, rule: undefined, ...text };
}
