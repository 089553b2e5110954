import { API_VERSION } from '../../api/http.ts';
import type { InfoReply } from '../../api/login.ts';
import type { GatewayKeys } from '../../recording/gateway-keys.ts';
import type { GatewayConfig } from '../base/config.ts';
import type { GatewayPolicy } from '../base/gateway-policy.ts';

/** What the gateway tells whoever asks, before any login: who it is, and how its word is checked. */
export function infoReply(from: {
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
