/**
 * What the policy asks of the connector of a protocol: which keys its targets and rules have, and
 * what they mean. Who may do what, for how long and with whose approval is the same for all of them,
 * and decided here. Pure: values in, values out.
 */
import type * as z from 'zod';
import type { Policy, PolicyProblem, PolicyTarget } from './policy.ts';
import type { CommonTarget } from './schema/target-schema.ts';
import type { ApprovalTerms, RuleEffect, RuleRef } from './types.ts';
import type { YamlPath } from './yaml-document.ts';

/** An entry of the registry, as the policy needs it. */
export interface PolicySource {
  readonly kind: string;
  policy(): Promise<PolicyConnector>;
}

export interface PolicyConnector<Keys extends z.ZodRawShape = z.ZodRawShape> {
  /** Of targets. */
  readonly kind: string;
  /** Of targets/*.yaml, beside those that all targets have. */
  readonly targetKeys: Keys;
  /** @param value what the keys let through */
  targetFrom(
    value: CommonTarget & z.output<z.ZodObject<Keys>>,
    report: Report,
  ): Pick<PolicyTarget, 'addresses' | 'database'>;
  /**
   * `statements`: its targets are databases, and what the policy says of statements, masks and rows
   * is about them. Databases of several kinds have the same rules.
   */
  readonly rules: 'statements' | OwnRules;
}

/** What rules say about targets of a kind that has words of its own. */
interface OwnRules {
  /** Of allow, deny and approve; one of them makes it a rule about these targets. */
  readonly ruleKeys: z.ZodRawShape;
  /** @returns nothing when it is so wrong that there is no rule */
  rulesFrom(
    conditions: Readonly<Record<string, unknown>>,
    start: RuleStart,
    report: Report,
  ): readonly ConnectorRule[];
  /** `deny: everything` */
  everything(start: RuleStart): ConnectorRule;
  /** What is valid and may not be what was meant. */
  warnings?(policy: Policy): PolicyProblem[];
}

export type Report = (path: YamlPath, message: string) => void;

/** What rules have in common, whatever they are about. */
export interface RuleStart {
  readonly effect: RuleEffect;
  readonly rule: RuleRef;
  /** Shown when the rule refuses. */
  readonly hint: string | undefined;
  /** Present with the effect `approve`. */
  readonly approval?: ApprovalTerms;
}

/** One rule of a policy, compiled by the connector that decides by it. */
export interface ConnectorRule extends RuleStart {
  /** What it covers, for people who read the policy or may approve; absent: nothing to say. */
  readonly described?: string;
}

/** By kind of target; a connector without rules has an empty list. */
export type RulesByKind = Readonly<Record<string, readonly ConnectorRule[]>>;

export function mapRules(
  own: RulesByKind,
  change: (rule: ConnectorRule) => ConnectorRule,
): RulesByKind {
  return Object.fromEntries(Object.entries(own).map(([kind, rules]) => [kind, rules.map(change)]));
}

export function policyConnectors(
  sources: readonly PolicySource[],
): Promise<readonly PolicyConnector[]> {
  return Promise.all(sources.map((source) => source.policy()));
}

/** Those whose rules are not about statements. */
export function ownRules(
  connectors: readonly PolicyConnector[],
): readonly (OwnRules & { readonly kind: string })[] {
  return connectors.flatMap(({ kind, rules }) =>
    rules === 'statements' ? [] : [{ kind, ...rules }],
  );
}
