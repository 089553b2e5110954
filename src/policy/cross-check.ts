/** Problems that no single file shows: names that lead nowhere, and grants that exclude each other. */
import { documentCovers } from './match.ts';
import type {
  Place,
  Policy,
  PolicyContent,
  PolicyDocument,
  PolicyProblem,
  TargetMatch,
  WhoMatch,
} from './policy.ts';
import type { SessionLimits } from './types.ts';

export function crossCheck(policy: Policy): PolicyProblem[] {
  return [
    ...policy.documents.flatMap((document) => [
      ...unknownTargets(policy, document),
      ...ambiguousEmails(policy, document),
      ...unknownIssuers(policy, document),
      ...anythingConflicts(policy, document),
      ...withoutApprovers(document),
      ...unknownAgents(policy, document),
    ]),
    ...repeatedNames(policy.documents),
    ...repeatedIssuers(policy),
    ...approvingWorkloads(policy),
    ...sharedDeviceClients(policy),
  ];
}

/** A file, and where its parts stand. */
interface Placed<Part extends string> {
  readonly file: string;
  readonly places: Readonly<Record<Part, Place>>;
}

export function at<Part extends string>(
  document: Placed<Part>,
  part: Part,
  message: string,
): PolicyProblem {
  return { file: document.file, ...document.places[part], message };
}

export function unknownTargets(
  policy: Policy,
  document: Placed<'targets'> & { readonly targets: TargetMatch },
): PolicyProblem[] {
  return document.targets.names
    .filter((name) => name !== '*' && !policy.targets.has(name))
    .map((name) =>
      at(document, 'targets', `targets.names: there is no target "${name}" in targets/`),
    );
}

/** With two providers, anyone who controls an account at one could take an address of the other. */
function ambiguousEmails(policy: Policy, document: PolicyDocument): PolicyProblem[] {
  return emailsWithoutIssuer(policy, document.who).map((message) =>
    at(document, 'who', `who.${message}`),
  );
}

/** @returns the end of the message for each */
export function emailsWithoutIssuer(policy: Policy, who: WhoMatch): string[] {
  if (policy.identityProviders.length < 2 || who.issuer !== undefined) {
    return [];
  }
  return who.users
    .filter((user) => 'email' in user && user.issuer === undefined)
    .map(() => 'users: with several identity providers an email needs its issuer');
}

function unknownIssuers(policy: Policy, document: PolicyDocument): PolicyProblem[] {
  return issuersNotKnown(policy, document.who).map((message) =>
    at(document, 'who', `who: ${message}`),
  );
}

export function issuersNotKnown(policy: Policy, who: WhoMatch): string[] {
  const known = new Set(policy.identityProviders.map(({ issuer }) => issuer));
  return [who.issuer, ...who.users.map(({ issuer }) => issuer)]
    .filter((issuer) => issuer !== undefined && !known.has(issuer))
    .map((issuer) => `no identity provider in hoop.yaml has issuer "${issuer}"`);
}

function unknownAgents(policy: Policy, document: PolicyDocument): PolicyProblem[] {
  return (document.who.agents ?? [])
    .filter((name) => name !== '*' && !policy.agents.has(name))
    .map((name) => at(document, 'who', `who.agents: there is no agent "${name}" in agents/`));
}

function withoutApprovers(document: PolicyDocument): PolicyProblem[] {
  return document.request?.approvers.length === 0
    ? [
        at(
          document,
          'request',
          'request: expected approvers, or a group in roles.approver of hoop.yaml',
        ),
      ]
    : [];
}

function repeatedNames(documents: readonly PolicyDocument[]): PolicyProblem[] {
  const first = new Map<string, PolicyDocument>();
  return documents.flatMap((document) => {
    const other = first.get(document.name);
    first.set(document.name, other ?? document);
    return other
      ? [at(document, 'name', `the policy "${document.name}" is already in ${other.file}`)]
      : [];
  });
}

/** An approval is a person's word: a job that could give it would approve what another job asks for. */
function approvingWorkloads(policy: Policy): PolicyProblem[] {
  return policy.workloads.flatMap(({ name, groups, line }) =>
    groups
      .filter((group) => policy.roles.approver.includes(group))
      .map((group) => ({
        file: 'hoop.yaml',
        line,
        column: 1,
        message: `workloads: "${name}" would get the role approver from the group "${group}"; only people approve`,
      })),
  );
}

function repeatedIssuers(policy: Policy): PolicyProblem[] {
  const issuers = policy.identityProviders.map(({ issuer }) => issuer);
  return issuers
    .map((issuer, index) => ({ issuer, index }))
    .filter(({ issuer, index }) => issuers.indexOf(issuer) !== index)
    .map(({ issuer, index }) => ({
      ...placeOfProvider(policy, index),
      message: `identityProviders: the issuer "${issuer}" is listed twice`,
    }));
}

function placeOfProvider({ places }: Policy, index: number): Omit<PolicyProblem, 'message'> {
  return { file: 'hoop.yaml', line: 1, column: 1, ...places.identityProviders[index] };
}

/** One client for both would give the roles of a login in the browser to who was sent a code. */
function sharedDeviceClients(policy: Policy): PolicyProblem[] {
  return policy.identityProviders
    .map(({ clientId, device, issuer }, index) => ({ clientId, device, issuer, index }))
    .filter(({ clientId, device }) => device?.clientId === clientId)
    .map(({ issuer, index }) => ({
      ...placeOfProvider(policy, index),
      message: `identityProviders: "${issuer}" needs a client for device that is not its clientId`,
    }));
}

/**
 * `statements: anything` switches the guards off, so nothing that needs a guard may apply with
 * it. Groups are dynamic: only what is certain to meet is reported; the rest is void at run time.
 */
function anythingConflicts(policy: Policy, document: PolicyDocument): PolicyProblem[] {
  if (!document.anything) {
    return [];
  }
  const own = anythingInOneFile(document);
  if (document.rules.length > 0) {
    return own;
  }
  const others = policy.documents.filter(
    (other) =>
      other !== document &&
      // Whether someone will have it then is not certain; if so, it is void at run time.
      other.request === undefined &&
      guarded(other) &&
      sameScope(policy, document, other),
  );
  return [
    ...own,
    ...others.map((other) =>
      at(
        document,
        'statements',
        `statements: anything has no effect, because ${other.file} has masks, denies, approvals or limits for the same people and targets`,
      ),
    ),
  ];
}

export function anythingInOneFile(document: Placed<'statements'> & PolicyContent): PolicyProblem[] {
  const forbidden =
    document.rules.length > 0
      ? 'rules in one file'
      : guarded(document)
        ? 'masks, detectors or limits of rows'
        : undefined;
  return document.anything && forbidden !== undefined
    ? [at(document, 'statements', `statements: anything cannot be combined with ${forbidden}`)]
    : [];
}

/** Whether a policy needs statements to be understood. */
export function guarded(document: PolicyContent): boolean {
  return (
    document.masks.length > 0 ||
    document.detectors.length > 0 ||
    (document.observed ?? []).length > 0 ||
    limitsRows(document.limits) ||
    document.inference === 'deny' ||
    document.rules.some(({ effect }) => effect !== 'allow')
  );
}

/** Whether rows are counted for it: those that come back, or those that change. */
export function limitsRows(limits: Partial<SessionLimits>): boolean {
  const { maxRows, changedRowsPerTransaction, changedRowsPerDay } = limits;
  return [maxRows, changedRowsPerTransaction, changedRowsPerDay].some((one) => one !== undefined);
}

/** Whether both are certain to meet: for some people on some database. */
export function sameScope(policy: Policy, a: PolicyDocument, b: PolicyDocument): boolean {
  return sameTarget(policy, a, b) && samePeople(a, b);
}

function sameTarget(policy: Policy, a: PolicyDocument, b: PolicyDocument): boolean {
  return [...policy.targets.values()].some(
    (target) => target.hasStatements && documentCovers(a, target) && documentCovers(b, target),
  );
}

function samePeople(a: PolicyDocument, b: PolicyDocument): boolean {
  if (!meet(a.who.kinds, b.who.kinds) || !sameAgents(a.who.agents, b.who.agents)) {
    return false;
  }
  if (a.who.issuer !== undefined && b.who.issuer !== undefined && a.who.issuer !== b.who.issuer) {
    return false;
  }
  return (
    a.who.everyone ||
    b.who.everyone ||
    a.who.groups.some((group) => b.who.groups.includes(group)) ||
    a.who.users.some((user) =>
      b.who.users.some((other) => JSON.stringify(user) === JSON.stringify(other)),
    )
  );
}

/** undefined: any. */
function meet(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a === undefined || b === undefined || a.some((one) => b.includes(one));
}

/** What is for agents and what is for anybody meet only with an agent: people alone do not have it. */
function sameAgents(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  if (a === undefined || b === undefined) {
    return a === b;
  }
  return a.includes('*') || b.includes('*') || meet(a, b);
}
