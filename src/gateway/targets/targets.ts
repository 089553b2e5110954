/** Where the targets of the policy are. */

import { HoopError } from '../../errors.ts';
import type { PolicyTarget } from '../../policy/policy.ts';
import type { GatewayConfig } from '../base/config.ts';
import type { TargetHost } from './target-host.ts';

export class Targets {
  #addresses: GatewayConfig['addresses'];

  constructor({ addresses }: Pick<GatewayConfig, 'addresses'>) {
    this.#addresses = addresses;
  }

  /** All of them, in the place of those of now. */
  replaceAddresses(addresses: GatewayConfig['addresses']): void {
    this.#addresses = addresses;
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

/** The operator's business. */
export function missing(target: PolicyTarget, what: 'address' | 'credential'): HoopError {
  return new HoopError('HOOP_CONFIG', `the gateway has no ${what} for target "${target.name}"`, {
    hint: `An operator adds it to ${target.file} in the policy or to the gateway configuration.`,
  });
}

/** Whoever runs the gateway may read in an error where it is; clients may not. */
export function shownHosts(hosts: readonly TargetHost[]): TargetHost[] {
  return hosts.map((one) => ({ ...one, shown: `${one.host}:${one.port}` }));
}
