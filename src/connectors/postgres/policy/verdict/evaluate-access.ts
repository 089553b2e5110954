/**
 * Rules against what a statement does: every part of it needs a rule that allows it, and no part
 * may be denied. The parts are pairs of a verb and a relation; the analysis lists verbs and
 * relations apart, so a statement with several verbs is asked about every pair that they can form.
 */

import { demandOf, unanswerableText } from '../../../../policy/decide-by-rules.ts';
import {
  namesExactly,
  namesSchema,
  patternMatches,
  qualifiedName,
  reachesSchema,
} from '../../../../policy/patterns.ts';
import type { ApprovalDemand, Grant, RuleRef, StatementRule } from '../../../../policy/types.ts';
import { OWN_LOGIN, verbMatches } from '../../../../policy/verbs.ts';
import { allowSnippet } from '../../../../policy/words/rule-snippet.ts';
import type { IndirectWrite, RelationFact, StatementAnalysis } from '../facts/analysis-types.ts';
import type { SqlRefusal } from '../facts/types.ts';
import {
  allowingCall,
  callNotAllowed,
  coversAllRelations,
  isUnrestricted,
  namesFunction,
} from './evaluate-functions.ts';
import { losesSight, movedAway, movedInto, openedBy } from './evaluate-moves.ts';
import { refusal } from './evaluate-refusal.ts';
import { allowingUse, sequenceNotAllowed, speaksOfUse } from './evaluate-sequences.ts';
import { builtin } from './guards.ts';
import { isBuiltInVerb, isCodeVerb, isRoleVerb, isWritingVerb } from './guards-verbs.ts';

export type Access =
  | {
      readonly effect: 'allow';
      readonly rules: readonly RuleRef[];
      /** Not empty: allowed once all of these are satisfied. */
      readonly approvals: readonly ApprovalDemand[];
      /** What allows parts of it only up to a number of rows. */
      readonly limits: readonly RowLimit[];
      /** Rules with `rows` that deny it, or hold it for approval, above that number. */
      readonly above: readonly StatementRule[];
    }
  | { readonly effect: 'refuse'; readonly refusal: SqlRefusal };

export interface RowLimit {
  readonly rows: number;
  readonly rule: RuleRef;
  readonly hint: string | undefined;
  /** Smallest `rows` of the approve rules that allow the same part above their number. */
  readonly heldAbove: number | undefined;
}

interface Part {
  readonly verb: string;
  readonly relation: RelationFact | undefined;
}

const STRUCTURE = new Set(['pg_catalog', 'information_schema']);
/** Only a rule that writes the schema's name out speaks about these. */
const SYSTEM = new Set([...STRUCTURE, 'pg_toast']);
const CONDITIONAL = new Set(['update', 'delete', 'merge']);

export function checkAccess(analysis: StatementAnalysis, grant: Grant): Access {
  const speaking = grant.rules.filter(
    (rule) => rule.effect !== 'allow' && speaksOf(rule, analysis),
  );
  const always = speaking.filter(({ rows }) => rows === undefined);
  const denying = always.find(({ effect }) => effect === 'deny');
  if (denying) {
    return { effect: 'refuse', refusal: refusedBy(denying, analysis, grant) };
  }
  const moving = grant.rules.filter(
    (rule) => rule.effect !== 'allow' && losesSight(rule, analysis),
  );
  const closing = moving.find(({ effect }) => effect === 'deny');
  if (closing) {
    return { effect: 'refuse', refusal: movedAway(closing, describeStatement(analysis), grant) };
  }
  const opened = openedBy(analysis, grant);
  if (opened) {
    return { effect: 'refuse', refusal: movedInto(opened, describeStatement(analysis), grant) };
  }
  const approvals = [...new Set([...always, ...moving])].flatMap(demandOf);
  const nobody = unanswerable(approvals, analysis, grant);
  if (nobody) {
    return { effect: 'refuse', refusal: nobody };
  }
  const rules = new Map<string, RuleRef>();
  const limits: RowLimit[] = [];
  for (const part of partsOf(analysis)) {
    const allowed = allowing(part, analysis, grant);
    if (!allowed) {
      const isLogin = part.verb === OWN_LOGIN;
      const refused = isLogin
        ? loginNotAllowed(analysis, grant)
        : notAllowed(part, analysis, grant);
      return { effect: 'refuse', refusal: refused };
    }
    rules.set(allowed.rule.id, allowed.rule);
    limits.push(...(allowed.limit === undefined ? [] : [allowed.limit]));
  }
  for (const called of analysis.functions) {
    const rule = allowingCall(called, analysis, grant);
    if (rule === undefined) {
      return { effect: 'refuse', refusal: callNotAllowed(called, grant) };
    }
    if (rule) {
      rules.set(rule.id, rule);
    }
  }
  for (const used of analysis.sequences ?? []) {
    const rule = allowingUse(used, grant);
    if (rule === undefined) {
      return { effect: 'refuse', refusal: sequenceNotAllowed(used, grant) };
    }
    if (rule) {
      rules.set(rule.id, rule);
    }
  }
  const above = speaking.filter(({ rows }) => rows !== undefined);
  return { effect: 'allow', rules: [...rules.values()], approvals, limits, above };
}

/** What must be allowed. Relations behind a view are the view's business, as in PostgreSQL. */
function partsOf(analysis: StatementAnalysis): Part[] {
  const reads = analysis.reads.filter(({ via }) => via === undefined);
  const writes = analysis.writes.filter(({ via }) => via === undefined);
  const parts: Part[] = reads.map((relation) => ({ verb: 'select', relation }));
  let wrote = false;
  for (const verb of new Set(analysis.verbs)) {
    // Who may change logins may do so with the statements that are for roles alone.
    if (analysis.loginChange !== undefined && isRoleVerb(verb)) continue;
    if (isBuiltInVerb(verb) || (verb === 'select' && reads.length > 0)) {
      continue;
    }
    const relations =
      verb === 'select' ? [] : writes.length > 0 ? writes : isWritingVerb(verb) ? [] : reads;
    parts.push(
      ...(relations.length > 0 ? relations : [undefined]).map((relation) => ({ verb, relation })),
    );
    wrote ||= verb !== 'select';
  }
  if (!wrote) {
    // EXPLAIN UPDATE … has no verb but explain; it still tells about the relation.
    parts.push(...writes.map((relation) => ({ verb: 'update', relation })));
  }
  return parts;
}

interface Allowing {
  readonly rule: RuleRef;
  readonly limit?: RowLimit;
}

function allowing(part: Part, analysis: StatementAnalysis, grant: Grant): Allowing | undefined {
  const { verb, relation } = part;
  const structural = relation === undefined || STRUCTURE.has(relation.schema);
  if (verb === 'select' && structural) {
    // SELECT version(), \d and what every client asks first.
    const reader = grant.rules.find((rule) => mayRead(rule));
    if (reader) {
      return { rule: relation === undefined ? reader.rule : builtin('catalog') };
    }
  }
  const rules = grant.rules.filter(
    (rule) =>
      rule.effect !== 'deny' &&
      rule.functions.length === 0 &&
      namesVerb(rule, verb, grant) &&
      covers(rule, relation) &&
      (rule.qualified === undefined ||
        !CONDITIONAL.has(verb) ||
        (analysis.qualified === true) === rule.qualified),
  );
  return rules.find(({ rows }) => rows === undefined) ?? allowingSome(rules);
}

/** Of rules that allow a number of rows the one that allows most. */
function allowingSome(rules: readonly StatementRule[]): Allowing | undefined {
  const numbers = (effect: StatementRule['effect']): readonly number[] =>
    rules.flatMap((rule) => (rule.effect === effect ? (rule.rows ?? []) : []));
  const most = Math.max(...numbers('allow'));
  const allowed = rules.find(({ effect, rows }) => effect === 'allow' && rows === most);
  if (allowed === undefined) return undefined;
  const { rule, hint } = allowed;
  const held = numbers('approve');
  const heldAbove = held.length === 0 ? undefined : Math.min(...held);
  return { rule, limit: { rows: most, rule, hint, heldAbove } };
}

function mayRead(rule: StatementRule): boolean {
  return (
    rule.effect !== 'deny' &&
    rule.functions.length === 0 &&
    rule.verbs.some((ruleVerb) => verbMatches(ruleVerb, 'select'))
  );
}

function namesVerb(rule: StatementRule, verb: string, grant: Grant): boolean {
  if (verb === OWN_LOGIN) return rule.verbs.includes(OWN_LOGIN);
  const explicit = isCodeVerb(verb) && !isUnrestricted(grant);
  return rule.verbs.some(
    (ruleVerb) => !(explicit && ruleVerb === '*') && verbMatches(ruleVerb, verb),
  );
}

/** For allow rules: a wildcard does not reach into the system schemas. */
function covers(rule: StatementRule, relation: RelationFact | undefined): boolean {
  if (relation === undefined) {
    return coversAllRelations(rule);
  }
  if (SYSTEM.has(relation.schema)) {
    return rule.relations.some(
      (pattern) => namesSchema(pattern) && patternMatches(pattern, relation.schema, relation.name),
    );
  }
  return (
    rule.relations.length === 0 ||
    rule.relations.some((pattern) => patternMatches(pattern, relation.schema, relation.name))
  );
}

/** Whether a deny or approve rule meets any part of the statement, views looked through. */
function speaksOf(rule: StatementRule, analysis: StatementAnalysis): boolean {
  if (rule.functions.length > 0) {
    return (
      (rule.verbs.length === 0 ||
        analysis.verbs.some((verb) =>
          rule.verbs.some((ruleVerb) => verbMatches(ruleVerb, verb)),
        )) &&
      analysis.functions.some(
        (called) =>
          namesFunction(rule, called) ||
          // Not resolved: it may be any function of that name.
          (called.schema === undefined &&
            rule.functions.some((pattern) => namesExactly(pattern, called.name))),
      )
    );
  }
  const { reads, writes, writesIndirectly = [] } = analysis;
  if (
    writesIndirectly.some((write) => speaksOfIndirect(rule, write, analysis)) ||
    speaksOfDropped(rule, analysis) ||
    analysis.sequences?.some((used) => speaksOfUse(rule, used))
  ) {
    return true;
  }
  const verbs = new Set([...analysis.verbs, ...(reads.length > 0 ? ['select'] : [])]);
  return [...verbs].some((verb) => {
    const relations =
      verb === 'select' ? reads : isWritingVerb(verb) ? writes : [...reads, ...writes];
    if (!deniesVerb(rule, verb, analysis)) {
      return false;
    }
    return rule.effect === 'approve' ? holds(rule, verb, relations) : touches(rule, relations);
  });
}

/** What the server changes besides is as narrow as the statement that makes it do so. */
function speaksOfIndirect(
  rule: StatementRule,
  write: IndirectWrite,
  analysis: StatementAnalysis,
): boolean {
  return deniesVerb(rule, write.change, analysis) && touches(rule, [write]);
}

/** What goes with a schema and the like is not in the statement: the rule tells what it could be. */
function speaksOfDropped(rule: StatementRule, analysis: StatementAnalysis): boolean {
  const { dropsIn } = analysis;
  return (
    dropsIn !== undefined &&
    DROPS.some((verb) => deniesVerb(rule, verb, analysis)) &&
    (rule.relations.length === 0 ||
      dropsIn === 'anywhere' ||
      rule.relations.some((one) => dropsIn.some((schema) => reachesSchema(one, schema))))
  );
}

const DROPS = ['foreign table', 'materialized view', 'sequence', 'table', 'view'].map(
  (kind) => `drop ${kind}`,
);

/**
 * An approve rule that names nothing in particular must not hold what every client asks first: the
 * structure of the database, and what says or does nothing by itself (BEGIN, SHOW, SELECT 1).
 */
function holds(rule: StatementRule, verb: string, relations: readonly RelationFact[]): boolean {
  if (isBuiltInVerb(verb) && !rule.verbs.includes(verb)) {
    return false;
  }
  if (verb !== 'select') {
    return touches(rule, relations);
  }
  const own = relations.filter(({ schema }) => !STRUCTURE.has(schema));
  return (
    (own.length > 0 && touches(rule, own)) ||
    relations.some(({ schema, name }) =>
      rule.relations.some(
        (pattern) => namesSchema(pattern) && patternMatches(pattern, schema, name),
      ),
    )
  );
}

function deniesVerb(rule: StatementRule, verb: string, analysis: StatementAnalysis): boolean {
  return rule.verbs.some((ruleVerb) => {
    if (!verbMatches(ruleVerb, verb)) {
      return false;
    }
    if (rule.qualified === undefined) {
      return true;
    }
    if (!CONDITIONAL.has(verb)) {
      return ruleVerb !== '*';
    }
    // When it is not known whether there is a condition, either kind of rule holds.
    return analysis.qualified === undefined || analysis.qualified === rule.qualified;
  });
}

function touches(rule: StatementRule, relations: readonly RelationFact[]): boolean {
  return (
    rule.relations.length === 0 ||
    relations.some(({ schema, name }) =>
      rule.relations.some((pattern) => patternMatches(pattern, schema, name)),
    )
  );
}

function refusedBy(rule: StatementRule, analysis: StatementAnalysis, grant: Grant): SqlRefusal {
  const { writesIndirectly: _, dropsIn, ...alone } = analysis;
  const besides =
    dropsIn === undefined
      ? 'The server also changes other rows: foreign keys, rules or partitions require it.'
      : 'The object that the rule protects can be dropped with it.';
  return refusal(grant, {
    code: 'HOOP_DENIED',
    message: `${describeStatement(analysis)} is denied by policy`,
    // Names only what the statement names.
    detail: speaksOf(rule, alone) ? undefined : besides,
    rule: rule.rule,
    hint: rule.hint,
  });
}

export function unanswerable(
  demands: readonly ApprovalDemand[],
  analysis: StatementAnalysis,
  grant: Grant,
): SqlRefusal | undefined {
  const text = unanswerableText(demands, describeStatement(analysis));
  return text && refusal(grant, text);
}

/** E.g. `DELETE on public.orders`. */
export function describeStatement(analysis: StatementAnalysis): string {
  return `${analysis.verb.toUpperCase()}${onRelations(analysis)}`;
}

function onRelations(analysis: StatementAnalysis): string {
  const relation = [...analysis.writes, ...analysis.reads].find(({ via }) => via === undefined);
  return relation ? ` on ${shownName(relation)}` : '';
}

/** Where no schema of the search_path is there, or it is not known, the name stands alone. */
function shownName({ schema, name }: RelationFact): string {
  return schema === '' ? `"${name}"` : qualifiedName(schema, name);
}

function notAllowed(part: Part, analysis: StatementAnalysis, grant: Grant): SqlRefusal {
  const { verb, relation } = part;
  const on = relation ? ` on ${shownName(relation)}` : '';
  const lacksCondition = CONDITIONAL.has(verb) && analysis.qualified !== true;
  const effect = lacksCondition ? effectWithCondition(part, grant) : undefined;
  return refusal(grant, {
    code: 'HOOP_NOT_ALLOWED',
    message:
      effect === undefined
        ? `${verb.toUpperCase()}${on} is not allowed by policy`
        : `${verb.toUpperCase()}${on} without an effective WHERE is not allowed by policy`,
    hint: effect === undefined ? undefined : CONDITION_HINTS[effect],
  });
}

function loginNotAllowed(analysis: StatementAnalysis, grant: Grant): SqlRefusal {
  return refusal(grant, {
    code: 'HOOP_NOT_ALLOWED',
    message: `${analysis.verb.toUpperCase()} is not allowed by policy: ${analysis.loginChange}`,
    detail: 'Afterwards the database could be reached without hoop, or hoop could not reach it.',
    hint: `Only a rule that names \`${OWN_LOGIN}\` allows it: ${allowSnippet({ verbs: [OWN_LOGIN] })}. The operators of the gateway change the password of its own login.`,
  });
}

const CONDITION_HINTS = {
  allow: 'Add a WHERE clause that names the rows.',
  approve: 'Add a WHERE clause that names the rows; an approver then decides about it.',
} as const;

/** What would become of the same statement with a condition; undefined: it would be refused as well. */
function effectWithCondition(part: Part, grant: Grant): 'allow' | 'approve' | undefined {
  const effects = grant.rules
    .filter(
      (rule) =>
        rule.qualified === true &&
        rule.verbs.some((verb) => verbMatches(verb, part.verb)) &&
        covers(rule, part.relation),
    )
    .map(({ effect }) => effect);
  if (effects.includes('deny')) {
    return undefined;
  }
  // Approve beats allow.
  return (['approve', 'allow'] as const).find((effect) => effects.includes(effect));
}
