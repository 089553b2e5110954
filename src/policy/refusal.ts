/**
 * The text of a refusal. It must let a person, or an agent, go on: what was refused, by which
 * rule, and what may be done instead. It names only what the statement itself names.
 */
import { describeConditions } from './describe-grant.ts';
import type { Grant, Refusal, RuleRef } from './types.ts';

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
  // Of both sides at once nothing has been refused in particular: the agent is who reads it.
  const { agent } = grant;
  const rules = agent !== undefined && agent.side === undefined ? agent.sides.agent : grant.rules;
  const texts = new Set(
    covered?.[effect] ??
      rules.filter((rule) => rule.effect === effect).map((rule) => describeConditions(rule)),
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

/** "More on request: hoop access request prod-db --grant fix-orders." */
function onRequest({ target, requestable = [], agent }: Grant): string | undefined {
  const [only, second] = requestable;
  // What is asked for adds to what the principal has, and to nothing of the agent's.
  if (only === undefined || agent?.side === 'agent') {
    return undefined;
  }
  const grant = second === undefined ? ` --grant ${only}` : '';
  if (agent !== undefined && !agent.isAgent) {
    return `${agent.principal} can request more access, outside the run: \`hoop access request ${target}${grant}\`.`;
  }
  return `More on request: see \`hoop access list\`, then \`hoop access request ${target}${grant}\`.`;
}

function joined(...sentences: (string | undefined)[]): string {
  return sentences.filter((sentence) => sentence !== undefined).join(' ');
}

/** One that no rule of a grant explains. */
export function plainRefusal(text: Pick<Refusal, 'code' | 'message'> & Partial<Refusal>): Refusal {
  return { detail: undefined, hint: undefined, position: undefined, rule: undefined, ...text };
}
