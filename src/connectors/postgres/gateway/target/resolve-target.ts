/** From a database of the policy to where it is and how this gateway logs in there. */
import type { TargetServices } from '../../../../gateway/connector.ts';
import { missing } from '../../../../gateway/targets/targets.ts';
import { credentialName } from '../../../../policy/principal-grant.ts';
import type { Principal } from '../../../../policy/types.ts';
import type { PostgresPolicyTarget } from '../../policy/target.ts';
import type { PostgresTarget } from '../types.ts';

/** @throws HOOP_CONFIG when address or credential is missing: the operator's business. */
export async function resolvePostgresTarget(
  { targets, credentials, maxMessageBytes }: TargetServices,
  target: PostgresPolicyTarget,
  principal: Pick<Principal, 'groups'>,
): Promise<PostgresTarget> {
  const hosts = targets.hosts(target);
  const name = credentialName(target, principal);
  if (name === undefined) {
    throw missing(target, 'credential');
  }
  const { user, password, clientCertificate } = await credentials.credential(name);
  return {
    kind: 'postgres',
    name: target.name,
    hosts,
    sessionAttributes: target.sessionAttributes,
    database: target.database,
    credentialName: name,
    user,
    users: usersOf(target, user, (one) => credentials.userOf(one)),
    password,
    clientCertificate,
    methods: target.loginMethods,
    tls: target.tls,
    connectTimeoutMs: target.connectTimeoutSeconds * 1000,
    maxMessageBytes,
  };
}

function usersOf(
  { credential, credentials }: PostgresPolicyTarget,
  user: string,
  userOf: (credential: string) => string | undefined,
): readonly string[] {
  const names = [credential, ...credentials.map((one) => one.credential)];
  const users = names.flatMap((name) => (name === undefined ? [] : (userOf(name) ?? [])));
  return [...new Set([user, ...users])];
}
