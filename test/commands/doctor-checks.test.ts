import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import type { InfoReply } from '../../src/api/login.ts';
import { createCertificateAuthority, issueServerCertificate } from '../../src/certificates.ts';
import { clockCheck } from '../../src/commands/machine/doctor-checks.ts';
import { providerChecks } from '../../src/commands/machine/doctor-machine.ts';
import { doctorLines } from '../../src/ui/doctor-lines.ts';
import { styleFor } from '../../src/ui/text/style.ts';

const NOW_MS = Date.UTC(2026, 2, 1);

test.each([
  [undefined, 'skipped', 'does not report'],
  [NOW_MS + 900, 'ok', 'agrees'],
  [NOW_MS - 45_000, 'warning', 'this machine is 45 s ahead of the gateway'],
  [NOW_MS + 300_000, 'failed', 'this machine is 5 min behind the gateway'],
])('a clock of the gateway that says %s is %s', (theirsMs, status, text) => {
  const check = clockCheck(theirsMs, NOW_MS);
  expect(check).toMatchObject({ status, text: expect.stringContaining(text) });
  expect(check.hint !== undefined).toBe(status === 'warning' || status === 'failed');
});

test('each check is a line, with what to do below, and nothing that acts on a terminal', () => {
  const checks = [
    {
      name: 'gateway',
      status: 'failed',
      text: 'cannot \x1b[2J reach it',
      hint: 'Check it. '.repeat(9),
    },
    { name: 'tokens', status: 'ok', text: 'in the keychain', hint: 'not said' },
  ] as const;
  expect(doctorLines(checks, { style: styleFor(false), width: 50 })).toEqual([
    '✗ FAILED   gateway  cannot ⟪U+001B⟫[2J reach it',
    '                    → Check it. Check it. Check',
    '                      it. Check it. Check it.',
    '                      Check it. Check it. Check',
    '                      it. Check it.',
    '✓ ok       tokens   in the keychain',
  ]);
});

test('a provider behind a private CA passes with the CA of the policy, and without it the CA is named', async () => {
  const authority = createCertificateAuthority();
  const issued = issueServerCertificate(authority, { names: [], ips: ['127.0.0.1'] });
  let issuer = '';
  const server = createServer(
    { cert: issued.certificate, key: issued.privateKey },
    (_request, reply) => reply.end(JSON.stringify({ issuer })),
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const checked = async (ca?: string) => {
    const provider = { issuer, clientId: 'hoop', scopes: [], ...(ca === undefined ? {} : { ca }) };
    const info = { identityProviders: [provider] } as unknown as InfoReply;
    return (await providerChecks(info, new AbortController().signal))[0];
  };
  expect(await checked(authority.certificate)).toMatchObject({ status: 'ok' });
  expect(await checked()).toMatchObject({
    status: 'warning',
    text: `${issuer} cannot be used: its certificate is signed by an unknown CA; name a private one as \`ca\` of the provider in hoop.yaml`,
  });
  server.closeAllConnections();
  server.close();
});
