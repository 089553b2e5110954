/** What the gateway answers over HTTP. */

import { API_VERSION } from '../../api/http.ts';
import type { InfoReply } from '../../api/login.ts';
import type { GatewayKeys } from '../../recording/keys/gateway-keys.ts';
import type { GatewayConfig } from '../base/config.ts';
import type { GatewayPolicy } from '../base/gateway-policy.ts';
import type { Connectors } from '../connectors.ts';
import { createHttpApi } from '../routes/http-api.ts';
import { SessionSearch } from '../search/session-search.ts';
import type { SessionNonces } from '../sessions/session-nonces.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { GatewayData, Opening } from './open-data.ts';
import type { OpenLogins } from './open-logins.ts';
import type { OpenPolicy } from './open-policy.ts';
import type { Readiness } from './readiness.ts';

export function openApi(
  { config, log, opened }: Opening,
  data: GatewayData,
  inForce: OpenPolicy,
  parts: OpenLogins & {
    readonly connectors: Connectors;
    readonly sessions: Sessions;
    readonly nonces: SessionNonces;
    readonly readiness: Readiness;
    readonly version: string;
    readonly searchWorker: URL;
    /** Aborted when the gateway stops. */
    readonly signal: AbortSignal;
  },
): ReturnType<typeof createHttpApi> {
  const { policy } = inForce;
  const { identity, sessions, nonces, connectors, seenApprovers, version, signal } = parts;
  const { searchWorker } = parts;
  return createHttpApi({
    ...inForce,
    identity,
    sessions,
    connectors,
    index: data.index,
    events: data.events,
    ended: data.ended,
    nonces,
    search: opened.use(
      new SessionSearch({
        ...data,
        searchWorker,
        isAgent: (name) => policy.current()?.policy.agents.has(name) === true,
      }),
    ),
    maskAlerts: (who) => {
      const alerts = connectors.alerts();
      const seen = new Set(
        alerts.length === 0 ? [] : policy.granted(who).map(({ target }) => target.name),
      );
      return alerts.filter(({ target }) => seen.has(target) || who.roles.length > 0);
    },
    approverGroups: () => seenApprovers.groups(),
    onBlocked: inForce.reconsider,
    info: () =>
      infoReply({
        config,
        keys: data.keys.get(),
        policy,
        allowedSigners: data.allowedSigners,
        version,
        loginNonce: identity.loginNonce(),
      }),
    unready: () => parts.readiness.reasons(),
    log,
    signal,
  });
}

/** What the gateway tells whoever asks, before any login: who it is, and how its word is checked. */
function infoReply(from: {
  readonly config: GatewayConfig;
  readonly keys: GatewayKeys;
  readonly policy: GatewayPolicy;
  readonly allowedSigners: string;
  readonly version: string;
  readonly loginNonce: string;
}): InfoReply {
  const { config, keys, policy, allowedSigners, version, loginNonce } = from;
  const { clientRepository, branch } = config.policy;
  return {
    v: API_VERSION,
    gateway: config.name,
    version,
    identityProviders: policy.identityProviders().map(({ device, scopes, ...provider }) => ({
      issuer: provider.issuer,
      clientId: provider.clientId,
      scopes: [...scopes],
      ...(provider.fresh === undefined ? {} : { fresh: provider.fresh }),
      ...(provider.ca === undefined ? {} : { ca: provider.ca }),
      ...(device === undefined
        ? {}
        : { device: { clientId: device.clientId, scopes: [...(device.scopes ?? scopes)] } }),
    })),
    loginNonce,
    rootKey: Buffer.from(keys.root).toString('base64'),
    ...(config.sessionUrl === undefined ? {} : { sessionUrl: config.sessionUrl }),
    keyring: keys.keyring,
    policy: {
      ...(clientRepository === undefined ? {} : { repository: clientRepository }),
      branch,
      allowedSigners,
    },
  };
}
