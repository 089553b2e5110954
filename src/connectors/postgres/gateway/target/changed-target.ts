/**
 * Whether a commit has changed what a session on a database was made by. Where the database is and
 * how one logs in there is looked up once, when the session begins, and its client has been told
 * database and role: so the session ends, and the next one has what is in force.
 */
import { isDeepStrictEqual } from 'node:util';
import { HoopError } from '../../../../errors.ts';
import { isSameHost } from '../../../../gateway/targets/target-host.ts';
import type { Targets } from '../../../../gateway/targets/targets.ts';
import type { PolicyTarget } from '../../../../policy/policy.ts';
import { credentialName } from '../../../../policy/principal-grant.ts';
import type { Principal } from '../../../../policy/types.ts';
import { isDatabase, type PostgresPolicyTarget } from '../../policy/target.ts';
import type { PostgresTarget } from '../types.ts';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/g;

export interface ChangedTargetOptions {
  readonly targets: Pick<Targets, 'hosts'>;
  readonly principal: Principal;
  /** As it was when the session began. */
  readonly target: PostgresTarget;
}

/** @returns what to ask after each commit, with the target of now: why the session cannot go on, in words, if so */
export function changedPostgresTarget(
  options: ChangedTargetOptions,
): (now: PolicyTarget) => string | undefined {
  const { targets, principal, target } = options;
  const { name } = target;
  const hasLostHost = (now: PostgresPolicyTarget): boolean => {
    try {
      const after = targets.hosts(now);
      // One more, or another order, takes nothing away.
      return !target.hosts.every((one) => after.some((other) => isSameHost(one, other)));
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
      return true;
    }
  };
  const changed = (now: PostgresPolicyTarget): string | undefined => {
    if (hasLostHost(now)) return 'address';
    if (now.database !== target.database) return 'database';
    if (credentialName(now, principal) !== target.credentialName) return 'credential';
    if (!isDeepStrictEqual(comparable(now.tls), comparable(target.tls))) return 'TLS setting';
    if (!isDeepStrictEqual(new Set(now.loginMethods), new Set(target.methods))) {
      return 'requireAuth';
    }
    return now.sessionAttributes === target.sessionAttributes ? undefined : 'targetSessionAttrs';
  };
  return (now) => {
    const what = isDatabase(now) ? changed(now) : 'kind';
    return what === undefined
      ? undefined
      : `the ${what} of target "${name}" has changed in the policy: connect again`;
  };
}

/** In any order, with any line ends and words between them, the same CAs are trusted. */
function comparable(tls: PostgresTarget['tls']): unknown {
  return { ...tls, ca: tls.ca === undefined ? undefined : certificatesOf(tls.ca) };
}

function certificatesOf(pem: string): ReadonlySet<string> {
  const certificates = new Set<string>();
  const rest = pem.replace(CERTIFICATE, (_all, base64: string) => {
    certificates.add(base64.replace(/\s/g, ''));
    return '';
  });
  // Something else that begins there, or has no end: what Node makes of it is not known here.
  return rest.includes('-----BEGIN') ? new Set([pem]) : certificates;
}
