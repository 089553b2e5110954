/**
 * The gateway's HTTP API (PATHS in api/http.ts), but for the two WebSocket routes, which are in
 * upgrades.ts. Every route but the public ones authenticates first; sessions that are not one's own
 * do not exist, except to auditors.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type Context, Hono } from 'hono';
import * as z from 'zod';
import { ACCESS_PATHS } from '../../api/access.ts';
import { APPROVAL_PATHS } from '../../api/approvals.ts';
import { BLOCK_PATHS } from '../../api/blocks.ts';
import { API_VERSION, PATHS } from '../../api/http.ts';
import type { InfoReply } from '../../api/login.ts';
import { RUN_PATHS } from '../../api/runs.ts';
import { SEARCH_PATH } from '../../api/search.ts';
import {
  EndSessionRequest,
  SessionRequest,
  type SessionShown,
  type SessionSummary,
  type SessionsReply,
} from '../../api/sessions.ts';
import type { PolicyReply } from '../../api/targets.ts';
import { HoopError, ProtocolError } from '../../errors.ts';
import type { ApproverGroup } from '../../policy/approver-groups.ts';
import type { MaskAlert } from '../../policy/mask-alert.ts';
import type { Principal } from '../../policy/types.ts';
import type { AccessRequests } from '../access/access-requests.ts';
import { addAccessRoutes } from '../access/access-routes.ts';
import { addApprovalRoutes } from '../approvals/approval-routes.ts';
import type { Approvals } from '../approvals/approvals.ts';
import type { GatewayPolicy } from '../base/gateway-policy.ts';
import { errorFields, type Log } from '../base/log.ts';
import { addBlockRoutes } from '../blocks/block-routes.ts';
import type { Blocks } from '../blocks/blocks.ts';
import type { Authenticated, Identity } from '../identity/identity.ts';
import { LoginWaits, MAX_WAIT_SECONDS } from '../identity/login-waits.ts';
import { MAX_LOGOUT_FORM_LENGTH } from '../identity/provider-logouts.ts';
import { runRefused } from '../identity/run-rights.ts';
import { isSamePerson } from '../identity/same-person.ts';
import { MAX_FORM_LENGTH } from '../identity/token-form.ts';
import { whoamiReply } from '../identity/whoami-reply.ts';
import type { PolicyHistory } from '../index/policy-history.ts';
import type { SessionIndex } from '../index/session-index.ts';
import { addLiveRunRoutes } from '../runs/live-run-routes.ts';
import { addRunRoutes } from '../runs/run-routes.ts';
import { addSearchRoutes } from '../search/search-routes.ts';
import type { SessionSearch } from '../search/session-search.ts';
import { maySeeAll, requireSession, type SessionRights } from '../sessions/access.ts';
import type { EndedRecordings } from '../sessions/ended-recordings.ts';
import { addRecordingRoutes } from '../sessions/recording-routes.ts';
import type { SessionNonces } from '../sessions/session-nonces.ts';
import type { Sessions } from '../sessions/sessions.ts';
import { decodeText, readBody, readJson } from './http-body.ts';
import { errorReply } from './http-errors.ts';
import { bytes, json, reply } from './http-replies.ts';
import { targetsReply } from './targets-reply.ts';

export interface HttpApiOptions {
  readonly identity: Identity;
  readonly policy: GatewayPolicy;
  /** Those that this principal may know of. */
  readonly maskAlerts: (who: Principal) => readonly MaskAlert[];
  readonly approverGroups: () => readonly ApproverGroup[];
  readonly sessions: Sessions;
  readonly index: SessionIndex;
  readonly ended: EndedRecordings;
  readonly search: SessionSearch;
  readonly nonces: SessionNonces;
  readonly approvals: Approvals;
  readonly accessRequests: AccessRequests;
  readonly blocks: Blocks;
  /** Somebody has been kept out of something. */
  readonly onBlocked: () => void;
  readonly history: PolicyHistory;
  readonly info: () => InfoReply;
  /** Why the gateway cannot do its work now; empty: it can. */
  readonly unready: () => readonly string[];
  readonly log: Log;
  /** Aborted when the gateway stops. */
  readonly signal: AbortSignal;
}

const MAX_REQUEST_BYTES = 64 * 1024;
const MAX_LISTED_SESSIONS = 1000;

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
};

const SessionsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MAX_LISTED_SESSIONS).default(100),
  target: z.string().max(200).optional(),
  mine: z.enum(['0', '1']).optional(),
  live: z.enum(['0', '1']).optional(),
});

/** Seconds to wait for the end of the login, which is the answer then. */
const WhoamiQuery = z.object({
  wait: z.coerce.number().int().min(0).max(MAX_WAIT_SECONDS).default(0),
});

/** What the middleware sets for every request. */
export interface Env {
  /** Of the server: the request as node has it. */
  Bindings: { readonly incoming?: IncomingMessage };
  Variables: { requestId: string; log: Log };
}
type Ctx = Context<Env>;

export function createHttpApi(options: HttpApiOptions): Hono<Env> {
  const { identity, policy, sessions, index, nonces, approvals } = options;
  const app = new Hono<Env>();
  const loginWaits = new LoginWaits(identity);

  app.use('*', async (c, next) => {
    const requestId = randomUUID();
    const log = options.log.with({ request: requestId, from: sourceOf(c) });
    c.set('requestId', requestId);
    c.set('log', log);
    const startedAt = performance.now();
    await next();
    c.header('x-request-id', requestId);
    c.header('dpop-nonce', c.res.headers.get('dpop-nonce') ?? identity.nonceHeader());
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

  app.onError((error, c) => {
    const { status, body } = errorReply(error, c.get('requestId'));
    c.get('log')[status >= 500 ? 'error' : 'info']('http.error', errorFields(error));
    return json(body, status);
  });
  // Returned, not thrown: what is thrown here goes past the middleware above and its headers.
  app.notFound(() =>
    json({ error: { code: 'HOOP_GATEWAY_REFUSED', message: 'the gateway has no such path' } }, 404),
  );

  /** A route for those who are logged in; refusals of the login itself have their own headers. */
  type Handler = (c: Ctx, who: Authenticated) => Response | Promise<Response>;
  const alsoRuns = (handler: Handler) => async (c: Ctx) => {
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
  /** What is not said to be for runs, too, is not: a route that is added later is safe by itself. */
  const authenticated = (handler: Handler) =>
    alsoRuns((c, who) => {
      if (who.run !== undefined) {
        throw runRefused(`use ${c.req.method} ${c.req.path}`);
      }
      return handler(c, who);
    });

  const decides = (principal: Principal): ReadonlySet<string> => {
    const open = approvals.list(principal, { isOpen: true, limit: Number.POSITIVE_INFINITY });
    const others = open.filter(({ requester }) => !isSamePerson(requester, principal));
    return new Set(others.flatMap(({ session }) => session ?? []));
  };
  const rights: SessionRights = { index, decides };
  const sessionOf = (c: Ctx, who: Authenticated, access: Parameters<typeof requireSession>[3]) =>
    requireSession(rights, who, c.req.param('id') ?? '', access);

  /** The index learns a session's byte counts at its end. */
  const withLiveTotals = (summary: SessionSummary): SessionSummary => ({
    ...summary,
    ...sessions.find(summary.id)?.totals,
  });

  // ------------------------------------------------------------ public

  app.get(PATHS.health, () => json({ ok: true }));
  app.get(PATHS.ready, () => {
    const reasons = options.unready();
    return reasons.length === 0 ? json({ ready: true }) : json({ ready: false, reasons }, 503);
  });
  app.get(PATHS.info, () => json(options.info()));
  app.post(PATHS.token, async (c) => {
    const body = decodeText(await readBody(c.req.raw, MAX_FORM_LENGTH));
    return reply(await identity.token({ ...identityRequest(c), body }));
  });
  app.post(PATHS.logout, async (c) => {
    const body = decodeText(await readBody(c.req.raw, MAX_FORM_LENGTH));
    return reply(await identity.logout({ ...identityRequest(c), body }));
  });
  app.post(PATHS.backchannelLogout, async (c) => {
    const body = decodeText(await readBody(c.req.raw, MAX_LOGOUT_FORM_LENGTH));
    return reply(await identity.providerLogout(body, sourceOf(c)));
  });

  // ------------------------------------------------------------ who am I, what may I

  app.get(
    PATHS.whoami,
    alsoRuns(async (c, who) => {
      const query = WhoamiQuery.safeParse(c.req.query());
      if (!query.success) {
        throw new ProtocolError('the query is not valid');
      }
      const { wait } = query.data;
      if (wait > 0) {
        const over = AbortSignal.timeout(wait * 1000);
        await loginWaits.until(
          who.family,
          AbortSignal.any([options.signal, c.req.raw.signal, over]),
        );
        await identity.requireLive(who);
      }
      return json(whoamiReply(who, policy.namesNoGroupOf(who.principal)));
    }),
  );
  app.get(
    PATHS.policy,
    alsoRuns((_c, who) => {
      const sessionNonce = nonces.issue(who.family);
      const maskAlerts = options.maskAlerts(who.principal);
      return json({
        ...policy.reply(),
        ...(maskAlerts.length === 0 ? {} : { maskAlerts }),
        approverGroups: options.approverGroups(),
        sessionNonce,
      } satisfies PolicyReply);
    }),
  );
  app.get(
    PATHS.policyBundle,
    alsoRuns(async () => bytes(await policy.bundle(options.signal))),
  );
  app.get(
    PATHS.targets,
    alsoRuns((_c, who) => json(targetsReply(options, who.principal))),
  );

  // ------------------------------------------------------------ sessions

  app.post(
    PATHS.sessions,
    alsoRuns(async (c, who) => {
      const request = await readJson(c.req.raw, SessionRequest, MAX_REQUEST_BYTES);
      return json(await sessions.create(who, request), 201);
    }),
  );
  app.get(
    PATHS.sessions,
    alsoRuns((c, who) => {
      const query = SessionsQuery.safeParse(c.req.query());
      if (!query.success) {
        throw new ProtocolError('the query is not valid');
      }
      const { limit, target, mine } = query.data;
      const { issuer, sub } = who.principal;
      const live = query.data.live === '1';
      const seesAll = mine !== '1' && maySeeAll(who.principal, live);
      const owner = seesAll ? undefined : { issuer, sub };
      const found = index.list({ owner, run: who.run?.id, target, live, limit });
      return json({
        v: API_VERSION,
        sessions: found.map(({ summary }) => withLiveTotals(summary)),
      } satisfies SessionsReply);
    }),
  );
  app.get(
    PATHS.session(':id'),
    alsoRuns((c, who) => {
      const summary = withLiveTotals(sessionOf(c, who, 'show').summary);
      const acts = summary.kind === 'ssh' ? index.acts(summary.id) : undefined;
      const columnsMasked = index.columnsMasked(summary.id);
      const shown = {
        ...summary,
        ...(acts === undefined ? {} : { acts }),
        ...(columnsMasked.length === 0 ? {} : { columnsMasked: [...columnsMasked] }),
      };
      const session = withPolicy(options.history, shown);
      return json({ v: API_VERSION, session } satisfies SessionShown);
    }),
  );
  app.post(
    PATHS.end(':id'),
    alsoRuns(async (c, who) => {
      const { id } = sessionOf(c, who, 'end').summary;
      const { reason, login } = await readJson(c.req.raw, EndSessionRequest, MAX_REQUEST_BYTES);
      await identity.requireLive(who);
      if (login === true && who.run !== undefined) {
        throw runRefused('end logins');
      }
      const ended = await sessions.endBy(id, who, {
        ...(reason === undefined ? {} : { reason }),
        ...(login === undefined ? {} : { login }),
      });
      const { endReason, logins } = ended;
      const by = who.principal.name;
      c.get('log').info('session.ended_by', { session: id, by, endReason, logins });
      return json(ended);
    }),
  );

  addRunRoutes(app, { ...options, access: options.accessRequests, alsoRuns, identityRequest });
  addLiveRunRoutes(app, { ...options, authenticated });
  addApprovalRoutes(app, { ...options, authenticated, alsoRuns });
  addAccessRoutes(app, {
    approvals,
    access: options.accessRequests,
    identity,
    authenticated,
    alsoRuns,
  });
  addBlockRoutes(app, { ...options, authenticated });
  addRecordingRoutes(app, { ...options, rights, authenticated, alsoRuns });
  addSearchRoutes(app, { search: options.search, alsoRuns, signal: options.signal });

  refuseOtherMethods(app);
  return app;
}

const METHODS: readonly (readonly [string, string])[] = [
  [PATHS.health, 'GET'],
  [PATHS.ready, 'GET'],
  [PATHS.info, 'GET'],
  [PATHS.token, 'POST'],
  [PATHS.logout, 'POST'],
  [PATHS.backchannelLogout, 'POST'],
  [PATHS.whoami, 'GET'],
  [PATHS.policy, 'GET'],
  [PATHS.policyBundle, 'GET'],
  [PATHS.runs, 'GET, POST'],
  [RUN_PATHS.run(':id'), 'GET'],
  [RUN_PATHS.end(':id'), 'POST'],
  [PATHS.targets, 'GET'],
  [PATHS.sessions, 'GET, POST'],
  [PATHS.session(':id'), 'GET'],
  [PATHS.end(':id'), 'POST'],
  [SEARCH_PATH, 'POST'],
  [APPROVAL_PATHS.approvals, 'GET'],
  [APPROVAL_PATHS.approval(':id'), 'GET, DELETE'],
  [APPROVAL_PATHS.decision(':id'), 'POST'],
  [ACCESS_PATHS.access, 'GET, POST'],
  [ACCESS_PATHS.grant(':id'), 'DELETE'],
  [BLOCK_PATHS.blocks, 'GET, POST'],
  [BLOCK_PATHS.block(':id'), 'DELETE'],
  [PATHS.cuts(':id'), 'GET, POST'],
  [PATHS.seal(':id'), 'POST'],
  [PATHS.manifest(':id'), 'POST'],
  [PATHS.bundle(':id'), 'GET'],
];

/** Comes last: what reaches these routes had no handler for its method. */
function refuseOtherMethods(app: Hono<Env>): void {
  for (const [path, allow] of METHODS) {
    app.all(path, () =>
      json(
        {
          error: {
            code: 'HOOP_GATEWAY_REFUSED',
            message: 'the path does not take this method',
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

function withPolicy(history: PolicyHistory, summary: SessionSummary): SessionSummary {
  const period = history.at(summary.policyCommit, Date.parse(summary.startedAt));
  return period === undefined
    ? summary
    : {
        ...summary,
        policySigner: period.signer,
        policySince: new Date(period.sinceMs).toISOString(),
      };
}

/** Where the connection comes from: a load balancer, where one stands in front. */
function sourceOf(c: Ctx): string | undefined {
  return c.env?.incoming?.socket.remoteAddress;
}

function identityRequest(c: Ctx) {
  return {
    from: sourceOf(c),
    method: c.req.method,
    url: c.req.path,
    authorization: c.req.header('authorization'),
    dpop: c.req.header('dpop'),
  };
}
