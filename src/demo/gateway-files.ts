/** What the demo's gateway is started with: certificates, configuration, and secrets beside it. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCertificateAuthority, issueServerCertificate } from '../certificates.ts';
import type { OpensshServer } from './openssh-server.ts';
import { POLICY_BRANCH, type PolicyRepository } from './policy-repository.ts';
import type { DemoTarget } from './sample-target.ts';

export interface Certificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export function writeCertificates(directory: string): Certificates {
  const files = {
    ca: join(directory, 'ca.pem'),
    certificate: join(directory, 'gateway.pem'),
    key: join(directory, 'gateway-key.pem'),
  };
  if (!existsSync(files.key)) {
    const authority = createCertificateAuthority({ name: 'hoop demo CA' });
    const server = issueServerCertificate(authority, { names: ['localhost'], ips: ['127.0.0.1'] });
    writeFileSync(files.ca, authority.certificate);
    writeFileSync(files.certificate, server.certificate);
    writeFileSync(files.key, server.privateKey, { mode: 0o600 });
  }
  return files;
}

interface GatewayConfigOptions {
  readonly directory: string;
  readonly port: number;
  readonly policy: PolicyRepository;
  readonly target: DemoTarget;
  readonly targetNames: readonly string[];
  readonly certificates: Certificates;
  readonly credentials: Credentials;
  /** By target; the credential has the same name. */
  readonly servers: Servers;
  readonly pollSeconds: number;
  readonly more: readonly string[];
}

export type Credentials = Readonly<
  Record<string, { readonly user: string; readonly password: string }>
>;

export type Servers = Readonly<Record<string, OpensshServer>>;

/**
 * Passwords go to the gateway by environment variables: the file may be looked at.
 *
 * @returns the path of the configuration
 */
export function writeGatewayConfig(o: GatewayConfigOptions): string {
  const file = join(o.directory, 'gateway.yaml');
  const { target } = o;
  const servers = Object.entries(o.servers);
  const lines = [
    'version: 1',
    'name: demo-gateway',
    `listen: 127.0.0.1:${o.port}`,
    `tls: { cert: ${o.certificates.certificate}, key: ${o.certificates.key} }`,
    `dataDir: ${join(o.directory, 'gateway')}`,
    // A laptop may well be nearly full, and the demo is small.
    'recording: { minFreePercent: 1 }',
    'policy:',
    `  repository: ${o.policy.directory}`,
    `  clientRepository: ${o.policy.directory}`,
    `  branch: ${POLICY_BRANCH}`,
    `  allowedSigners: ${o.policy.allowedSigners}`,
    `  pollSeconds: ${o.pollSeconds}`,
    'addresses:',
    ...o.targetNames.map((name) => `  ${name}: ${target.host}:${target.port}`),
    ...servers.map(([name, { host, port }]) => `  ${name}: ${host}:${port}`),
    'credentials:',
    ...Object.entries(o.credentials).map(
      ([name, { user }]) =>
        `  ${name}: { user: ${user}, password: { env: ${variableName(name)} } }`,
    ),
    ...servers.map(
      ([name, { user, privateKeyFile }]) =>
        `  ${name}: { user: ${user}, privateKeyFile: ${privateKeyFile} }`,
    ),
    ...o.more,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

export function credentialVariables(credentials: Credentials): Record<string, string> {
  const entries = Object.entries(credentials);
  return Object.fromEntries(entries.map(([name, { password }]) => [variableName(name), password]));
}

function variableName(credential: string): string {
  return `HOOP_DEMO_${credential.toUpperCase().replace(/[^A-Z0-9]/g, '_')}_PASSWORD`;
}
