/** What is valid and may not be what was meant: said by `hoop policy check`, refused by nothing. */

import { ownRules } from './connector.ts';
import { sameScope } from './cross-check.ts';
import type { Policy, PolicyDocument, PolicyProblem } from './policy.ts';
import type { StatementRule } from './types.ts';
import { OWN_LOGIN, verbMatches } from './verbs.ts';
import { columnName, rowCountText } from './words/describe-grant.ts';

/** Runs SQL of whoever sends it, which no rule sees. (What `call` runs somebody has made before.) */
const DO = 'do';

export function policyWarnings(policy: Policy): PolicyProblem[] {
  const ways = policy.documents.flatMap((document) =>
    document.rules
      .filter(({ effect }) => effect === 'allow')
      .flatMap((rule) => wayRound(policy, document, rule)),
  );
  return [
    ...ways,
    ...showing(policy),
    ...ownLogins(policy),
    ...rowWarnings(policy),
    ...openMasks(policy),
    ...pointlessLookups(policy),
    ...ownRules(policy.connectors).flatMap((one) => one.warnings?.(policy) ?? []),
  ];
}

/** Nobody sees what a function returns: these are past every mask. */
function showing(policy: Policy): PolicyProblem[] {
  return [...policy.documents, ...policy.agents.values()].flatMap(({ rules }) =>
    rules
      .filter(({ mayShow }) => mayShow !== undefined)
      .map(({ rule: { id, file, line }, functions }) => ({
        file,
        line,
        column: 1,
        message: `rule ${id}: ${functions.join(', ')} may return masked data in clear (mayShow: masked)`,
      })),
  );
}

/** Who changes a login has a way past hoop, or can take hoop's own away. */
function ownLogins(policy: Policy): PolicyProblem[] {
  return [...policy.documents, ...policy.agents.values()].flatMap(({ rules }) =>
    rules
      .filter(({ effect, verbs }) => effect !== 'deny' && verbs.includes(OWN_LOGIN))
      .map(({ rule: { id, file, line }, effect }) => ({
        file,
        line,
        column: 1,
        message: `rule ${id} ${effect === 'allow' ? 'allows' : 'holds for approval'} "${OWN_LOGIN}": whoever may change a login can reach the database without hoop, unmasked and unrecorded, or lock hoop out`,
      })),
  );
}

/** `inference: allow` is a choice: whoever makes it is told what it gives. */
function openMasks(policy: Policy): PolicyProblem[] {
  return [...policy.documents, ...policy.agents.values()].flatMap(({ file, masks }) => {
    const open = masks.filter(({ inference }) => inference === 'allow');
    const [first] = open;
    return first === undefined
      ? []
      : [
          {
            file,
            line: first.rule.line,
            column: 1,
            message: `inference: allow lets people filter by ${open.map(columnName).join(', ')}, and whoever can filter can guess the values within seconds; use inference: deny, with lookup: true for columns that people look rows up by`,
          },
        ];
  });
}

/** Where every comparison is allowed there is nothing that `lookup` adds, and nothing is counted. */
function pointlessLookups(policy: Policy): PolicyProblem[] {
  return [...policy.documents, ...policy.agents.values()].flatMap(({ masks }) =>
    masks
      .filter(({ lookup, inference }) => lookup === true && inference === 'allow')
      .map(({ rule: { file, line }, ...mask }) => ({
        file,
        line,
        column: 1,
        message: `lookup: true on ${columnName(mask)} has no effect, because inference: allow applies to it: any comparison is allowed, and none is counted; use inference: deny, or omit lookup`,
      })),
  );
}

function wayRound(policy: Policy, document: PolicyDocument, rule: StatementRule): PolicyProblem[] {
  if (!rule.verbs.includes(DO)) {
    return [];
  }
  const others = policy.documents.filter(
    (other) => other === document || sameScope(policy, document, other),
  );
  // Where something is masked, what cannot be seen into is refused anyway.
  if (others.some(({ masks, detectors }) => masks.length + detectors.length > 0)) {
    return [];
  }
  const rules = others.flatMap((other) => other.rules);
  const asking = rules.filter((other) => other.effect === 'approve');
  if (asking.length === 0 || rules.some(coversDo)) {
    return [];
  }
  const ids = asking.map((other) => other.rule.id).join(', ');
  const { id, file, line } = rule.rule;
  return [
    {
      file,
      line,
      column: 1,
      message: `rule ${id} allows "do", but hoop cannot see what a DO block does: this gets around the approval that ${ids} ${asking.length === 1 ? 'requires' : 'require'}; require approval for "do" as well, or remove it`,
    },
  ];
}

/** It denies every DO, or holds it for approval. */
function coversDo({ effect, verbs, relations, functions, ...when }: StatementRule): boolean {
  const isUnconditional =
    relations.length === 0 &&
    functions.length === 0 &&
    when.qualified === undefined &&
    when.rows === undefined;
  const names = verbs.length === 0 || verbs.includes('*') || verbs.includes(DO);
  return effect !== 'allow' && isUnconditional && names;
}

/** Rules with `rows` that are valid and do not do what they look like. */
function rowWarnings(policy: Policy): PolicyProblem[] {
  const documents = policy.documents.flatMap((document) => {
    const others = policy.documents.filter(
      (other) => other === document || sameScope(policy, document, other),
    );
    return document.rules.map((rule) => ({ rule, all: others.flatMap(({ rules }) => rules) }));
  });
  const agents = [...policy.agents.values()].flatMap(({ rules }) =>
    rules.map((rule) => ({ rule, all: rules })),
  );
  return [...documents, ...agents].flatMap(({ rule, all }) => {
    const message = messageFor(rule, all);
    const { file, line } = rule.rule;
    return message === undefined ? [] : [{ file, line, column: 1, message }];
  });
}

function messageFor(rule: StatementRule, all: readonly StatementRule[]): string | undefined {
  const { effect, rows } = rule;
  const above = rows ?? 0;
  if (rows === undefined || effect !== 'approve') return undefined;
  const open = rule.verbs.filter((verb) => !all.some((other) => allows(other, verb, rule)));
  if (open.length > 0) {
    return `rule ${rule.rule.id} requires approval above ${rowCountText(above)}, but no rule allows ${open.join(', ')} up to there: it is always refused; add an allow rule`;
  }
  const gap = rule.verbs.find((verb) =>
    all
      .filter((other) => allows(other, verb, rule))
      .every((other) => other.rows !== undefined && other.rows < above),
  );
  return gap === undefined
    ? undefined
    : `rule ${rule.rule.id} requires approval above ${rowCountText(above)}, but the rule that allows ${gap} stops earlier: statements in between are refused instead of held; give both the same number`;
}

/** COPY is allowed as the INSERT that it is. */
function allows(other: StatementRule, verb: string, { relations }: StatementRule): boolean {
  const needed = verb === 'copy' ? 'insert' : verb;
  return (
    (other.effect === 'allow' || (other.effect === 'approve' && other.rows === undefined)) &&
    other.functions.length === 0 &&
    other.verbs.some((one) => verbMatches(one, needed)) &&
    mayMeet(other.relations, relations)
  );
}

/** Whether one relation can be in both: patterns of the same text, or one of any. */
function mayMeet(a: readonly string[], b: readonly string[]): boolean {
  const meet = (one: string, other: string): boolean => {
    const [short = '', long = ''] = one.length < other.length ? [one, other] : [other, one];
    return one === other || short.includes('*') || long.includes('*');
  };
  return a.length === 0 || b.length === 0 || a.some((one) => b.some((other) => meet(one, other)));
}
