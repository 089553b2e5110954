/** Rules with `rows` that are valid and do not do what they look like. */
import { sameScope } from './cross-check.ts';
import { rowCountText } from './describe-grant.ts';
import type { Policy, PolicyProblem } from './policy.ts';
import type { StatementRule } from './types.ts';
import { verbMatches } from './verbs.ts';

export function rowWarnings(policy: Policy): PolicyProblem[] {
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
    return `rule ${rule.rule.id} asks for approval above ${rowCountText(above)}, and no rule allows ${open.join(', ')} up to there: it is refused whatever it changes; add an allow rule`;
  }
  const gap = rule.verbs.find((verb) =>
    all
      .filter((other) => allows(other, verb, rule))
      .every((other) => other.rows !== undefined && other.rows < above),
  );
  return gap === undefined
    ? undefined
    : `rule ${rule.rule.id} asks for approval above ${rowCountText(above)}, and what allows ${gap} ends before: what changes more is refused, and none of it is held; give both the same number`;
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
