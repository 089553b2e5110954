import { expect, test } from 'vitest';
import { createCertificateAuthority, issueServerCertificate } from '../../../src/certificates.ts';
import {
  CertificateWatch,
  certificateState,
  hostsOf,
} from '../../../src/gateway/http/server-certificate.ts';
import { collectLog } from '../collect-log.ts';

const DAY_MS = 86_400_000;
const NOW = new Date('2026-11-25T12:00:00Z');

function certificate(days: number, names = ['gw.example.com'], ips: string[] = []): string {
  const authority = createCertificateAuthority({ now: NOW, days });
  return issueServerCertificate(authority, { names, ips }).certificate;
}

test('a certificate with time left is shown with its name, its last day and the days left', () => {
  expect(certificateState(certificate(33), ['gw.example.com'], NOW.getTime())).toEqual({
    state: 'good',
    text: 'for gw.example.com, until 2026-12-28 (33 days)',
    hint: undefined,
  });
});

test.each([
  ['ends tomorrow', 365, 364, 'ending', '(1 day)'],
  ['of a year has 20 days left', 365, 345, 'ending', '(20 days)'],
  ['of six days was just issued', 6, 1, 'good', '(5 days)'],
  ['of six days has one left', 6, 5, 'ending', '(1 day)'],
  ['has expired', 30, 31, 'unusable', 'the certificate has expired'],
  ['is not valid yet', 30, -1, 'unusable', 'the certificate is not valid before 2026-11-25'],
] as const)('a certificate that %s is told so', (_what, days, laterDays, state, text) => {
  const nowMs = NOW.getTime() + laterDays * DAY_MS;
  const found = certificateState(certificate(days), ['gw.example.com'], nowMs);
  expect(found).toMatchObject({ state, text: expect.stringContaining(text) });
});

test('a certificate for another host is unusable, and one for a wildcard or an address is not', () => {
  const stateFor = (pem: string, ...hosts: string[]) =>
    certificateState(pem, hosts, NOW.getTime()).state;
  expect(stateFor(certificate(99), 'other.example.com')).toBe('unusable');
  expect(stateFor(certificate(99), 'gw.example.com', 'sessions.example.com')).toBe('unusable');
  expect(stateFor(certificate(99, ['*.example.com']), 'gw.example.com')).toBe('good');
  expect(stateFor(certificate(99, ['*.example.com']), 'a.gw.example.com')).toBe('unusable');
  expect(stateFor(certificate(99, [], ['127.0.0.1']), '127.0.0.1')).toBe('good');
  expect(stateFor(certificate(99, [], ['127.0.0.1']), '127.0.0.2')).toBe('unusable');
  // Without a name to compare there is nothing to say about names.
  expect(stateFor(certificate(99))).toBe('good');
});

test('an intermediate certificate that ends before the server’s own counts', () => {
  const chain = certificate(99) + certificate(3, ['CA']);
  expect(certificateState(chain, ['gw.example.com'], NOW.getTime() + 4 * DAY_MS)).toMatchObject({
    state: 'unusable',
    text: expect.stringContaining('until 2026-11-28 (over)'),
  });
});

test('a gateway that listens everywhere has no name unless its configuration says one', () => {
  const listen = { host: '0.0.0.0', port: 8443 };
  const none = { listen, publicUrl: undefined, sessionUrl: undefined };
  expect(hostsOf(none)).toEqual([]);
  expect(hostsOf({ ...none, listen: { ...listen, host: '10.0.0.1' } })).toEqual(['10.0.0.1']);
  expect(hostsOf({ ...none, publicUrl: 'https://[2001:db8::1]:8443' })).toEqual(['2001:db8::1']);
});

test('a gateway warns once a day of a certificate that ends soon, and says when it is over', () => {
  const { log, events } = collectLog();
  const watch = new CertificateWatch(['gw.example.com'], log);
  watch.use(certificate(100), NOW.getTime());
  expect(events).toEqual([]);
  for (const day of [90, 90.01, 91, 101]) watch.look(NOW.getTime() + day * DAY_MS);
  expect(events.map(({ level, event }) => [level, event])).toEqual([
    ['warn', 'tls.certificate_ending'],
    ['warn', 'tls.certificate_ending'],
    ['error', 'tls.certificate_unusable'],
  ]);
});
