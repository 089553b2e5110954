/**
 * What an agent has to know before it works on a target, made from what the gateway says of this
 * run. It holds no secret. ui/briefing-text.ts puts it into words.
 */

import type { AccessReply } from '../api/access.ts';
import type { TargetsReply } from '../api/targets.ts';
import { requestCommand } from '../policy/words/request-command.ts';

export interface BriefingFacts {
  /** The agent, and whom it acts for. */
  readonly who: string;
  readonly commit: string;
  readonly targets: TargetsReply['targets'];
  /** Name of the main target, whose place is in PG* and DATABASE_URL. */
  readonly main: string | undefined;
  /** By target: the variable that holds its URL. */
  readonly variables: ReadonlyMap<string, string>;
  readonly requestable: AccessReply['requestable'];
}

export interface Briefing {
  readonly who: string;
  readonly policy: { readonly commit: string };
  readonly targets: readonly BriefedTarget[];
  readonly requestable: readonly BriefedRequest[];
  readonly recorded: true;
}

export interface BriefedTarget {
  readonly name: string;
  readonly kind: string;
  readonly description: string | undefined;
  readonly connect: { readonly urlVariable: string | undefined; readonly isDefault: boolean };
  readonly database: string | undefined;
  /** Empty where `needsOneOfEach` is there: a rule of one side alone gives nothing. */
  readonly allowed: readonly string[];
  /** Wait for a person. */
  readonly held: readonly string[];
  /** By whichever side. */
  readonly denied: readonly string[];
  /** With an agent that has rules: what is done needs a rule of each. */
  readonly needsOneOfEach:
    | { readonly principal: BriefedSide; readonly agent: BriefedSide }
    | undefined;
  readonly masked: TargetsReply['targets'][number]['masked'];
  /** What is looked for in results, in columns without a mask, too. */
  readonly detectors: readonly string[];
  readonly limits: TargetsReply['targets'][number]['limits'];
}

export interface BriefedSide {
  readonly allowed: readonly string[];
  readonly held: readonly string[];
}

export interface BriefedRequest {
  readonly target: string;
  readonly policy: string;
  readonly command: string;
  readonly gives: readonly string[];
  /** It adds to what the principal may do; what the agent has no rule for stays denied. */
  readonly needsAgentRule: boolean;
}

export function briefing(facts: BriefingFacts): Briefing {
  const { who, commit, targets, main, variables, requestable } = facts;
  return {
    who,
    policy: { commit },
    targets: targets.map((target) => {
      const { name, kind, description, database, masked, detectors = [], limits } = target;
      const urlVariable = variables.get(name);
      const isDefault = name === main;
      return {
        name,
        kind,
        description,
        connect: { urlVariable, isDefault },
        database,
        ...rulesOf(target),
        masked,
        detectors,
        limits,
      };
    }),
    requestable: requestable.map(({ target, policy, rules }) => ({
      target,
      policy,
      command: requestCommand(target, policy),
      gives: rules,
      needsAgentRule: targets.some((one) => one.name === target && hasAgentRules(one)),
    })),
    recorded: true,
  };
}

type Target = TargetsReply['targets'][number];

/**
 * What both sides allow is not worked out: `select on public.*` and `anything with WHERE` have no
 * common wording. A denial of either is one of both.
 */
function rulesOf(
  target: Target,
): Pick<BriefedTarget, 'allowed' | 'held' | 'denied' | 'needsOneOfEach'> {
  const { rules, agentRules = [] } = target;
  const denied = [...withEffect(rules, 'deny'), ...withEffect(agentRules, 'deny')];
  return hasAgentRules(target)
    ? {
        allowed: [],
        held: [],
        denied,
        needsOneOfEach: { principal: sideOf(rules), agent: sideOf(agentRules) },
      }
    : { ...sideOf(rules), denied, needsOneOfEach: undefined };
}

/** None: there is no agent, or neither side is restricted. */
function hasAgentRules({ agentRules = [] }: Target): boolean {
  return agentRules.length > 0;
}

function sideOf(rules: readonly string[]): BriefedSide {
  return { allowed: withEffect(rules, 'allow'), held: withEffect(rules, 'approve') };
}

function withEffect(rules: readonly string[], effect: Effect): readonly string[] {
  return rules.filter((rule) => effectOf(rule) === effect);
}

type Effect = 'allow' | 'approve' | 'deny';

/** Rules come as `policy/rule: effect what`; what is not so (`anything, unguarded`) is allowed. */
function effectOf(rule: string): Effect {
  const effect = /^[^:]*: (allow|approve|deny)\b/.exec(rule)?.[1];
  return effect === 'approve' || effect === 'deny' ? effect : 'allow';
}
