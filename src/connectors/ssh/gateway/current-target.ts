/**
 * The server of a live session as the policy of now has it. Addresses, logins, credentials and host
 * keys are looked up for each connection, and connections that are open are asked about after each
 * commit: what was taken away must not last as long as somebody keeps a session open. An address
 * may be taken away because of what is behind it.
 */

import { HoopError } from '../../../errors.ts';
import type { GatewayPolicy } from '../../../gateway/base/gateway-policy.ts';
import { isSameHost } from '../../../gateway/targets/target-host.ts';
import type { Principal } from '../../../policy/types.ts';
import { loginsOnOffer } from '../policy/logins.ts';
import { isServer } from '../policy/types.ts';
import { pinsFingerprint } from './host-keys.ts';
import { resolveSshTarget, type SshTargetServices } from './resolve-target.ts';
import type { CurrentSshTarget, SshTargetLogin } from './types.ts';

export interface CurrentTargetOptions extends SshTargetServices {
  readonly policy: Pick<GatewayPolicy, 'grant'>;
  readonly principal: Principal;
  readonly name: string;
}

export function currentSshTarget(options: CurrentTargetOptions): CurrentSshTarget {
  const { policy, targets, principal, name } = options;
  const offer = () => {
    const found = policy.grant(principal, name);
    if (found === undefined || !isServer(found.target)) {
      throw new HoopError(
        'HOOP_ACCESS_DENIED',
        `the policy no longer gives access to server "${name}"`,
      );
    }
    return { target: found.target, logins: loginsOnOffer(found.target, principal, found.grant) };
  };
  return {
    async now() {
      const { target, logins } = offer();
      return resolveSshTarget(options, target, logins);
    },
    revoked(login, { host, fingerprint }) {
      try {
        const { target, logins } = offer();
        if (!logins.some((one) => isSame(one, login))) {
          return new HoopError(
            'HOOP_ACCESS_DENIED',
            `the policy no longer offers the login "${login.user}" on target "${name}"`,
          );
        }
        if (!targets.hosts(target).some((one) => isSameHost(one, host))) {
          return new HoopError(
            'HOOP_ACCESS_DENIED',
            `the address of target "${name}" has changed in the policy`,
            { hint: 'Connect again.' },
          );
        }
        return pinsFingerprint(target.hostKeys, fingerprint)
          ? undefined
          : new HoopError(
              'HOOP_TARGET_HOST_KEY',
              `the policy no longer pins the host key of target "${name}" that this connection uses`,
              { hint: 'Connect again.' },
            );
      } catch (error) {
        if (!(error instanceof HoopError)) throw error;
        return error;
      }
    },
  };
}

/** Without a user in the policy it is the credential that says who one is there. */
function isSame(offered: ReturnType<typeof loginsOnOffer>[number], login: SshTargetLogin): boolean {
  return offered.user === undefined
    ? offered.credential === login.credentialName
    : offered.user === login.user;
}
