/**
 * What rules with words of a connector come to: deny beats approve beats allow, what no rule allows is
 * refused, and with an agent both sides must allow it. Pure.
 */
import type { ConnectorRule, RuleStart } from './connector.ts';
import { grantSides } from './grant-sides.ts';
import { type RefusalText, refusal } from './refusal.ts';
import type { ApprovalDemand, ApprovalTerms, Grant, Refusal, RuleRef } from './types.ts';

export interface AllowedByRules {
  readonly effect: 'allow';
  readonly rules: readonly RuleRef[];
  /** All of them must be satisfied; absent: at once. */
  readonly approvals?: readonly ApprovalDemand[];
  /** Names of what it is about, for the index. */
  readonly touches: readonly string[];
}

export interface RefusedByRules {
  readonly effect: 'refuse';
  readonly refusal: Refusal;
  readonly touches: readonly string[];
}

/** Each side by its own rules; the first that refuses says why. */
export function decideBySides<Allowed extends AllowedByRules>(
  grant: Grant,
  decide: (side: Grant) => Allowed | RefusedByRules,
): Allowed | RefusedByRules {
  let both: Allowed | undefined;
  for (const side of grantSides(grant)) {
    const verdict = decide(side);
    if (verdict.effect === 'refuse') return verdict;
    both = both === undefined ? verdict : joined(both, verdict);
  }
  if (both === undefined) throw new TypeError('a grant has at least one side');
  return both;
}

function joined<Allowed extends AllowedByRules>(a: Allowed, b: Allowed): Allowed {
  const approvals = [...(a.approvals ?? []), ...(b.approvals ?? [])];
  return {
    ...{ ...b, ...a },
    rules: [...a.rules, ...b.rules.filter(({ id }) => !a.rules.some((rule) => rule.id === id))],
    ...(approvals.length === 0 ? {} : { approvals }),
  };
}

/**
 * For rules that either are about an operation or are not.
 * @param what for people: `the line`
 */
export function decideByRules<Rule extends ConnectorRule>(
  grant: Grant,
  what: string,
  isAbout: (rule: Rule) => boolean,
  touches: readonly string[] = [],
): AllowedByRules | RefusedByRules {
  return decideBySides(grant, (side) => {
    // They were compiled by the connector that asks.
    const rules = (side.own?.rules ?? []) as readonly Rule[];
    const about = rules.filter(isAbout);
    const refused = refusedBy({ grant: side }, about, what) ?? notAllowed(side, rules, about, what);
    if (refused !== undefined) return { effect: 'refuse', refusal: refused, touches };
    const approvals = about.flatMap(demandOf);
    const giving = about.filter(({ effect }) => effect === 'allow').map(({ rule }) => rule);
    const asking = approvals.map(({ rule }) => rule);
    return {
      ...{ effect: 'allow', rules: asking.length > 0 ? asking : giving.slice(0, 1), touches },
      ...(approvals.length === 0 ? {} : { approvals }),
    };
  });
}

function refusedBy(
  one: { readonly grant: Grant },
  about: readonly ConnectorRule[],
  what: string,
): Refusal | undefined {
  const denying = about.find(({ effect }) => effect === 'deny');
  return denying === undefined
    ? unanswerable(one, about.flatMap(demandOf), what)
    : deniedBy(one, denying, `${what} is denied by policy`);
}

function notAllowed(
  grant: Grant,
  rules: readonly ConnectorRule[],
  about: readonly ConnectorRule[],
  what: string,
): Refusal | undefined {
  if (about.some(({ effect }) => effect !== 'deny')) return undefined;
  const covered = (wanted: ConnectorRule['effect']): string[] =>
    rules.flatMap(({ effect, described = [] }) => (effect === wanted ? described : []));
  return refusal(grant, {
    code: 'HOOP_NOT_ALLOWED',
    message: `${what} is not allowed by policy`,
    covered: { allow: covered('allow'), approve: covered('approve') },
  });
}

export function deniedBy(
  { grant }: { readonly grant: Grant },
  { rule, hint }: Pick<ConnectorRule, 'rule' | 'hint'>,
  message: string,
): Refusal {
  return refusal(grant, { code: 'HOOP_DENIED', message, rule, hint });
}

/** The terms of an approve rule that has none: it asks nobody, and so refuses, rather than allow. */
const NOBODY: ApprovalTerms = {
  groups: [],
  count: 1,
  timeoutSeconds: 0,
  waits: true,
  maxHoldSeconds: 0,
};

export function demandOf({ effect, rule, approval = NOBODY, hint }: RuleStart): ApprovalDemand[] {
  return effect === 'approve' ? [{ rule, terms: approval, hint }] : [];
}

export function unanswerable(
  { grant }: { readonly grant: Grant },
  demands: readonly ApprovalDemand[],
  what: string,
): Refusal | undefined {
  const text = unanswerableText(demands, what);
  return text && refusal(grant, text);
}

/** An approval that nobody can give is a refusal. */
export function unanswerableText(
  demands: readonly ApprovalDemand[],
  what: string,
): RefusalText | undefined {
  const demand = demands.find(({ terms }) => terms.groups.length === 0);
  return (
    demand && {
      code: 'HOOP_APPROVAL_UNAVAILABLE',
      message: `${what} needs an approval that nobody can give`,
      detail: 'The policy names no approvers.',
      rule: demand.rule,
      hint: demand.hint ?? 'Name a group in approvers of the rule, or in roles.approver.',
    }
  );
}
