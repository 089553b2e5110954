/** The HTTP API of the search: api/search.ts. */
import type { Hono } from 'hono';
import { SEARCH_PATH, SearchRequest } from '../../api/search.ts';
import type { Env, Guards } from '../http/api-context.ts';
import { readJson } from '../http/http-body.ts';
import { json } from '../http/http-replies.ts';
import type { SessionSearch } from '../search/session-search.ts';

const MAX_BODY_BYTES = 16 * 1024;

export function addSearchRoutes(
  app: Hono<Env>,
  { alsoRuns }: Guards,
  {
    search,
    signal,
  }: {
    readonly search: SessionSearch;
    /** Aborted when the gateway stops. */
    readonly signal: AbortSignal;
  },
): void {
  app.post(
    SEARCH_PATH,
    // Runs search in their own sessions.
    alsoRuns(async (c, who) => {
      const request = await readJson(c.req.raw, SearchRequest, MAX_BODY_BYTES);
      const either = AbortSignal.any([signal, c.req.raw.signal]);
      return json(await search.search(who, request, { log: c.get('log'), signal: either }));
    }),
  );
}
