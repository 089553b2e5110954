/** The demo's policy, file by file, as it stands in the repository. */
import { CI_JOB } from './ci-issuer.ts';

export interface SamplePolicyOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** Of the CI whose jobs may read; without it there are no workloads. */
  readonly ciIssuer?: string;
  /** Of the server that one can log in to; without them there is none. */
  readonly hostKeys?: readonly string[] | undefined;
}

export function samplePolicy(options: SamplePolicyOptions): Record<string, string> {
  return {
    'hoop.yaml': `version: 1
org: demo
identityProviders:
  - issuer: ${options.issuer}
    clientId: ${options.clientId}
    scopes: [openid, email, profile, groups]
    claims: { name: name, email: email, groups: groups }
roles:
  auditor: { groups: [auditors] }
  approver: { groups: [approvers] }
${options.ciIssuer === undefined ? '' : workloads(options.ciIssuer)}`,
    'targets/prod-db.yaml': `# The address and the credential are the gateway's business: see its config.
name: prod-db
kind: postgres
description: The shop's production database
database: shop
credential: prod-db
labels: { env: production }
recording: full
`,
    'policies/engineers.yaml': `name: engineers
who: { groups: [engineering, agents, dba] }
targets: { names: [prod-db] }
requireReason: false
limits: { maxTime: 4h, idleTime: 30m, maxConnections: 20 }
masks:
  - { column: public.customers.card_number, mask: full }
  - { column: public.customers.ssn, mask: full }
  - { column: public.customers.email, mask: partial }
detectors: [card, ssn, email, iban, jwt, cloud-key, vcs-token, private-key, url-password]
rules:
  - name: read-shop
    allow: { verbs: [select], relations: ['public.*'] }
  - name: work-on-orders
    allow: { verbs: [insert, update], relations: [public.orders] }
  - name: delete-orders
    approve: { verbs: [delete], relations: [public.orders], qualified: true, approvers: [approvers] }
  - name: change-many-orders
    approve: { verbs: [update], relations: [public.orders], rows: 20, approvers: [approvers] }
  - name: no-structure
    deny: { verbs: [drop, truncate, alter, create, grant, revoke] }
    hint: Changes of structure go through a migration; ask the dba group.
`,
    'policies/ticket-cleanup.yaml': `# Nobody has this until they ask: hoop access request prod-db --for 1h --reason TEXT
name: ticket-cleanup
description: Correct and close support tickets by hand
who: { groups: [engineering, agents, dba] }
targets: { names: [prod-db] }
request: { maxDuration: 2h, approvers: [approvers] }
rules:
  - name: edit-tickets
    allow: { verbs: [update], relations: [public.support_tickets] }
`,
    'agents/devin.yaml': `# What devin may do at most: hoop run -- devin, and the account devin itself.
name: devin
description: An AI agent that works on orders
match: [{ program: devin }]
identities: { groups: [agents] }
targets: { names: [prod-db] }
limits: { maxTime: 1h, maxRows: 10000 }
rules:
  - name: read-shop
    allow: { verbs: [select], relations: ['public.*'] }
  - name: work-on-orders
    allow: { verbs: [insert, update, delete], relations: [public.orders] }
`,
    'policies/ci.yaml': `name: ci
description: What jobs of the CI may do; a report needs no names
who: { groups: [ci] }
targets: { names: [prod-db] }
limits: { maxTime: 30m, maxConnections: 5 }
rules:
  - name: read-orders
    allow: { verbs: [select], relations: [public.orders] }
`,
    'policies/auditors.yaml': `name: auditors
who: { groups: [auditors] }
targets: { names: [prod-db] }
masks:
  - { column: public.customers.card_number, mask: full }
  - { column: public.customers.ssn, mask: full }
  - { column: public.customers.email, mask: full }
rules:
  - name: read-orders
    allow: { verbs: [select], relations: [public.orders] }
`,
    ...(options.hostKeys === undefined ? {} : serverPolicy(options.hostKeys)),
  };
}

function serverPolicy(hostKeys: readonly string[]): Record<string, string> {
  return {
    'targets/web-1.yaml': `# A server: shells and commands over SSH. Another host key than these is refused.
name: web-1
kind: ssh
description: The shop's web server
credential: web-1
hostKeys:
${hostKeys.map((key) => `  - ${key}`).join('\n')}
labels: { env: production }
recording: full
`,
    'policies/servers.yaml': `name: servers
who: { groups: [engineering, dba] }
targets: { names: [web-1] }
limits: { maxTime: 4h, idleTime: 30m, maxConnections: 20 }
rules:
  # Also "ssh web-1 bash", with which VS Code and other editors start. A shell is recorded, not decided.
  - name: shell
    allow: { ssh: [shell, sftp] }
  # Editors talk to their part on the server, which whoever has a shell there can do, too.
  - name: editors
    allow: { ssh: forward, destinations: ['127.0.0.1:*', 'localhost:*'] }
  - name: commands
    allow: { ssh: exec, commands: ['**'] }
  - name: restarts
    approve: { ssh: exec, commands: ['systemctl restart *'], approvers: [approvers] }
  - name: no-deleting
    deny: { ssh: exec, commands: ['rm **'] }
    hint: Move it to /tmp instead; it is cleaned up every night.
  - name: no-sudo
    deny: { ssh: exec, commands: ['sudo **'] }
    hint: Ask the dba group to do what needs root.
`,
  };
}

function workloads(issuer: string): string {
  return `# Jobs log in with the token of their CI; nothing is stored there.
workloads:
  - name: nightly-report
    platform: github
    issuer: ${issuer}
    claims: { repository_id: "${CI_JOB.repository_id}", ref: ${CI_JOB.ref} }
    show: [repository, run_id]
    groups: [ci]
`;
}
