/** What the schemas let through, to the types of policy.ts; names in it are checked here. */

import { createHash } from 'node:crypto';
import { qualifiedName, splitColumn, splitPattern } from './patterns.ts';
import type { Policy, PolicyDocument, PolicyProblem, PolicyTarget } from './policy.ts';
import {
  type ApproveFile,
  DETECTORS,
  type HoopFile,
  type LimitsFile,
  type PolicyFile,
  parseAddress,
  type RuleConditions,
  type TargetFile,
} from './schema.ts';
import type {
  ApprovalTerms,
  ColumnMask,
  RuleEffect,
  SessionLimits,
  StatementRule,
} from './types.ts';
import { isKnownVerb } from './verbs.ts';
import { workloadRules } from './workloads/workload-rules.ts';
import type { YamlDocument, YamlPath } from './yaml-document.ts';

export interface Parsed<Value> {
  readonly file: string;
  readonly value: Value;
  readonly document: YamlDocument;
}

/** Where neither a policy nor hoop.yaml says more: a working day, and a lunch break. */
const BUILT_IN_LIMITS: SessionLimits = {
  maxTimeSeconds: 8 * 3600,
  idleTimeSeconds: 3600,
  maxConnections: 20,
  maxRows: undefined,
};

export function hoopSettings(
  { file, value, document }: Parsed<HoopFile>,
  problems: PolicyProblem[],
): Omit<Policy, 'targets' | 'documents'> {
  const report: Report = (path, message) => {
    problems.push({ file, ...document.place(path), message });
  };
  return {
    org: value.org,
    identityProviders: value.identityProviders,
    workloads: workloadRules(value.workloads, {
      report,
      lineOf: (path) => document.place(path).line,
    }),
    roles: {
      auditor: value.roles.auditor?.groups ?? [],
      approver: value.roles.approver?.groups ?? [],
    },
    defaults: {
      limits: { ...BUILT_IN_LIMITS, ...limitsFrom(value.defaults.limits) },
      requireReason: value.defaults.requireReason,
      inference: value.defaults.inference,
    },
  };
}

export function targetFrom(parsed: Parsed<TargetFile> | undefined): PolicyTarget | undefined {
  if (!parsed) {
    return undefined;
  }
  const { file, value, document } = parsed;
  return {
    name: value.name,
    kind: value.kind,
    description: value.description,
    addresses: [value.address ?? []].flat().flatMap((text) => parseAddress(text) ?? []),
    sessionAttributes: value.targetSessionAttrs,
    connectTimeoutSeconds: value.connectTimeout,
    database: value.database,
    credential: value.credential,
    credentials: value.credentials,
    tls: { ...value.tls, ca: value.tls.ca },
    loginMethods: value.requireAuth,
    labels: value.labels,
    recording: value.recording,
    file,
    line: document.place(['name']).line,
  };
}

export function documentFrom(
  parsed: Parsed<PolicyFile> | undefined,
  problems: PolicyProblem[],
): PolicyDocument | undefined {
  if (!parsed) {
    return undefined;
  }
  const { file, value, document } = parsed;
  const report = (path: YamlPath, message: string): void => {
    problems.push({ file, ...document.place(path), message });
  };
  checkWho(value, report);
  const { who, targets } = value;
  const content = {
    rules: rulesFrom(parsed, report),
    masks: masksFrom(parsed, report),
    detectors: value.detectors === 'all' ? DETECTORS : value.detectors,
    limits: limitsFrom(value.limits),
    requireReason: value.requireReason,
    inference: value.inference,
    anything: value.statements === 'anything',
  };
  checkRequest(value, report);
  return {
    name: value.name,
    description: value.description,
    who: {
      everyone: who.everyone === true,
      groups: who.groups ?? [],
      users: (who.users ?? []).map((user) =>
        'sub' in user ? user : { email: user.email, issuer: user.issuer },
      ),
      issuer: who.issuer,
    },
    targets: { names: targets.names ?? [], labels: targets.labels ?? {} },
    ...content,
    request: value.request && {
      maxDurationSeconds: value.request.maxDuration,
      // The default is put in when hoop.yaml is known: load-policy.ts.
      approvers: value.request.approvers ?? [],
      count: value.request.count,
      timeoutSeconds: value.request.timeout,
    },
    definition: definitionOf(content),
    file,
    places: {
      name: document.place(['name']),
      who: document.place(['who']),
      targets: document.place(['targets']),
      statements: document.place(['statements']),
      request: document.place(['request']),
    },
  };
}

type Report = (path: YamlPath, message: string) => void;

function checkWho(value: PolicyFile, report: Report): void {
  const { who, targets } = value;
  if (!who.everyone && !who.groups && !who.users) {
    report(['who'], 'who: expected groups, users or everyone');
  }
  if ((targets.names === undefined) === (targets.labels === undefined)) {
    report(['targets'], 'targets: expected either names or labels');
  }
  if (targets.labels !== undefined && Object.keys(targets.labels).length === 0) {
    report(
      ['targets', 'labels'],
      'targets.labels: expected at least one; use names: ["*"] for all',
    );
  }
}

/** The same for two policies that give the same, wherever their lines stand. */
function definitionOf(
  content: Pick<
    PolicyDocument,
    'rules' | 'masks' | 'detectors' | 'limits' | 'requireReason' | 'inference' | 'anything'
  >,
): string {
  const json = JSON.stringify(content, (key, value: unknown) => (key === 'rule' ? null : value));
  return createHash('sha256').update(json).digest('base64url');
}

function checkRequest({ request, rules, statements }: PolicyFile, report: Report): void {
  const gives = statements !== undefined || rules.some(({ deny }) => deny === undefined);
  if (request !== undefined && !gives) {
    report(
      ['request'],
      'request: the policy has no rule that allows anything, so it gives nothing',
    );
  }
}

function rulesFrom({ file, value, document }: Parsed<PolicyFile>, report: Report): StatementRule[] {
  const names = new Set<string>();
  return value.rules.flatMap((rule, index) => {
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
      return [];
    }
    checkConditions(only.conditions, [...path, only.effect], report);
    return [
      {
        effect: only.effect satisfies RuleEffect,
        rule: { id: `${value.name}/${name}`, file, line: document.place(path).line },
        verbs: only.conditions.verbs ?? [],
        relations: only.conditions.relations ?? [],
        functions: only.conditions.functions ?? [],
        qualified: only.conditions.qualified,
        hint: rule.hint,
        ...(rule.approve === undefined ? {} : { approval: termsOf(rule.approve) }),
      },
    ];
  });
}

function termsOf(approve: ApproveFile): ApprovalTerms {
  return {
    // The default is put in when hoop.yaml is known: load-policy.ts.
    groups: approve.approvers ?? [],
    count: approve.count,
    timeoutSeconds: approve.timeout,
    waits: approve.wait,
    maxHoldSeconds: approve.maxHold,
  };
}

function checkConditions(conditions: RuleConditions, path: YamlPath, report: Report): void {
  const { verbs, relations, functions, qualified } = conditions;
  if (!verbs && !functions) {
    report(path, 'expected verbs (["*"] for any) or functions');
  }
  if (functions && (relations || qualified !== undefined)) {
    report(path, 'a rule about functions cannot name relations or qualified; use two rules');
  }
  for (const [index, verb] of (verbs ?? []).entries()) {
    if (!isKnownVerb(verb)) {
      report([...path, 'verbs', index], `"${verb}" is no SQL command in lower case`);
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

function masksFrom({ file, value, document }: Parsed<PolicyFile>, report: Report): ColumnMask[] {
  return value.masks.flatMap((mask, index) => {
    const path = ['masks', index];
    const column = splitColumn(mask.column);
    if (!column || mask.column.includes('*')) {
      report([...path, 'column'], 'expected schema.relation.column, such as public.customers.ssn');
      return [];
    }
    const name = `${qualifiedName(column.schema, column.relation)}.${column.column}`;
    return [
      {
        ...column,
        mask: mask.mask,
        ...(mask.write === 'allow' ? { write: 'allow' as const } : {}),
        rule: { id: `${value.name}/mask ${name}`, file, line: document.place(path).line },
      },
    ];
  });
}

function limitsFrom(limits: LimitsFile): Partial<SessionLimits> {
  return {
    ...(limits.maxTime === undefined ? {} : { maxTimeSeconds: limits.maxTime }),
    ...(limits.idleTime === undefined ? {} : { idleTimeSeconds: limits.idleTime }),
    ...(limits.maxConnections === undefined ? {} : { maxConnections: limits.maxConnections }),
    ...(limits.maxRows === undefined ? {} : { maxRows: limits.maxRows }),
  };
}
