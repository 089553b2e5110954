/** Rules against the functions that a statement calls, and against access to the server's files. */

import {
  namesExactly,
  namesSchema,
  patternMatches,
  qualifiedName,
} from '../../../../policy/patterns.ts';
import type { Grant, RuleRef, StatementRule } from '../../../../policy/types.ts';
import { OWN_LOGIN, verbMatches } from '../../../../policy/verbs.ts';
import { allowSnippet, conditionsSnippet } from '../../../../policy/words/rule-snippet.ts';
import type { FunctionFact, StatementAnalysis } from '../facts/analysis-types.ts';
import type { SqlRefusal } from '../facts/types.ts';
import { refusal } from './evaluate-refusal.ts';

/** Built-in functions that act on others; a rule must name them. */
const ACTING = new Set(['pg_cancel_backend', 'pg_terminate_backend', 'pg_notify']);

/** @returns null: nothing to ask. undefined: not allowed. */
export function allowingCall(
  called: FunctionFact,
  analysis: StatementAnalysis,
  grant: Grant,
): RuleRef | null | undefined {
  if (called.builtIn || called.harmless) {
    if (!ACTING.has(called.name)) {
      return null;
    }
  }
  if (isUnrestricted(grant) && called.mayChangeLogins !== true) {
    return temporaryFreedom(grant) ?? null;
  }
  const named = grant.rules.find(
    (rule) =>
      rule.effect !== 'deny' &&
      (namesFunction(rule, called) || isNotify(rule, called)) &&
      (rule.verbs.length === 0 ||
        isNotify(rule, called) ||
        rule.verbs.some((ruleVerb) => analysis.verbs.some((verb) => verbMatches(ruleVerb, verb)))),
  )?.rule;
  return named ?? (called.mayChangeLogins ? allowingLogins(grant) : undefined);
}

/** Where nothing else is restricted, this verb is all that such a function lacks. */
function allowingLogins(grant: Grant): RuleRef | undefined {
  const naming = grant.rules.find(
    ({ effect, verbs }) => effect === 'allow' && verbs.includes(OWN_LOGIN),
  );
  return isUnrestricted(grant) ? naming?.rule : undefined;
}

/** pg_notify() is NOTIFY as a function, so what allows the one allows the other. */
function isNotify(rule: StatementRule, { builtIn, name }: FunctionFact): boolean {
  return (
    builtIn &&
    name === 'pg_notify' &&
    coversAllRelations(rule) &&
    rule.verbs.some((verb) => verbMatches(verb, 'notify'))
  );
}

export function namesFunction(rule: StatementRule, called: FunctionFact): boolean {
  return rule.functions.some((pattern) =>
    patternMatches(pattern, called.schema ?? '', called.name),
  );
}

export function callNotAllowed(called: FunctionFact, grant: Grant): SqlRefusal {
  const name =
    called.schema === undefined ? called.name : qualifiedName(called.schema, called.name);
  const isGuarded = grant.masks.length > 0 || grant.detectors.length > 0;
  const isTraced = !isGuarded || called.builtIn || called.via !== undefined;
  return refusal(grant, {
    code: 'HOOP_NOT_ALLOWED',
    message: `function ${name}() is not allowed by policy`,
    detail: called.builtIn
      ? 'It has effects beyond its result.'
      : `${called.via === undefined ? '' : `Rows of ${qualifiedName(called.via.schema, called.via.name)} are written with it: it stands in a default, a check, a domain, a generated column or a trigger. `}${called.mayChangeLogins ? 'It changes roles or runs SQL that it puts together, which a rule for everything does not cover.' : 'Policy cannot see what a function does, so a rule has to name it.'}`,
    hint: callHint(called, isTraced),
  });
}

/** Without a schema there is no rule to show: policies refuse such a name. */
function callHint({ schema, name }: FunctionFact, isTraced: boolean): string {
  if (schema === undefined) {
    return 'There is no such function on the search path. Write its schema in front of the name.';
  }
  const functions = [qualifiedName(schema, name)];
  return isTraced
    ? `A rule can allow it: ${allowSnippet({ functions })}.`
    : `A rule can allow it: ${allowSnippet({ functions, mayShow: 'masked' })}. It may then show what is masked for you.`;
}

/** Whether rules name every access to files and programs of the server in so many words. */
export function namesServerAccess(grant: Grant, analysis: StatementAnalysis): boolean {
  const allows = grant.rules.filter(({ effect }) => effect === 'allow');
  const names = (patterns: readonly string[], name: string): boolean =>
    patterns.some((pattern) => namesSchema(pattern) && namesExactly(pattern, name));
  return analysis.serverAccess.every((phrase) => {
    if (/^copy\b/i.test(phrase)) {
      return allows.some(({ verbs }) => verbs.includes('copy program'));
    }
    if (/^[A-Z ]+$/.test(phrase)) {
      return allows.some(({ verbs }) => verbs.includes(phrase.toLowerCase()));
    }
    // The phrase begins with the function or relation, e.g. `pg_read_file() (server files)`.
    const name = /^[a-z0-9_]+/.exec(phrase)?.[0] ?? '';
    return allows.some(
      ({ functions, relations }) => names(functions, name) || names(relations, name),
    );
  });
}

/** The conditions of a rule that names this access, as namesServerAccess() reads it. */
export function ruleForServerAccess(
  phrase: string,
  functions: StatementAnalysis['functions'],
): string {
  if (/^copy\b/i.test(phrase)) return conditionsSnippet({ verbs: ['copy program'] });
  if (/^[A-Z ]+$/.test(phrase)) return conditionsSnippet({ verbs: [phrase.toLowerCase()] });
  const name = /^[a-z0-9_]+/.exec(phrase)?.[0] ?? '';
  if (!phrase.startsWith(`${name}(`)) {
    return conditionsSnippet({ verbs: ['select'], relations: [qualifiedName('pg_catalog', name)] });
  }
  // A function of an extension is where CREATE EXTENSION put it.
  const schema = functions.find((called) => called.name === name)?.schema ?? 'pg_catalog';
  return conditionsSnippet({ functions: [qualifiedName(schema, name)] });
}

/** Whether the grant restricts nothing, so that code which cannot be read takes nothing away. */
export function isUnrestricted(grant: Grant): boolean {
  return (
    grant.masks.length === 0 &&
    grant.detectors.length === 0 &&
    grant.rules.every(({ effect }) => effect === 'allow') &&
    grant.rules.some(allowsEverything)
  );
}

/**
 * The rule of a temporary grant without which a grant that restricts nothing would restrict: what it
 * alone let through must not outlive it. Standing rules come first.
 */
export function temporaryFreedom(grant: Grant): RuleRef | undefined {
  const free = grant.rules.find(allowsEverything);
  return free?.rule.grant === undefined ? undefined : free.rule;
}

/** A rule that asks for a WHERE, or counts, restricts: code that cannot be read could do without. */
function allowsEverything({ verbs, qualified, rows, ...rule }: StatementRule): boolean {
  const restricts = qualified !== undefined || rows !== undefined;
  return verbs.includes('*') && !restricts && coversAllRelations(rule);
}

export function coversAllRelations(rule: Pick<StatementRule, 'functions' | 'relations'>): boolean {
  return (
    rule.functions.length === 0 &&
    (rule.relations.length === 0 || rule.relations.includes('*') || rule.relations.includes('*.*'))
  );
}
