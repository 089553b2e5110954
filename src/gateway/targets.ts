/** From a target of the policy to where it is and how this gateway logs in there. */
import { HoopError } from '../errors.ts';
import type { PolicyTarget } from '../policy/policy.ts';
import { credentialName } from '../policy/principal-grant.ts';
import type { Principal } from '../policy/types.ts';
import type { GatewayConfig } from './config.ts';
import type { CredentialStore } from './credential-store.ts';
import type { PostgresTarget, TargetHost } from './pg/types.ts';

const MIB = 1024 * 1024;

export class Targets {
  readonly #addresses: GatewayConfig['addresses'];
  readonly #maxMessageBytes: number;
  readonly #credentials: CredentialStore;

  constructor(
    { addresses, limits }: Pick<GatewayConfig, 'addresses' | 'limits'>,
    credentials: CredentialStore,
  ) {
    this.#addresses = addresses;
    this.#maxMessageBytes = limits.messageMiB * MIB;
    this.#credentials = credentials;
  }

  /** @throws HOOP_CONFIG when address or credential is missing: the operator's business. */
  async resolve(
    target: PolicyTarget,
    principal: Pick<Principal, 'groups'>,
  ): Promise<PostgresTarget> {
    if (target.kind !== 'postgres') {
      throw new HoopError(
        'HOOP_CONFIG',
        `this gateway does not serve targets of kind ${target.kind}`,
      );
    }
    const hosts = this.#hosts(target);
    const name = credentialName(target, principal);
    if (hosts.length === 0 || name === undefined) {
      const missing = hosts.length === 0 ? 'address' : 'credential';
      throw new HoopError(
        'HOOP_CONFIG',
        `the gateway has no ${missing} for target "${target.name}"`,
        {
          hint: `An operator adds it to ${target.file} in the policy or to the gateway configuration.`,
        },
      );
    }
    const { user, password, clientCertificate } = await this.#credentials.credential(name);
    return {
      name: target.name,
      hosts,
      sessionAttributes: target.sessionAttributes,
      database: target.database,
      user,
      password,
      clientCertificate,
      methods: target.loginMethods,
      tls: target.tls,
      connectTimeoutMs: target.connectTimeoutSeconds * 1000,
      maxMessageBytes: this.#maxMessageBytes,
    };
  }

  /** What the policy says about addresses everybody may read; what only we know they may not. */
  #hosts(target: PolicyTarget): readonly TargetHost[] {
    const own = Object.hasOwn(this.#addresses, target.name)
      ? this.#addresses[target.name]
      : undefined;
    if (own === undefined) {
      return target.addresses.map((one) => ({ ...one, shown: `${one.host}:${one.port}` }));
    }
    return own.map((one, index) => ({
      ...one,
      shown: own.length > 1 ? `server ${index + 1} of ${own.length}` : undefined,
    }));
  }
}
