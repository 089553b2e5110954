/** Rules, masks and limits, as policies and agents have them, from YAML to the types of policy.ts. */

import {
  type ConnectorRule,
  ownRules,
  type PolicyConnector,
  type Report,
  type RuleStart,
} from './connector.ts';
import { namesOne, qualifiedName, splitColumn, splitPattern } from './patterns.ts';
import type { PolicyContent } from './policy.ts';
import {
  type ApproveFile,
  type ContentFile,
  DETECTORS,
  type LimitsFile,
  type RuleConditions,
  SQL_KEYS,
} from './schema/schema.ts';
import type {
  ApprovalTerms,
  ColumnMask,
  RuleEffect,
  SessionLimits,
  StatementRule,
} from './types.ts';
import { isKnownVerb } from './verbs.ts';
import type { YamlDocument, YamlPath } from './yaml-document.ts';

export interface Parsed<Value> {
  readonly file: string;
  readonly value: Value;
  readonly document: YamlDocument;
}

/** @param source what rule ids begin with */
export function contentFrom(
  parsed: Parsed<ContentFile>,
  source: string,
  report: Report,
  connectors: readonly PolicyConnector[],
): PolicyContent {
  const { value } = parsed;
  const detectors = value.detectors === 'all' ? DETECTORS : value.detectors;
  return {
    ...rulesFrom(parsed, source, report, connectors),
    masks: masksFrom(parsed, source, report),
    ...(value.detect === 'observe' ? { detectors: [], observed: detectors } : { detectors }),
    limits: limitsFrom(value.limits),
    requireReason: value.requireReason,
    inference: value.inference,
    ...(value.terminal === undefined ? {} : { terminal: value.terminal }),
    anything: value.statements === 'anything',
  };
}

function rulesFrom(
  { file, value, document }: Parsed<ContentFile>,
  source: string,
  report: Report,
  connectors: readonly PolicyConnector[],
): Pick<PolicyContent, 'rules' | 'own'> {
  const names = new Set<string>();
  const rules: StatementRule[] = [];
  const withOwn = ownRules(connectors);
  const own = new Map<string, ConnectorRule[]>(withOwn.map(({ kind }) => [kind, []]));
  for (const [index, rule] of value.rules.entries()) {
    const path = ['rules', index];
    const name = rule.name ?? `rule-${index + 1}`;
    if (names.has(name)) {
      report(path, `rules[${index}]: the rule name "${name}" is already used in this file`);
    }
    names.add(name);
    const effects = (['allow', 'deny', 'approve'] as const).flatMap((effect) => {
      const conditions = rule[effect];
      return conditions ? [{ effect, conditions }] : [];
    });
    const [only, second] = effects;
    if (!only || second) {
      report(path, `rules[${index}]: expected exactly one of allow, deny, approve`);
      continue;
    }
    const { conditions } = only;
    const place = [...path, only.effect];
    const common: RuleStart = {
      effect: only.effect,
      rule: { id: `${source}/${name}`, file, line: document.place(path).line },
      hint: rule.hint,
      ...(rule.approve === undefined ? {} : { approval: termsOf(rule.approve) }),
    };
    if (conditions === 'everything') {
      rules.push({ ...common, verbs: ['*'], relations: [], functions: [], qualified: undefined });
      for (const one of withOwn) own.get(one.kind)?.push(one.everything(common));
      continue;
    }
    const [about, other] = withOwn.filter((one) => speaksOf(one, conditions));
    if (about !== undefined && other !== undefined) {
      report(place, `a rule is about ${about.kind} or about ${other.kind}; use two rules`);
      continue;
    }
    if (about !== undefined) {
      for (const key of SQL_KEYS.filter((one) => conditions[one] !== undefined)) {
        report([...place, key], `a rule about ${about.kind} cannot name ${key}; use two rules`);
      }
      const made = about.rulesFrom(conditions, common, (key, message) =>
        report([...place, ...key], message),
      );
      own.get(about.kind)?.push(...made);
      continue;
    }
    checkConditions(conditions, place, report);
    checkMayShow(only.effect, conditions, place, report);
    rules.push({
      ...common,
      verbs: conditions.verbs ?? [],
      relations: conditions.relations ?? [],
      functions: conditions.functions ?? [],
      ...(conditions.mayShow === undefined ? {} : { mayShow: conditions.mayShow }),
      qualified: conditions.qualified,
      ...(conditions.rows === undefined ? {} : { rows: conditions.rows }),
    });
  }
  return { rules, own: Object.fromEntries(own) };
}

function speaksOf(
  { ruleKeys }: { readonly ruleKeys: object },
  conditions: RuleConditions,
): boolean {
  const given: Readonly<Record<string, unknown>> = conditions;
  return Object.keys(ruleKeys).some((key) => given[key] !== undefined);
}

function termsOf(approve: ApproveFile): ApprovalTerms {
  return {
    // The default is put in when hoop.yaml is known: load-policy.ts.
    groups: approve.approvers ?? [],
    count: approve.count,
    timeoutSeconds: approve.timeout,
    waits: approve.wait !== 'no',
    ...(approve.wait === 'people' ? { waitsForPeopleOnly: true } : {}),
    maxHoldSeconds: approve.maxHold,
  };
}

/** Of whose statements the changed rows are counted. */
const COUNTED: readonly string[] = ['insert', 'update', 'delete', 'merge', 'copy'];

/** A wildcard would name functions that nobody has made yet, and whoever makes them shows what they like. */
function checkMayShow(
  effect: RuleEffect,
  { functions, mayShow }: RuleConditions,
  path: YamlPath,
  report: Report,
): void {
  if (mayShow === undefined) return;
  if (effect === 'deny') {
    report([...path, 'mayShow'], 'a rule that denies shows nothing');
  }
  if (!functions) {
    report([...path, 'mayShow'], 'needs functions as well: it is about what these return');
  }
  for (const [index, pattern] of (functions ?? []).entries()) {
    if (splitPattern(pattern) && !namesOne(pattern)) {
      report([...path, 'functions', index], 'with mayShow, write function names out, without "*"');
    }
  }
}

function checkConditions(conditions: RuleConditions, path: YamlPath, report: Report): void {
  const { verbs, relations, functions, qualified, rows } = conditions;
  if (!verbs && !functions) {
    report(path, 'expected verbs (["*"] for any) or functions, or ssh for servers');
  }
  if (functions && (relations || qualified !== undefined || rows !== undefined)) {
    report(path, 'a rule about functions cannot name relations, qualified or rows; use two rules');
  }
  for (const [index, verb] of (verbs ?? []).entries()) {
    if (!isKnownVerb(verb)) {
      report([...path, 'verbs', index], `"${verb}" is not an SQL command in lower case`);
    } else if (rows !== undefined && !COUNTED.includes(verb)) {
      report(
        [...path, 'verbs', index],
        `rows is for ${COUNTED.join(', ')}: the rows that ${verb === '*' ? 'any command' : verb.toUpperCase()} changes are not counted; use two rules`,
      );
    }
  }
  for (const [index, pattern] of (relations ?? []).entries()) {
    if (!splitPattern(pattern)) {
      report([...path, 'relations', index], 'expected schema.relation, such as "public.*"');
    }
  }
  for (const [index, pattern] of (functions ?? []).entries()) {
    if (!splitPattern(pattern)) {
      report([...path, 'functions', index], 'expected schema.function, such as "public.f_*"');
    }
  }
}

/** Write a guess, read its hash, compare it with the hashes of others: a dictionary. */
const HASH_IS_READ_BACK =
  'a column with mask: hash cannot have write: allow, because whoever writes a guess can compare its hash with other hashes; use full or partial';

const EXPECTED_COLUMN =
  'expected schema.relation.column without wildcards, such as public.customers.ssn';
const UNQUOTED_STAR = '; a name with a star is quoted: public."a*b".c';

function masksFrom(
  { file, value, document }: Parsed<ContentFile>,
  source: string,
  report: Report,
): ColumnMask[] {
  return value.masks.flatMap((mask, index) => {
    const path = ['masks', index];
    const column = splitColumn(mask.column);
    if (!column) {
      report(
        [...path, 'column'],
        `${EXPECTED_COLUMN}${mask.column.includes('*') ? UNQUOTED_STAR : ''}`,
      );
      return [];
    }
    const name = `${qualifiedName(column.schema, column.relation)}.${column.column}`;
    if (mask.mask === 'hash' && mask.write === 'allow') {
      report([...path, 'write'], HASH_IS_READ_BACK);
    }
    return [
      {
        ...column,
        mask: mask.mask,
        ...(mask.write === 'allow' ? { write: 'allow' as const } : {}),
        // The default is put in when hoop.yaml is known: load-policy.ts.
        inference: value.inference ?? 'deny',
        ...(mask.lookup === undefined ? {} : { lookup: mask.lookup }),
        rule: { id: `${source}/mask ${name}`, file, line: document.place(path).line },
      },
    ];
  });
}

export function limitsFrom({ maxTime, idleTime, ...same }: LimitsFile): Partial<SessionLimits> {
  const limits = { maxTimeSeconds: maxTime, idleTimeSeconds: idleTime, ...same };
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));
}
