import { randomUUID } from 'node:crypto';
import type { Hono } from 'hono';
import { PATHS } from '../../api/http.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { Identity } from '../identity/identity.ts';
import { type Env, sourceOf } from './api-context.ts';
import { errorReply } from './http-errors.ts';
import { json } from './http-replies.ts';

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
};

/** Each request has an id and a line in the log, each reply the headers that all have. */
export function logRequests(
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
export function replyToErrors(app: Hono<Env>): void {
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
