/** What the routes of the API share: the request as they get it, and how one that is logged in is served. */
import type { IncomingMessage } from 'node:http';
import type { Context } from 'hono';
import type { Log } from '../base/log.ts';
import type { Authenticated, IdentityRequest } from '../identity/identity.ts';

/** What the middleware sets for every request. */
export interface Env {
  /** Of the server: the request as node has it. */
  Bindings: { readonly incoming?: IncomingMessage };
  Variables: { requestId: string; log: Log };
}
export type Ctx = Context<Env>;

/** Of a route for those who are logged in. */
export type Handler = (c: Ctx, who: Authenticated) => Response | Promise<Response>;
type Guard = (handler: Handler) => (c: Ctx) => Promise<Response>;

export interface Guards {
  /** What is not said to be for runs, too, is not: a route that is added later is safe by itself. */
  readonly authenticated: Guard;
  /** For the logins of runs, too. */
  readonly alsoRuns: Guard;
}

/** Where the connection comes from: a load balancer, where one stands in front. */
export function sourceOf(c: Ctx): string | undefined {
  return c.env?.incoming?.socket.remoteAddress;
}

export function identityRequest(c: Ctx): IdentityRequest {
  return {
    from: sourceOf(c),
    method: c.req.method,
    url: c.req.path,
    authorization: c.req.header('authorization'),
    dpop: c.req.header('dpop'),
  };
}
