/**
 * Relations, types and functions that get another name. Rules know them by name, so a new name must
 * neither hide one from a rule that denies something of it, nor open what the old one kept shut.
 */
import { patternMatches, qualifiedName, reachesSchema } from '../../../../policy/patterns.ts';
import type { Grant, StatementRule } from '../../../../policy/types.ts';
import { verbMatches } from '../../../../policy/verbs.ts';
import type { RelationMove, StatementAnalysis } from '../facts/analysis-types.ts';
import type { SqlRefusal } from '../facts/types.ts';
import { refusal } from './evaluate-refusal.ts';

type Name = RelationMove['from'];

/** No object has it, and `*` alone covers it. */
const NO_NAME = '\0';

interface Opened {
  readonly move: RelationMove;
  readonly verb: string;
}

/** Whether what the rule is about has a name afterwards of which it does not speak. */
export function losesSight(rule: StatementRule, { moves = [] }: StatementAnalysis): boolean {
  return moves.some(({ from, to, isFunction }) => {
    if (from.name === undefined || to.name === undefined) {
      return [...rule.relations, ...rule.functions].some(
        (one) => reachesSchema(one, from.schema) && !reachesSchema(one, to.schema),
      );
    }
    const patterns = isFunction ? rule.functions : rule.relations;
    return covers(patterns, from) && !covers(patterns, to);
  });
}

/** @returns what one may do under the new name alone. */
export function openedBy({ moves = [] }: StatementAnalysis, grant: Grant): Opened | undefined {
  for (const move of moves) {
    const { from, to, isFunction = false } = move;
    const opens = (patterns: readonly string[]): boolean =>
      patterns.some((pattern) => reaches(pattern, to)) && !covers(patterns, from);
    // A schema takes its functions along.
    if ((isFunction || from.name === undefined) && opens(grant.rules.flatMap(callable))) {
      return { move, verb: 'call' };
    }
    if (isFunction) continue;
    const verb = grant.rules
      .flatMap(({ verbs }) => verbs)
      .find((one) => opens(grant.rules.flatMap((rule) => patternsFor(rule, one))));
    if (verb !== undefined) return { move, verb };
  }
  return undefined;
}

function callable({ effect, functions }: StatementRule): readonly string[] {
  return effect === 'deny' ? [] : functions;
}

/** Relations that the rule allows this verb on; CALL, too, is allowed by a verb and by functions. */
function patternsFor(rule: StatementRule, verb: string): readonly string[] {
  const { effect, functions, relations, verbs } = rule;
  if (effect === 'deny') return [];
  if (functions.length > 0 || !verbs.some((one) => verbMatches(one, verb))) return [];
  return relations.length === 0 ? ['*'] : relations;
}

/** Whether a pattern speaks of the relation, or of some relation of the schema. */
function reaches(pattern: string, { schema, name }: Name): boolean {
  return name === undefined
    ? reachesSchema(pattern, schema)
    : patternMatches(pattern, schema, name);
}

/** Whether they speak of the relation, or of all relations of the schema. */
function covers(patterns: readonly string[], { schema, name = NO_NAME }: Name): boolean {
  return patterns.some((pattern) => patternMatches(pattern, schema, name));
}

export function movedAway(rule: StatementRule, statement: string, grant: Grant): SqlRefusal {
  return refusal(grant, {
    code: 'HOOP_DENIED',
    message: `${statement} is denied by policy`,
    detail: `Rule ${rule.rule.id} denies actions on it by name, and would not recognise it under another name.`,
    rule: rule.rule,
    hint: 'Have someone do it for whom nothing on it is denied, and change the rule too.',
  });
}

export function movedInto({ move, verb }: Opened, statement: string, grant: Grant): SqlRefusal {
  const [from, to] = [move.from, move.to].map(({ schema, name }) =>
    name === undefined ? `schema ${schema}` : qualifiedName(schema, name),
  );
  const does = verb === '*' ? 'everything' : verb;
  return refusal(grant, {
    code: 'HOOP_NOT_ALLOWED',
    message: `${statement} is not allowed by policy: it would allow ${does.toUpperCase()} on it`,
    detail: `The policy allows ${does} on ${to} and not on ${from}.`,
    hint: `Choose another name, or have someone do it whom the policy allows ${does} on both.`,
  });
}
