/** What a gateway takes over while it runs, and what it keeps when the file has a mistake. */

import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCertificateAuthority, issueServerCertificate } from '../../../src/certificates.ts';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { parseGatewayConfig } from '../../../src/gateway/base/config.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { ENGINEERS, type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { requestSession, TestSession } from '../test-session.ts';

let postgres: EmbeddedPostgres;
let bench: GatewayBench;
beforeAll(async () => {
  postgres = await startTestPostgres();
  bench = await startGatewayBench({ target: postgres });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const reload = (change: (text: string) => string = (text) => text) =>
  bench
    .gateway()
    .reload(parseGatewayConfig(change(bench.configText()), join(bench.directory, 'gateway.yaml')));

async function servedCertificate(): Promise<string> {
  const { hostname, port } = new URL(bench.gateway().url);
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

test('a target of the policy without a credential gets one, and sessions that are open go on', async () => {
  const session = await TestSession.open(bench, 'engineer');
  const files = {
    'targets/other-db.yaml':
      'name: other-db\nkind: postgres\ndatabase: postgres\ncredential: other-db\n',
    'policies/engineers.yaml': ENGINEERS.replace('names: [prod-db]', 'names: [prod-db, other-db]'),
  };
  await bench.policy.commit({ files, message: 'another target' });
  const client = await bench.client('engineer');
  await expect
    .poll(async () => (await client.targets(bench.signal)).targets.map(({ name }) => name))
    .toContain('other-db');
  await expect(requestSession(bench, client, { target: 'other-db' })).rejects.toMatchObject({
    code: 'HOOP_CONFIG',
  });
  const address = `${postgres.host}:${postgres.port}`;
  await reload((text) =>
    text
      .replace('addresses: {', `addresses: { other-db: "${address}",`)
      .replace(
        'credentials: {',
        'credentials: { other-db: { user: postgres, password: { env: PROD_DB } },',
      ),
  );
  const { reply } = await requestSession(bench, client, { target: 'other-db' });
  await client.endSession(reply.session, bench.signal);
  expect((await client.session(session.id, bench.signal)).state).toBe('live');
  await session.close();
});

test('a renewed certificate is served to whoever connects next', async () => {
  const before = await servedCertificate();
  const issued = issueServerCertificate(createCertificateAuthority(), {
    names: [],
    ips: ['127.0.0.1'],
  });
  const old = await Promise.all(
    ['cert.pem', 'key.pem'].map((name) => readFile(join(bench.directory, name))),
  );
  await writeFile(join(bench.directory, 'cert.pem'), issued.certificate);
  // Half of a pair is a mistake, and changes nothing.
  await expect(reload()).rejects.toMatchObject({
    code: 'HOOP_CONFIG',
    message: 'the TLS certificate and key cannot be used together',
  });
  expect(await servedCertificate()).toBe(before);
  await writeFile(join(bench.directory, 'key.pem'), issued.privateKey);
  await reload();
  expect(bench.log.events.findLast(({ event }) => event === 'config.reloaded')).toMatchObject({
    changed: expect.stringMatching(/tls$/),
  });
  expect(await servedCertificate()).not.toBe(before);
  await writeFile(join(bench.directory, 'cert.pem'), old[0] ?? '');
  await writeFile(join(bench.directory, 'key.pem'), old[1] ?? '');
  await reload();
  expect(await servedCertificate()).toBe(before);
});

test.each([
  ['that has expired', { now: new Date('2020-01-01') }, '127.0.0.1', 'has expired'],
  ['for another address', {}, '127.0.0.2', 'is not for 127.0.0.1'],
])('a certificate %s is not taken', async (_what, options, ip, reason) => {
  const before = await servedCertificate();
  const names = ['cert.pem', 'key.pem'] as const;
  const paths = names.map((name) => join(bench.directory, name));
  const old = await Promise.all(paths.map((path) => readFile(path)));
  const authority = createCertificateAuthority(options);
  const issued = issueServerCertificate(authority, { names: [], ips: [ip] });
  await writeFile(paths[0] ?? '', issued.certificate);
  await writeFile(paths[1] ?? '', issued.privateKey);
  await expect(reload()).rejects.toMatchObject({
    code: 'HOOP_CONFIG',
    message: expect.stringContaining(reason),
  });
  expect(await servedCertificate()).toBe(before);
  await Promise.all(paths.map((path, index) => writeFile(path, old[index] ?? '')));
});

test('the log names what was loaded, and what waits for a restart for as long as it waits', async () => {
  const from = bench.log.events.length;
  const said = () =>
    bench.log.events
      .slice(from)
      .filter(({ event }) => String(event).startsWith('config.'))
      .map(({ event, changed }) => [event, changed]);
  const other = (text: string) => text.replace('pollSeconds: 1', 'pollSeconds: 7');
  await reload();
  await reload(other);
  await reload(other);
  await reload();
  expect(said()).toEqual([
    ['config.reloaded', 'nothing'],
    ['config.reloaded', 'nothing'],
    ['config.needs_restart', 'policy'],
    ['config.reloaded', 'nothing'],
    ['config.needs_restart', 'policy'],
    // It is as the gateway started.
    ['config.reloaded', 'nothing'],
  ]);
});

test('an address that is gone ends the sessions that began with it', async () => {
  const session = await TestSession.open(bench, 'engineer');
  const ending = session.finish();
  await reload((text) =>
    text.replace(/addresses: \{ prod-db: "[^"]+"/, 'addresses: { prod-db: "127.0.0.1:1"'),
  );
  await ending;
  expect(session.evidence.at(-1)).toMatchObject({ type: 'closing', reason: 'revoked' });
  await reload();
});
