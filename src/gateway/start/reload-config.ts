/**
 * The configuration is read again while the gateway runs. What sessions begin with changes at once:
 * credentials, addresses, the certificate. For the rest the gateway has to start anew, and says so.
 * Everything is checked before anything is changed: a mistake leaves all as it was.
 */
import { createHash } from 'node:crypto';
import type { Server } from 'node:https';
import type { GatewayConfig } from '../base/config.ts';
import type { Log } from '../base/log.ts';
import { readServerCertificate } from '../http/https-listener.ts';
import type { CertificateWatch } from '../http/server-certificate.ts';
import { ConfigCredentialStore } from '../targets/credential-store.ts';
import type { Targets } from '../targets/targets.ts';

export interface Reloadable {
  readonly credentials: ConfigCredentialStore;
  readonly targets: Pick<Targets, 'replaceAddresses'>;
  readonly server: Pick<Server, 'setSecureContext'>;
  readonly certificate: CertificateWatch;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly clock: () => number;
}

/** What the gateway works with now. */
export interface InUse {
  /** What may change while it runs, as it was last read. */
  readonly live: GatewayConfig;
  /** What it started with: the rest is compared with it, however often it is read again. */
  readonly started: GatewayConfig;
  /** Identifies certificate and key: their files may have new contents under the same names. */
  readonly pair: string;
}

const LIVE = ['credentials', 'addresses', 'tls'] as const satisfies (keyof GatewayConfig)[];
type Fixed = Exclude<keyof GatewayConfig, (typeof LIVE)[number]>;
const FIXED: Readonly<Record<Fixed, true>> = {
  name: true,
  listen: true,
  publicUrl: true,
  sessionUrl: true,
  dataDir: true,
  keysDir: true,
  policy: true,
  store: true,
  recording: true,
  limits: true,
  metrics: true,
  events: true,
};

/**
 * @returns what is in use from then on
 * @throws HOOP_CONFIG
 */
export async function reloadConfig(
  { credentials, targets, server, certificate, env, log, clock }: Reloadable,
  { live, started, pair }: InUse,
  next: GatewayConfig,
): Promise<InUse> {
  const read = await readServerCertificate(next.tls);
  certificate.require(read.cert.toString(), clock());
  await new ConfigCredentialStore({ credentials: next.credentials, env, log }).check();
  server.setSecureContext(read);
  certificate.use(read.cert.toString(), clock());
  credentials.replace(next.credentials);
  targets.replaceAddresses(next.addresses);
  const differs = (before: GatewayConfig, key: keyof GatewayConfig): boolean =>
    JSON.stringify(before[key]) !== JSON.stringify(next[key]);
  const newPair = pairOf(read);
  const changed = LIVE.filter((key) => differs(live, key) || (key === 'tls' && newPair !== pair));
  const waiting = (Object.keys(FIXED) as Fixed[]).filter((key) => differs(started, key));
  log.info('config.reloaded', { changed: changed.join(', ') || 'nothing' });
  if (waiting.length > 0) {
    log.warn('config.needs_restart', {
      changed: waiting.join(', '),
      message: 'changes to these settings need a restart',
    });
  }
  return { live: next, started, pair: newPair };
}

export function pairOf({ cert, key }: { readonly cert: Buffer; readonly key: Buffer }): string {
  return `${cert.toString()}\n${createHash('sha256').update(key).digest('hex')}`;
}
