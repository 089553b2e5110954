/**
 * The gateway's HTTP API (PATHS in api/http.ts), but for the two WebSocket routes, which are in
 * upgrades.ts. Every route but the public ones authenticates first; sessions that are not one's own
 * do not exist, except to auditors.
 */

import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import { PATHS } from '../../api/http.ts';
import { HoopError } from '../../errors.ts';
import type { AccessRequests } from '../access/access-requests.ts';
import type { Approvals } from '../approvals/approvals.ts';
import { errorReply } from '../base/http-errors.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { Blocks } from '../blocks/blocks.ts';
import type { Connectors } from '../connectors.ts';
import type { AuditEvents } from '../events/audit-events.ts';
import {
  type Env,
  type Guards,
  type Handler,
  identityRequest,
  sourceOf,
} from '../http/api-context.ts';
import { json, reply } from '../http/http-replies.ts';
import type { Authenticated, Identity } from '../identity/identity.ts';
import { runRefused } from '../identity/run-rights.ts';
import { isSamePerson } from '../identity/same-person.ts';
import type { PolicyHistory } from '../index/policy-history.ts';
import type { SessionIndex } from '../index/session-index.ts';
import type { SessionSearch } from '../search/session-search.ts';
import type { SessionRights } from '../sessions/access.ts';
import type { EndedRecordings } from '../sessions/ended-recordings.ts';
import type { Sessions } from '../sessions/sessions.ts';
import { addAccessRoutes } from './access-routes.ts';
import { addApprovalRoutes } from './approval-routes.ts';
import { addBlockRoutes } from './block-routes.ts';
import { addEventRoutes } from './event-routes.ts';
import { addLiveRunRoutes } from './live-run-routes.ts';
import { addPrincipalRoutes, type PrincipalRoutesOptions } from './principal-routes.ts';
import { addPublicRoutes, type PublicRoutesOptions } from './public-routes.ts';
import { addRecordingRoutes } from './recording-routes.ts';
import { addRunRoutes } from './run-routes.ts';
import { addSearchRoutes } from './search-routes.ts';
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

/** Who asks comes before what is asked; refusals of the login itself have their own headers. */
function createGuards(identity: Identity): Guards {
  const alsoRuns: Guards['alsoRuns'] = (handler) => async (c) => {
    let who: Authenticated;
    try {
      who = await identity.authenticate(identityRequest(c));
    } catch (error) {
      const refusal = identity.refusal(error);
      if (refusal === undefined) {
        throw error;
      }
      // A command that comes minutes after the one before begins with a request for the nonce.
      const isNonce = error instanceof HoopError && error.code === 'HOOP_PROOF_NONCE';
      c.get('log')[isNonce ? 'debug' : 'info']('http.unauthenticated', errorFields(error));
      return reply(refusal);
    }
    return handler(c, who);
  };
  const authenticated = (handler: Handler) =>
    alsoRuns((c, who) => {
      if (who.run !== undefined) {
        throw runRefused(`use ${c.req.method} ${c.req.path}`);
      }
      return handler(c, who);
    });
  return { authenticated, alsoRuns };
}

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
};

/** Each request has an id and a line in the log, each reply the headers that all have. */
function logRequests(
  app: Hono<Env>,
  options: { readonly identity: Identity; readonly log: Log },
): void {
  app.use('*', async (c, next) => {
    const requestId = randomUUID();
    const log = options.log.with({ request: requestId, from: sourceOf(c) });
    c.set('requestId', requestId);
    c.set('log', log);
    const startedAt = performance.now();
    await next();
    c.header('x-request-id', requestId);
    c.header('dpop-nonce', c.res.headers.get('dpop-nonce') ?? options.identity.nonceHeader());
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      c.header(name, value);
    }
    const level = c.req.path === PATHS.health || c.req.path === PATHS.ready ? 'debug' : 'info';
    log[level]('http', {
      method: c.req.method,
      path: c.req.path,
      status: c.res.status,
      ms: Math.round(performance.now() - startedAt),
    });
  });
}

/** What goes wrong is a reply, too. */
function replyToErrors(app: Hono<Env>): void {
  app.onError((error, c) => {
    const { status, body } = errorReply(error, c.get('requestId'));
    c.get('log')[status >= 500 ? 'error' : 'info']('http.error', errorFields(error));
    return json(body, status);
  });
  // Returned, not thrown: what is thrown here goes past the middleware above and its headers.
  app.notFound(() =>
    json({ error: { code: 'HOOP_GATEWAY_REFUSED', message: 'the gateway has no such path' } }, 404),
  );
}

const METHODS = ['GET', 'POST', 'DELETE'];

/** Comes last: what reaches these routes had no handler for its method. */
function refuseOtherMethods(app: Hono<Env>): void {
  for (const [path, routes] of Map.groupBy(app.routes, (route) => route.path)) {
    const taken = METHODS.filter((method) => routes.some((route) => route.method === method));
    const allow = taken.join(', ');
    // The middleware has routes of its own, for all paths and methods.
    if (allow === '') continue;
    app.all(path, () =>
      json(
        {
          error: {
            code: 'HOOP_GATEWAY_REFUSED',
            message: 'the path does not accept this method',
            detail: `It takes ${allow}.`,
          },
        },
        405,
        { allow },
      ),
    );
  }
  for (const path of [PATHS.control(':id'), PATHS.streams(':id')]) {
    app.all(path, () =>
      json({ error: { code: 'HOOP_GATEWAY_REFUSED', message: 'the path is a WebSocket' } }, 426, {
        upgrade: 'websocket',
      }),
    );
  }
}
