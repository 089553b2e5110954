import type { Hono } from 'hono';
import { PATHS } from '../../api/http.ts';
import type { Env } from './api-context.ts';
import { json } from './http-replies.ts';

const METHODS = ['GET', 'POST', 'DELETE'];

/** Comes last: what reaches these routes had no handler for its method. */
export function refuseOtherMethods(app: Hono<Env>): void {
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
