/** What `GET /v1/whoami` answers. */

import { API_VERSION } from '../../api/http.ts';
import type { WhoamiReply } from '../../api/login.ts';
import { requesterClaim } from '../../policy/actor-name.ts';
import type { Authenticated } from './identity.ts';
import { shownRun } from './run-rights.ts';
import { shownWorkload } from './workload-login.ts';

/** @param unnamedGroups the policy in force names none of the login's groups */
export function whoamiReply(who: Authenticated, unnamedGroups = false): WhoamiReply {
  const { kind, issuer, sub, name, email, groups, roles } = who.principal;
  const { agent, isAgent, requester, viaDevice } = who.principal;
  const { run, matches, missingGroups } = who;
  return {
    v: API_VERSION,
    kind,
    issuer,
    sub,
    name,
    ...(email === undefined ? {} : { email }),
    groups: [...groups],
    roles: [...roles],
    ...(agent === undefined ? {} : { agent }),
    ...(isAgent === true ? { isAgent } : {}),
    ...requesterClaim(requester),
    ...(run === undefined ? {} : { run: shownRun(run) }),
    ...(viaDevice === true ? { viaDevice } : {}),
    ...(missingGroups === undefined ? {} : { missingGroups }),
    ...(unnamedGroups ? { unnamedGroups } : {}),
    ...(matches === undefined ? {} : { workload: shownWorkload(matches) }),
    expiresAt: new Date(who.endsAtMs).toISOString(),
  };
}
