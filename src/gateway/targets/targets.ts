/** From a target of the policy to where it is and how this gateway logs in there. */

import type { PostgresTarget } from '../../connectors/postgres/gateway/types.ts';
import type { SshTarget, SshTargetLogin } from '../../connectors/ssh/gateway/types.ts';
import { type LoginOnOffer, loginsOnOffer } from '../../connectors/ssh/policy/logins.ts';
import { HoopError } from '../../errors.ts';
import type { PolicyTarget, PostgresPolicyTarget, SshPolicyTarget } from '../../policy/policy.ts';
import { credentialName } from '../../policy/principal-grant.ts';
import type { Grant, Principal } from '../../policy/types.ts';
import type { GatewayConfig } from '../base/config.ts';
import type { CredentialStore } from './credential-store.ts';
import type { TargetHost } from './target-host.ts';

const MIB = 1024 * 1024;

/** What a session is for. */
export type SessionTarget = PostgresTarget | SshTarget;

export class Targets {
  #addresses: GatewayConfig['addresses'];
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

  /** All of them, in the place of those of now. */
  replaceAddresses(addresses: GatewayConfig['addresses']): void {
    this.#addresses = addresses;
  }

  /** @throws HOOP_CONFIG when address or credential is missing: the operator's business. */
  async resolve(
    target: PolicyTarget,
    principal: Pick<Principal, 'groups'>,
    grant: Grant,
  ): Promise<SessionTarget> {
    return target.kind === 'postgres'
      ? this.postgres(target, principal)
      : this.ssh(target, loginsOnOffer(target, principal, grant));
  }

  /** @throws HOOP_CONFIG */
  async postgres(
    target: PostgresPolicyTarget,
    principal: Pick<Principal, 'groups'>,
  ): Promise<PostgresTarget> {
    const hosts = this.hosts(target);
    const name = credentialName(target, principal);
    if (name === undefined) {
      throw missing(target, 'credential');
    }
    const { user, password, clientCertificate } = await this.#credentials.credential(name);
    return {
      kind: 'postgres',
      name: target.name,
      hosts,
      sessionAttributes: target.sessionAttributes,
      database: target.database,
      credentialName: name,
      user,
      password,
      clientCertificate,
      methods: target.loginMethods,
      tls: target.tls,
      connectTimeoutMs: target.connectTimeoutSeconds * 1000,
      maxMessageBytes: this.#maxMessageBytes,
    };
  }

  /** @throws HOOP_CONFIG */
  async ssh(target: SshPolicyTarget, offered: readonly LoginOnOffer[]): Promise<SshTarget> {
    const hosts = this.hosts(target);
    if (offered.length === 0) {
      throw missing(target, 'credential');
    }
    return {
      kind: 'ssh',
      name: target.name,
      hosts,
      hostKeys: target.hostKeys,
      logins: await Promise.all(offered.map((login) => this.#login(login))),
      connectTimeoutMs: target.connectTimeoutSeconds * 1000,
    };
  }

  async #login({ user, credential: name }: LoginOnOffer): Promise<SshTargetLogin> {
    const credentials = this.#credentials;
    // Read now, too: that one is missing is seen before anybody connects.
    const now = await credentials.credential(name);
    if (now.password === undefined && now.privateKey === undefined) {
      throw new HoopError(
        'HOOP_CONFIG',
        `credential "${name}" has neither a privateKeyFile nor a password`,
        { hint: 'An operator adds one of them to the credential in the gateway configuration.' },
      );
    }
    return {
      user: user ?? now.user,
      credentialName: name,
      async credential() {
        const { password, privateKey } = await credentials.credential(name);
        return { password, privateKey };
      },
    };
  }

  /**
   * What the policy says about addresses everybody may read; what only we know they may not.
   * @throws HOOP_CONFIG for none
   */
  hosts(target: PolicyTarget): readonly TargetHost[] {
    const own = Object.hasOwn(this.#addresses, target.name)
      ? this.#addresses[target.name]
      : undefined;
    if (own === undefined && target.addresses.length > 0) {
      return target.addresses.map((one) => ({ ...one, shown: `${one.host}:${one.port}` }));
    }
    if (own === undefined || own.length === 0) {
      throw missing(target, 'address');
    }
    return own.map((one, index) => ({
      ...one,
      shown: own.length > 1 ? `server ${index + 1} of ${own.length}` : undefined,
    }));
  }
}

function missing(target: PolicyTarget, what: 'address' | 'credential'): HoopError {
  return new HoopError('HOOP_CONFIG', `the gateway has no ${what} for target "${target.name}"`, {
    hint: `An operator adds it to ${target.file} in the policy or to the gateway configuration.`,
  });
}
