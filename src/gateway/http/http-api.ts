/**
 * The gateway's HTTP API (PATHS in api/http.ts), but for the two WebSocket routes, which are in
 * upgrades.ts. Every route but the public ones authenticates first; sessions that are not one's own
 * do not exist, except to auditors.
 */
import { Hono } from 'hono';
import type { AccessRequests } from '../access/access-requests.ts';
import { addAccessRoutes } from '../access/access-routes.ts';
import { addApprovalRoutes } from '../approvals/approval-routes.ts';
import type { Approvals } from '../approvals/approvals.ts';
import type { Log } from '../base/log.ts';
import { addBlockRoutes } from '../blocks/block-routes.ts';
import type { Blocks } from '../blocks/blocks.ts';
import type { Connectors } from '../connectors.ts';
import type { AuditEvents } from '../events/audit-events.ts';
import { addEventRoutes } from '../events/event-routes.ts';
import { isSamePerson } from '../identity/same-person.ts';
import type { PolicyHistory } from '../index/policy-history.ts';
import type { SessionIndex } from '../index/session-index.ts';
import { addLiveRunRoutes } from '../runs/live-run-routes.ts';
import { addRunRoutes } from '../runs/run-routes.ts';
import { addSearchRoutes } from '../search/search-routes.ts';
import type { SessionSearch } from '../search/session-search.ts';
import type { SessionRights } from '../sessions/access.ts';
import type { EndedRecordings } from '../sessions/ended-recordings.ts';
import { addRecordingRoutes } from '../sessions/recording-routes.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Env } from './api-context.ts';
import { createGuards } from './guards.ts';
import { refuseOtherMethods } from './other-methods.ts';
import { addPrincipalRoutes, type PrincipalRoutesOptions } from './principal-routes.ts';
import { addPublicRoutes, type PublicRoutesOptions } from './public-routes.ts';
import { logRequests, replyToErrors } from './request-log.ts';
import { addSessionRoutes } from './session-routes.ts';

export interface HttpApiOptions extends PublicRoutesOptions, PrincipalRoutesOptions {
  readonly sessions: Sessions;
  readonly connectors: Connectors;
  readonly index: SessionIndex;
  readonly ended: EndedRecordings;
  readonly search: SessionSearch;
  readonly approvals: Approvals;
  readonly accessRequests: AccessRequests;
  readonly blocks: Blocks;
  /** Somebody has been kept out of something. */
  readonly onBlocked: () => void;
  readonly history: PolicyHistory;
  readonly events: AuditEvents;
  readonly log: Log;
}

export function createHttpApi(options: HttpApiOptions): Hono<Env> {
  const app = new Hono<Env>();
  const guards = createGuards(options.identity);
  const rights = sessionRights(options);
  const access = options.accessRequests;

  logRequests(app, options);
  replyToErrors(app);
  addPublicRoutes(app, options);
  addPrincipalRoutes(app, guards, options);
  addSessionRoutes(app, guards, { ...options, rights });
  addRunRoutes(app, guards, { ...options, access });
  addLiveRunRoutes(app, guards, options);
  addApprovalRoutes(app, guards, options);
  addAccessRoutes(app, guards, { ...options, access });
  addBlockRoutes(app, guards, options);
  addRecordingRoutes(app, guards, { ...options, rights });
  addSearchRoutes(app, guards, options);
  addEventRoutes(app, guards, options);
  refuseOtherMethods(app);
  return app;
}

/** Who decides about what waits in a session may look at it. */
function sessionRights({ index, approvals }: HttpApiOptions): SessionRights {
  return {
    index,
    async decides(principal) {
      const open = await approvals.list(principal, {
        isOpen: true,
        limit: Number.POSITIVE_INFINITY,
      });
      const others = open.filter(({ requester }) => !isSamePerson(requester, principal));
      return new Set(others.flatMap(({ session }) => session ?? []));
    },
  };
}
