/** The HTTP API of the search: api/search.ts. */
import type { Context, Hono } from 'hono';
import { SEARCH_PATH, SearchRequest } from '../../api/search.ts';
import type { Env } from '../http/http-api.ts';
import { readJson } from '../http/http-body.ts';
import { json } from '../http/http-replies.ts';
import type { Authenticated } from '../identity/identity.ts';
import type { SessionSearch } from './session-search.ts';

type Ctx = Context<Env>;
type Handler = (c: Ctx, who: Authenticated) => Response | Promise<Response>;

const MAX_BODY_BYTES = 16 * 1024;

export function addSearchRoutes(
  app: Hono<Env>,
  {
    search,
    alsoRuns,
    signal,
  }: {
    readonly search: SessionSearch;
    /** For the logins of runs, too: of their own sessions. */
    readonly alsoRuns: (handler: Handler) => (c: Ctx) => Promise<Response>;
    /** Aborted when the gateway stops. */
    readonly signal: AbortSignal;
  },
): void {
  app.post(
    SEARCH_PATH,
    alsoRuns(async (c, who) => {
      const request = await readJson(c.req.raw, SearchRequest, MAX_BODY_BYTES);
      const either = AbortSignal.any([signal, c.req.raw.signal]);
      return json(await search.search(who, request, { log: c.get('log'), signal: either }));
    }),
  );
}
