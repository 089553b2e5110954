/** From a server of the policy to where it is and how this gateway logs in there. */
import { HoopError } from '../../../errors.ts';
import type { TargetServices } from '../../../gateway/connector.ts';
import { missing } from '../../../gateway/targets/targets.ts';
import type { LoginOnOffer } from '../policy/logins.ts';
import type { SshPolicyTarget } from '../policy/types.ts';
import type { SshTarget, SshTargetLogin } from './types.ts';

export type SshTargetServices = Pick<TargetServices, 'targets' | 'credentials'>;

/** @throws HOOP_CONFIG when address or credential is missing: the operator's business. */
export async function resolveSshTarget(
  { targets, credentials }: SshTargetServices,
  target: SshPolicyTarget,
  offered: readonly LoginOnOffer[],
): Promise<SshTarget> {
  const hosts = targets.hosts(target);
  if (offered.length === 0) {
    throw missing(target, 'credential');
  }
  return {
    kind: 'ssh',
    name: target.name,
    hosts,
    hostKeys: target.hostKeys,
    ownAddresses: target.ownAddresses,
    logins: await Promise.all(offered.map((login) => resolveLogin(credentials, login))),
    connectTimeoutMs: target.connectTimeoutSeconds * 1000,
  };
}

async function resolveLogin(
  credentials: TargetServices['credentials'],
  { user, credential: name }: LoginOnOffer,
): Promise<SshTargetLogin> {
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
