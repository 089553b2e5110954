/**
 * What an agent has to know before it works on a target, made from what the gateway says of this
 * run. It holds no secret. ui/briefing-text.ts puts it into words.
 */
import type { AccessReply } from '../tunnel/access-api.ts';
import type { TargetsReply } from '../tunnel/api.ts';

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
  readonly allowed: readonly string[];
  /** Wait for a person. */
  readonly held: readonly string[];
  readonly denied: readonly string[];
  readonly masked: TargetsReply['targets'][number]['masked'];
  readonly limits: TargetsReply['targets'][number]['limits'];
}

export interface BriefedRequest {
  readonly target: string;
  readonly policy: string;
  readonly command: string;
  readonly gives: readonly string[];
}

export function briefing(facts: BriefingFacts): Briefing {
  const { who, commit, targets, main, variables, requestable } = facts;
  return {
    who,
    policy: { commit },
    targets: targets.map((target) => {
      const { name, kind, description, database, rules, masked, limits } = target;
      const urlVariable = variables.get(name);
      const isDefault = name === main;
      return {
        name,
        kind,
        description,
        connect: { urlVariable, isDefault },
        database,
        allowed: rules.filter((rule) => effectOf(rule) === 'allow'),
        held: rules.filter((rule) => effectOf(rule) === 'approve'),
        denied: rules.filter((rule) => effectOf(rule) === 'deny'),
        masked,
        limits,
      };
    }),
    requestable: requestable.map(({ target, policy, rules }) => ({
      target,
      policy,
      command: `hoop access request ${target} --grant ${policy} --for 1h --reason TEXT`,
      gives: rules,
    })),
    recorded: true,
  };
}

/** Rules come as `policy/rule: effect what`; what is not so (`anything, unguarded`) is allowed. */
function effectOf(rule: string): 'allow' | 'approve' | 'deny' {
  const effect = /^[^:]*: (allow|approve|deny)\b/.exec(rule)?.[1];
  return effect === 'approve' || effect === 'deny' ? effect : 'allow';
}
