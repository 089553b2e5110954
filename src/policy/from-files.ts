/** What the schemas let through, to the types of policy.ts; names in it are checked here. */

import { createHash } from 'node:crypto';
import { programName } from './agents.ts';
import type { PolicyConnector, Report } from './connector.ts';
import { contentFrom, limitsFrom, type Parsed } from './content-from-file.ts';
import type {
  AgentDocument,
  Place,
  Policy,
  PolicyContent,
  PolicyDocument,
  PolicyProblem,
  PolicyTarget,
  TargetMatch,
  WhoMatch,
} from './policy.ts';
import type { AgentFile, HoopFile, PolicyFile } from './schema/schema.ts';
import type { CommonTarget } from './schema/target-schema.ts';
import type { SessionLimits } from './types.ts';
import { workloadRules } from './workloads/workload-rules.ts';

/**
 * Where neither a policy nor hoop.yaml says more: a working day, and a lunch break. Lookups: more than
 * somebody in support needs, and far too few to try out what a value could be. Statements: more than
 * programs send, and no more than all sessions can spare.
 */
const BUILT_IN_LIMITS: SessionLimits = {
  maxTimeSeconds: 8 * 3600,
  idleTimeSeconds: 3600,
  maxConnections: 20,
  maxRows: undefined,
  lookups: 100,
  statementsPerMessage: 2000,
  statementsPerSecond: 10_000,
};

function reportIn({ file, document }: Parsed<unknown>, problems: PolicyProblem[]): Report {
  return (path, message) => problems.push({ file, ...document.place(path), message });
}

/** Where the parts of a file stand that are checked against other files. */
function placesOf<Key extends string>(
  { document }: Parsed<unknown>,
  ...keys: readonly Key[]
): Readonly<Record<Key, Place>> {
  const places = Object.fromEntries(keys.map((key) => [key, document.place([key])]));
  // One for each of the keys.
  return places as Record<Key, Place>;
}

export function hoopSettings(
  parsed: Parsed<HoopFile>,
  problems: PolicyProblem[],
): Omit<Policy, 'targets' | 'documents' | 'agents' | 'connectors'> {
  const { value, document } = parsed;
  const report = reportIn(parsed, problems);
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
      observer: value.roles.observer?.groups ?? [],
    },
    places: {
      approver: document.placeOfKey(['roles'], 'approver'),
      identityProviders: value.identityProviders.map((_, index) =>
        document.place(['identityProviders', index]),
      ),
    },
    defaults: {
      limits: { ...BUILT_IN_LIMITS, ...limitsFrom(value.defaults.limits) },
      requireReason: value.defaults.requireReason,
      inference: value.defaults.inference,
      notices: value.defaults.notices,
    },
  };
}

export function targetFrom(
  parsed: Parsed<CommonTarget> | undefined,
  problems: PolicyProblem[],
  connectors: readonly PolicyConnector[],
): PolicyTarget | undefined {
  if (!parsed) {
    return undefined;
  }
  const { file, value, document } = parsed;
  const common = {
    kind: value.kind,
    name: value.name,
    description: value.description,
    connectTimeoutSeconds: value.connectTimeout,
    credential: value.credential,
    credentials: value.credentials,
    labels: value.labels,
    recording: value.recording,
    ...(value.terminal === undefined ? {} : { terminal: value.terminal }),
    file,
    line: document.place(['name']).line,
  };
  const connector = connectors.find(({ kind }) => kind === value.kind);
  // The schema knows no other kinds.
  if (connector === undefined) throw new TypeError(`nothing reads targets of ${value.kind}`);
  const hasStatements = connector.rules === 'statements';
  const report = reportIn(parsed, problems);
  return { ...common, hasStatements, ...connector.targetFrom(value, report) };
}

/** @returns undefined when it was reported before */
export function agentFrom(
  parsed: Parsed<AgentFile> | undefined,
  problems: PolicyProblem[],
  connectors: readonly PolicyConnector[],
): AgentDocument | undefined {
  if (!parsed) {
    return undefined;
  }
  const { file, value } = parsed;
  const report = reportIn(parsed, problems);
  const { who, identities } = value;
  if (who !== undefined && !namesSomebody(who)) {
    report(['who'], 'who: expected groups, users or everyone');
  }
  if (identities !== undefined && !namesSomebody(identities)) {
    report(['identities'], 'identities: expected groups or users');
  }
  return {
    name: value.name,
    description: value.description,
    match: value.match.map((one) => ({
      programs: [one.program].flat().map(programName),
      arguments: one.arguments ?? [],
    })),
    identities: identities && whoFrom(identities),
    who: who && whoFrom(who),
    targets: targetsFrom(value, report),
    // A policy has no slash in its name.
    ...contentFrom(parsed, `agents/${value.name}`, report, connectors),
    file,
    places: placesOf(parsed, 'name', 'match', 'identities', 'who', 'targets', 'statements'),
  };
}

export function documentFrom(
  parsed: Parsed<PolicyFile> | undefined,
  problems: PolicyProblem[],
  connectors: readonly PolicyConnector[],
): PolicyDocument | undefined {
  if (!parsed) {
    return undefined;
  }
  const { file, value } = parsed;
  const report = reportIn(parsed, problems);
  checkWho(value, report);
  const targets = targetsFrom(value, report);
  const { who } = value;
  const content = contentFrom(parsed, value.name, report, connectors);
  checkRequest(value, report);
  return {
    name: value.name,
    description: value.description,
    who: {
      ...whoFrom(who),
      // Whose agents: everyone's, where nobody is named.
      everyone: who.everyone === true || !namesSomebody(who),
      kinds: who.kinds,
      agents: who.agents,
    },
    targets,
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
    places: placesOf(parsed, 'name', 'who', 'targets', 'statements', 'request'),
  };
}

function whoFrom(who: Omit<PolicyFile['who'], 'kinds' | 'agents'>): WhoMatch {
  return {
    everyone: who.everyone === true,
    groups: who.groups ?? [],
    users: (who.users ?? []).map((user) =>
      'sub' in user ? user : { email: user.email, issuer: user.issuer },
    ),
    issuer: who.issuer,
  };
}

function namesSomebody(who: Pick<PolicyFile['who'], 'everyone' | 'groups' | 'users'>): boolean {
  return who.everyone === true || who.groups !== undefined || who.users !== undefined;
}

function checkWho({ who }: PolicyFile, report: Report): void {
  if (!namesSomebody(who) && !who.agents) {
    report(['who'], 'who: expected groups, users or everyone');
  }
}

function targetsFrom({ targets }: Pick<PolicyFile, 'targets'>, report: Report): TargetMatch {
  if ((targets.names === undefined) === (targets.labels === undefined)) {
    report(['targets'], 'targets: expected either names or labels');
  }
  if (targets.labels !== undefined && Object.keys(targets.labels).length === 0) {
    report(
      ['targets', 'labels'],
      'targets.labels: expected at least one; use names: ["*"] for all',
    );
  }
  return { names: targets.names ?? [], labels: targets.labels ?? {} };
}

/** The same for two policies that give the same, wherever their lines stand. */
function definitionOf(content: PolicyContent): string {
  const { rules, own, ...rest } = content;
  // Without rules of connectors as it was before there were any: what was given then stays given.
  const used = Object.fromEntries(Object.entries(own).filter(([, some]) => some.length > 0));
  const json = JSON.stringify({ rules, ...used, ...rest }, (key, value: unknown) =>
    key === 'rule' ? null : key === 'described' ? undefined : value,
  );
  return createHash('sha256').update(json).digest('base64url');
}

function checkRequest({ request, rules, statements }: PolicyFile, report: Report): void {
  const gives = statements !== undefined || rules.some(({ deny }) => deny === undefined);
  if (request !== undefined && !gives) {
    report(
      ['request'],
      'request: the policy has no rule that allows anything, so it has no effect',
    );
  }
}
