/** What `GET /v1/whoami` answers. */

import { API_VERSION } from '../../api/http.ts';
import type { WhoamiReply } from '../../api/login.ts';
import { requesterClaim } from '../../policy/actor-name.ts';
import type { Authenticated } from './identity.ts';
import { shownRun } from './run-rights.ts';
import { shownWorkload } from './workload-login.ts';

export function whoamiReply(who: Authenticated): WhoamiReply {
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
    ...(matches === undefined ? {} : { workload: shownWorkload(matches) }),
    expiresAt: new Date(who.endsAtMs).toISOString(),
  };
}
