/** From a target of the policy to where it is and how this gateway logs in there. */
import { HoopError } from '../errors.ts';
import type { PolicyTarget } from '../policy/policy.ts';
import { credentialName } from '../policy/principal-grant.ts';
import type { Principal } from '../policy/types.ts';
import type { HostAndPort } from './config.ts';
import type { CredentialStore } from './credential-store.ts';
import type { PostgresTarget } from './pg/types.ts';

const CONNECT_TIMEOUT_MS = 10_000;

export class Targets {
  readonly #addresses: Readonly<Record<string, HostAndPort>>;
  readonly #credentials: CredentialStore;

  constructor(addresses: Readonly<Record<string, HostAndPort>>, credentials: CredentialStore) {
    this.#addresses = addresses;
    this.#credentials = credentials;
  }

  /** @throws HOOP_CONFIG when address or credential is missing: the operator's business. */
  async resolve(
    target: PolicyTarget,
    principal: Pick<Principal, 'groups'>,
  ): Promise<PostgresTarget> {
    const own = Object.hasOwn(this.#addresses, target.name)
      ? this.#addresses[target.name]
      : undefined;
    const address = own ?? target.address;
    const name = credentialName(target, principal);
    if (address === undefined || name === undefined) {
      const missing = address === undefined ? 'address' : 'credential';
      throw new HoopError(
        'HOOP_CONFIG',
        `the gateway has no ${missing} for target "${target.name}"`,
        {
          hint: `An operator adds it to ${target.file} in the policy or to the gateway configuration.`,
        },
      );
    }
    const { user, password } = await this.#credentials.credential(name);
    return {
      name: target.name,
      host: address.host,
      port: address.port,
      database: target.database,
      user,
      password,
      tls: target.tls,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    };
  }
}
