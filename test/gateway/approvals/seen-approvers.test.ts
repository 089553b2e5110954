/** Groups of approvers that nobody has ever logged in with: in the log, in checks, in the policy shown. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { gatewayCommand } from '../../../src/commands/gateway.ts';
import { policyCommand } from '../../../src/commands/policy.ts';
import {
  readSeenApprovers,
  SeenApprovers,
  seenApproversPath,
} from '../../../src/gateway/approvals/seen-approvers.ts';
import type { Principal } from '../../../src/policy/types.ts';
import { runCommand } from '../../auth/command-run.ts';
import { MINIMAL } from '../../policy/git-fixture.ts';
import { loadPolicy } from '../../policy/with-connectors.ts';
import { collectLog } from '../collect-log.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';

const asking = (...groups: string[]) => `name: deletes
who: { groups: [engineering] }
targets: { names: [prod-db] }
rules:
  - { name: deletes, approve: { verbs: [delete], approvers: [${groups.join(', ')}] } }
`;

let bench: GatewayBench;
beforeEach(async () => {
  bench = await startGatewayBench();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

const warned = () =>
  bench.log.events
    .filter(({ event }) => event === 'approvers.never_logged_in')
    .map(({ group, where }) => [group, where]);
const kept = () => readSeenApprovers(seenApproversPath(join(bench.directory, 'data')));

test('the gateway warns of a group with a typo, keeps the one that somebody has, and no other group', async () => {
  // Nobody has logged in yet.
  expect(warned()).toEqual([['approvers', 'hoop.yaml:10']]);
  const dba = await bench.client('dba');
  await bench.client('engineer');
  expect(kept()).toEqual(['approvers']);
  // dba is logged in: a commit that names the group is no reason to warn of it.
  await bench.policy.commit({ files: { 'policies/d.yaml': asking('dba', 'dbas') }, message: 'x' });
  await expect.poll(warned).toContainEqual(['dbas', 'policies/d.yaml:5']);
  expect(warned()).toHaveLength(2);
  expect(kept()).toEqual(['approvers', 'dba']);
  expect((await dba.policy(bench.signal)).approverGroups).toEqual([
    { group: 'approvers', hasLoggedIn: true },
    { group: 'dba', hasLoggedIn: true },
    { group: 'dbas', hasLoggedIn: false },
  ]);
  await bench.restart();
  expect(warned()).toHaveLength(3);
  expect(warned().at(-1)).toEqual(['dbas', 'policies/d.yaml:5']);
  // What the policy no longer names is forgotten.
  await bench.policy.commit({ files: { 'policies/d.yaml': asking('leads') }, message: 'y' });
  await expect.poll(warned).toContainEqual(['leads', 'policies/d.yaml:5']);
  expect(kept()).toEqual(['approvers']);
});

test('gateway check and policy show say it, and a policy is held against it before its commit', async () => {
  const config = join(bench.directory, 'check.yaml');
  writeFileSync(config, bench.configText());
  const env = { ...process.env, ...bench.environment('dba') };
  const checked = async (): Promise<string> => {
    let out = '';
    const onStdout = (text: string): void => {
      out += text;
    };
    await runCommand(gatewayCommand, ['check', '--config', config], { env, onStdout }).catch(
      () => undefined,
    );
    return out;
  };
  expect(await checked()).toMatch(
    /^warn {4}approvers: no login has had the group "approvers" yet/m,
  );
  await bench.client('dba');
  expect(await checked()).toMatch(
    /^ok {6}approvers: somebody has logged in with each group of approvers/m,
  );

  const work = join(bench.directory, 'work');
  const issuer = `${bench.provider.issuer}`;
  for (const [path, text] of Object.entries({
    ...MINIMAL,
    'hoop.yaml': `version: 1
identityProviders: [{ issuer: ${issuer}, clientId: x }]
roles: { approver: { groups: [approvers] } }
`,
    'policies/d.yaml': asking('dbas').replace('prod-db', 'db'),
  })) {
    mkdirSync(dirname(join(work, path)), { recursive: true });
    writeFileSync(join(work, path), text);
  }
  const alone = await runCommand(policyCommand, ['check', work], { env });
  expect(alone.stdout).not.toContain('approvers');
  const asked = await runCommand(policyCommand, ['check', work, '--ask-gateway'], { env });
  expect(asked.stdout).toContain(
    'policies/d.yaml:5:1: warning: approvers: the gateway does not know yet whether anybody is in "dbas"',
  );
  expect(asked.stdout).not.toContain('"approvers"');
});

test('only who could decide counts: no workload, no device login, no agent', async () => {
  const { policy } = loadPolicy(
    new Map(
      Object.entries({ ...MINIMAL, 'policies/d.yaml': asking('dba').replace('prod-db', 'db') }),
    ),
  );
  const written: (readonly string[])[] = [];
  const log = collectLog();
  const seen = new SeenApprovers({
    seen: [],
    write: (groups) => written.push(groups),
    loggedIn: async () => [],
    log: log.log,
  });
  if (policy === undefined) throw new Error('the policy is not valid');
  await seen.policyChanged(policy);
  const who: Principal = {
    kind: 'person',
    issuer: 'https://login.example',
    sub: '7',
    name: 'ann',
    email: undefined,
    groups: ['dba', 'staff'],
    roles: [],
  };
  seen.loggedIn({ ...who, kind: 'workload' });
  seen.loggedIn({ ...who, viaDevice: true });
  seen.loggedIn({ ...who, agent: 'devin' });
  expect(written).toEqual([]);
  seen.loggedIn(who);
  seen.loggedIn(who);
  expect(written).toEqual([['dba']]);
  expect(seen.groups()).toEqual([{ group: 'dba', hasLoggedIn: true }]);
});
