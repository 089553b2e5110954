/**
 * The configuration is read again while the gateway runs. What sessions begin with changes at once:
 * credentials, addresses, the certificate. For the rest the gateway has to start anew, and says so.
 * Everything is checked before anything is changed: a mistake leaves all as it was.
 */
import type { Server } from 'node:https';
import type { GatewayConfig } from '../base/config.ts';
import type { Log } from '../base/log.ts';
import { readServerCertificate } from '../http/https-listener.ts';
import { ConfigCredentialStore } from '../targets/credential-store.ts';
import type { Targets } from '../targets/targets.ts';

export interface Reloadable {
  readonly credentials: ConfigCredentialStore;
  readonly targets: Pick<Targets, 'replaceAddresses'>;
  readonly server: Pick<Server, 'setSecureContext'>;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
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

/** @throws HOOP_CONFIG */
export async function reloadConfig(
  { credentials, targets, server, env, log }: Reloadable,
  before: GatewayConfig,
  next: GatewayConfig,
): Promise<void> {
  const certificate = await readServerCertificate(next.tls);
  await new ConfigCredentialStore({ credentials: next.credentials, env, log }).check();
  server.setSecureContext(certificate);
  credentials.replace(next.credentials);
  targets.replaceAddresses(next.addresses);
  const changed = (key: keyof GatewayConfig): boolean =>
    JSON.stringify(before[key]) !== JSON.stringify(next[key]);
  const waiting = (Object.keys(FIXED) as Fixed[]).filter(changed);
  log.info('config.reloaded', { changed: LIVE.filter(changed).join(', ') });
  if (waiting.length > 0) {
    log.warn('config.needs_restart', {
      changed: waiting.join(', '),
      message: 'changes to these settings need a restart',
    });
  }
}
