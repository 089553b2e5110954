/** A real Keycloak on loopback, and as much of its administration as the page about it needs. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import * as z from 'zod';
import { type CertificateAuthority, createCertificateAuthority } from '../../src/certificates.ts';

/** It builds itself at the first start. */
const START_WITHIN_MS = 10 * 60_000;
const Token = z.object({ access_token: z.string() });

export interface Keycloak extends AsyncDisposable {
  /** Base URL. */
  readonly server: string;
  /** Where kcadm.sh is. */
  readonly bin: string;
  /** The private CA that Keycloak believes. */
  readonly authority: CertificateAuthority;
  /** A request to the administration; `path` begins behind `/admin/realms`. */
  admin(method: string, path: string, body?: object): Promise<unknown>;
}

export async function startKeycloak(options: {
  readonly version: string;
  readonly cache: string;
}): Promise<Keycloak> {
  await using started = new AsyncDisposableStack();
  const authority = createCertificateAuthority();
  const { server, bin } = await start(options, authority, started);
  const resources = started.move();
  const admin = async (method: string, path: string, body?: object): Promise<unknown> => {
    // Anew each time: an administrator's token lives for a minute.
    const login = await fetch(`${server}/realms/master/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({
        client_id: 'admin-cli',
        username: 'admin',
        password: 'admin',
        grant_type: 'password',
      }),
    });
    const { access_token } = Token.parse(await login.json());
    const response = await fetch(`${server}/admin/realms${path}`, {
      method,
      headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`Keycloak answers ${response.status} to ${method} ${path}: ${text}`);
    }
    return text === '' ? undefined : JSON.parse(text);
  };
  return { server, bin, authority, admin, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

async function start(
  { version, cache }: { readonly version: string; readonly cache: string },
  authority: CertificateAuthority,
  started: AsyncDisposableStack,
): Promise<Pick<Keycloak, 'server' | 'bin'>> {
  const archive = join(cache, `keycloak-quarkus-dist-${version}.zip`);
  mkdirSync(cache, { recursive: true });
  if (!existsSync(archive)) {
    const artifact = `org.keycloak:keycloak-quarkus-dist:${version}:zip`;
    await execa('mvn', [
      '-q',
      'dependency:copy',
      `-Dartifact=${artifact}`,
      `-DoutputDirectory=${cache}`,
    ]);
  }
  const directory = mkdtempSync(join(tmpdir(), 'hoop-keycloak-run-'));
  started.defer(() => rmSync(directory, { recursive: true, force: true }));
  await execa('unzip', ['-q', archive, '-d', directory]);
  const bin = join(directory, `keycloak-${version}`, 'bin');
  const truststore = join(directory, 'gateway-ca.pem');
  writeFileSync(truststore, authority.certificate);
  const port = await freePort();
  const server = `http://127.0.0.1:${port}`;
  const child = spawn(
    join(bin, 'kc.sh'),
    [
      'start-dev',
      '--http-host=127.0.0.1',
      `--http-port=${port}`,
      '--features=dpop',
      `--truststore-paths=${truststore}`,
    ],
    {
      stdio: 'ignore',
      env: {
        ...process.env,
        KC_BOOTSTRAP_ADMIN_USERNAME: 'admin',
        KC_BOOTSTRAP_ADMIN_PASSWORD: 'admin',
        JAVA_OPTS_KC_HEAP: '-Xms128m -Xmx512m',
      },
    },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  started.defer(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const deadline = performance.now() + START_WITHIN_MS;
  while (
    !(await fetch(`${server}/realms/master`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || performance.now() > deadline) {
      throw new Error('Keycloak did not start');
    }
    await delay(1000);
  }
  return { server, bin };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') {
    throw new TypeError('a TCP server has an address with a port');
  }
  return address.port;
}
