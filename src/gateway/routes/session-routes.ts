/** Sessions: asked for, listed, shown, ended. What becomes of their recordings has routes of its own. */
import type { Hono } from 'hono';
import * as z from 'zod';
import { API_VERSION, PATHS } from '../../api/http.ts';
import {
  EndSessionRequest,
  SessionRequest,
  type SessionShown,
  type SessionSummary,
  type SessionsReply,
} from '../../api/sessions.ts';
import type { Connectors } from '../connectors.ts';
import type { Ctx, Env, Guards } from '../http/api-context.ts';
import { readJson, readQuery } from '../http/http-body.ts';
import { json } from '../http/http-replies.ts';
import type { Authenticated, Identity } from '../identity/identity.ts';
import { runRefused } from '../identity/run-rights.ts';
import type { IndexedSession } from '../index/indexed-session.ts';
import type { PolicyHistory } from '../index/policy-history.ts';
import { maySeeAll, requireSession, type SessionRights } from '../sessions/access.ts';
import type { EndedRecordings } from '../sessions/ended-recordings.ts';
import type { Sessions } from '../sessions/sessions.ts';

export interface SessionRoutesOptions {
  readonly identity: Identity;
  readonly sessions: Sessions;
  readonly connectors: Pick<Connectors, 'doesActs'>;
  readonly history: PolicyHistory;
  readonly rights: SessionRights;
  readonly ended: EndedRecordings;
}

const MAX_REQUEST_BYTES = 64 * 1024;
const MAX_LISTED_SESSIONS = 1000;

const SessionsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MAX_LISTED_SESSIONS).default(100),
  target: z.string().max(200).optional(),
  mine: z.enum(['0', '1']).optional(),
  live: z.enum(['0', '1']).optional(),
});

export function addSessionRoutes(
  app: Hono<Env>,
  { alsoRuns }: Guards,
  options: SessionRoutesOptions,
): void {
  const { identity, sessions, rights } = options;
  const { index } = rights;
  const sessionOf = (c: Ctx, who: Authenticated, access: Parameters<typeof requireSession>[3]) =>
    requireSession(rights, who, c.req.param('id') ?? '', access);

  /** Adds what the index does not know: bytes of live sessions, and where recordings are now. */
  const asItIs = async (session: IndexedSession): Promise<SessionSummary> => ({
    ...session.summary,
    ...sessions.find(session.summary.id)?.totals,
    ...(await whereRecorded(session)),
  });
  const whereRecorded = async ({ summary, owner, ownerUrl, endedMs }: IndexedSession) => {
    if (owner.id !== index.node) {
      return { keptBy: { node: owner.id, ...(ownerUrl === undefined ? {} : { url: ownerUrl }) } };
    }
    const presence = endedMs === undefined ? 'kept' : await options.ended.presence(summary.id);
    return presence === 'kept' ? {} : { recording: presence };
  };

  app.post(
    PATHS.sessions,
    alsoRuns(async (c, who) => {
      const request = await readJson(c.req.raw, SessionRequest, MAX_REQUEST_BYTES);
      return json(await sessions.create(who, request), 201);
    }),
  );
  app.get(
    PATHS.sessions,
    alsoRuns(async (c, who) => {
      const { limit, target, mine, live: isLive } = readQuery(c, SessionsQuery);
      const { issuer, sub } = who.principal;
      const live = isLive === '1';
      const seesAll = mine !== '1' && maySeeAll(who.principal, live);
      const owner = seesAll ? undefined : { issuer, sub };
      const found = await index.list({ owner, run: who.run?.id, target, live, limit });
      return json({
        v: API_VERSION,
        sessions: await Promise.all(found.map(asItIs)),
      } satisfies SessionsReply);
    }),
  );
  app.get(
    PATHS.session(':id'),
    alsoRuns(async (c, who) => {
      const summary = await asItIs(await sessionOf(c, who, 'show'));
      const acts = options.connectors.doesActs(summary.kind)
        ? ((await index.acts(summary.id)) ?? {})
        : undefined;
      const columnsMasked = await index.columnsMasked(summary.id);
      const shown = {
        ...summary,
        ...(acts === undefined ? {} : { acts }),
        ...(columnsMasked.length === 0 ? {} : { columnsMasked: [...columnsMasked] }),
      };
      const session = await withPolicy(options.history, shown);
      return json({ v: API_VERSION, session } satisfies SessionShown);
    }),
  );
  app.post(
    PATHS.end(':id'),
    alsoRuns(async (c, who) => {
      const found = await sessionOf(c, who, 'end');
      const { reason, login } = await readJson(c.req.raw, EndSessionRequest, MAX_REQUEST_BYTES);
      await identity.requireLive(who);
      if (login === true && who.run !== undefined) {
        throw runRefused('end logins');
      }
      const ended = await sessions.endBy(found, who, {
        ...(reason === undefined ? {} : { reason }),
        ...(login === undefined ? {} : { login }),
      });
      const { endReason, logins } = ended;
      const by = who.principal.name;
      c.get('log').info('session.ended_by', { session: found.summary.id, by, endReason, logins });
      return json(ended);
    }),
  );
}

async function withPolicy(
  history: PolicyHistory,
  summary: SessionSummary,
): Promise<SessionSummary> {
  const period = await history.at(summary.policyCommit, Date.parse(summary.startedAt));
  return period === undefined
    ? summary
    : {
        ...summary,
        policySigner: period.signer,
        policySince: new Date(period.sinceMs).toISOString(),
      };
}
