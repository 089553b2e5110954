/** Live sessions against a gateway in this process whose logins stop being worth anything. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type GatewayBench, startGatewayBench } from './gateway-bench.ts';
import { TestSession } from './test-session.ts';

let bench: GatewayBench;
beforeEach(async () => {
  bench = await startGatewayBench();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

/** hoop.yaml with another identity provider entry. */
function hoopYaml(provider: string): Record<string, string> {
  return {
    'hoop.yaml': `version: 1
org: test
identityProviders:
  - ${provider}
roles:
  auditor: { groups: [auditors] }
  approver: { groups: [approvers] }
`,
  };
}

async function endOf(session: TestSession): Promise<unknown> {
  await session.finish();
  return session.evidence.at(-1);
}

const UNKNOWN = {
  type: 'closing',
  reason: 'revoked',
  message: 'the login comes from an unknown issuer',
};

test('a commit without their identity provider ends them, and says why', async () => {
  const session = await TestSession.open(bench, 'engineer');
  const files = hoopYaml('{ issuer: "https://other.example", clientId: hoop }');
  await bench.policy.commit({ files, message: 'another provider' });
  expect(await endOf(session)).toMatchObject(UNKNOWN);
});
