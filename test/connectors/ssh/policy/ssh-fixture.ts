/** A policy with one server, and grants on it made from the rules of a case. */

import { decideSsh } from '../../../../src/connectors/ssh/policy/decide-ssh.ts';
import type { SshAct, SshVerdict } from '../../../../src/connectors/ssh/policy/types.ts';
import { problemLine } from '../../../../src/policy/load-policy.ts';
import type { Policy } from '../../../../src/policy/policy.ts';
import { principalGrant } from '../../../../src/policy/principal-grant.ts';
import type { Grant, Principal } from '../../../../src/policy/types.ts';
import { loadPolicy } from '../../../policy/with-connectors.ts';

/** Of a server that never was. */
export const HOST_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKckWHXNctH3ArYMBwULXp2gu/bPtl5gKj6ez/dkEeEu';

const HOOP = `version: 1
identityProviders: [{ issuer: "https://idp.example", clientId: hoop }]
roles: { approver: { groups: [leads] } }
`;
const TARGET = `name: web-1
kind: ssh
hostKeys: ["${HOST_KEY}"]
logins:
  - { user: deploy, credential: web-deploy }
  - { user: root, credential: web-root, groups: [sre] }
`;

export function principal(fields: Partial<Principal> = {}): Principal {
  return {
    kind: 'person',
    issuer: 'https://idp.example',
    sub: 'ann-1',
    name: 'ann@example.org',
    email: 'ann@example.org',
    groups: ['staff'],
    roles: [],
    ...fields,
  };
}

function loaded(files: Readonly<Record<string, string>>): ReturnType<typeof loadPolicy> {
  return loadPolicy(
    new Map(Object.entries({ 'hoop.yaml': HOOP, 'targets/web-1.yaml': TARGET, ...files })),
  );
}

export function problemsOf(files: Readonly<Record<string, string>>): string[] {
  return loaded(files).problems.map(problemLine);
}

export function policyOf(files: Readonly<Record<string, string>>): Policy {
  const { policy, problems } = loaded(files);
  if (policy === undefined) {
    throw new Error(problems.map(problemLine).join('\n'));
  }
  return policy;
}

/** @param rules lines of YAML, each an entry of `rules`. */
export function policyFile(...rules: readonly string[]): Record<string, string> {
  const list = rules.map((rule) => `  - ${rule}\n`).join('');
  return {
    'policies/p.yaml': `name: p\nwho: { groups: [staff] }\ntargets: { names: [web-1] }\nrules:\n${list}`,
  };
}

export function grantOf(...rules: readonly string[]): Grant {
  const grant = principalGrant(policyOf(policyFile(...rules)), 'c0ffee', principal(), 'web-1');
  if (grant === undefined) {
    throw new Error('nothing is granted');
  }
  return grant;
}

export function decide(grant: Grant, act: SshAct, user = 'deploy'): SshVerdict {
  return decideSsh(grant, user, act);
}

/** `allow`, `held` or the code of the refusal. */
export function outcome(verdict: SshVerdict): string {
  if (verdict.effect === 'refuse') {
    return verdict.refusal.code;
  }
  return verdict.approvals === undefined ? 'allow' : 'held';
}
