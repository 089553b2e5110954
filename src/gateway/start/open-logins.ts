/** Who may log in, who is logged in, and what follows when a login begins or ends. */

import {
  readSeenApprovers,
  SeenApprovers,
  writeSeenApprovers,
} from '../approvals/seen-approvers.ts';
import { keptForWarnings } from '../base/data-file.ts';
import { errorFields } from '../base/log.ts';
import { GrouplessLogins } from '../identity/groupless-logins.ts';
import { Identity } from '../identity/identity.ts';
import { tellRefusedLogin } from '../identity/login-events.ts';
import { readRun } from '../identity/run-of-login.ts';
import { SqlIdentityStore } from '../identity/sql-identity-store.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { GatewayData, Opening } from './open-data.ts';
import type { OpenPolicy } from './open-policy.ts';

/** @param origins under which clients know the gateway: known when it listens. */
export async function openLogins(
  { clock, log }: Opening,
  { directory, kept, events, secrets }: GatewayData,
  { policy, first, approvals, blocks }: OpenPolicy,
  sessions: Sessions,
  origins: () => readonly string[],
) {
  const identityStore = new SqlIdentityStore(kept, events);
  const identity = new Identity({
    origins,
    providers: () => policy.identityProviders(),
    workloads: () => policy.workloads(),
    roles: () => policy.roles(),
    withOwnAgent: (principal) => policy.withOwnAgent(principal),
    onRefused(error, login) {
      log.warn('login.refused', { ...errorFields(error), ...login });
      tellRefusedLogin(events, error.code, login);
    },
    onLoggedIn: (principal, made) => {
      seenApprovers.loggedIn(principal);
      if (made !== undefined && principal.kind === 'person') {
        groupless.loggedIn(principal.issuer, made.missingGroups);
      }
    },
    onLoggedOut: (who, logins) => log.info('login.ended_by_provider', { ...who, logins }),
    onLogoutRefused: (error, login) =>
      log.warn('logout.refused', { ...errorFields(error), ...login }),
    requireUnblocked: (principal) => blocks.require(principal),
    signingKey: secrets.tokens,
    handleKey: secrets.handles,
    store: identityStore,
    clock,
  });
  const groupless = new GrouplessLogins(directory.path, log);
  const seenApprovers = new SeenApprovers({
    seen: keptForWarnings(() => readSeenApprovers(directory.seenApprovers), [], log),
    write: (groups) => writeSeenApprovers(directory.seenApprovers, groups),
    loggedIn: () => identity.principals(),
    log,
  });
  policy.onChange(({ policy }) => void seenApprovers.policyChanged(policy));
  if (first !== undefined) {
    await seenApprovers.policyChanged(first.policy);
  }
  identity.onRevoked((family, why) => sessions.revokeLogin(family, why));
  identity.onRevoked((family) => void endRequestsOfRun(family));
  identity.onConfirmed((family) => sessions.loginConfirmed(family));

  /** Nobody can send again what a run has asked for when its login has ended. */
  const endRequestsOfRun = async (family: string): Promise<void> => {
    try {
      const login = await identityStore.readFamily(family);
      const run = login && readRun(login);
      if (run !== undefined) await approvals.endOfRun(run.id, 'the run has ended');
    } catch (error) {
      log.error('approval.end_failed', errorFields(error));
    }
  };
  return { identity, identityStore, seenApprovers };
}

export type OpenLogins = Awaited<ReturnType<typeof openLogins>>;
