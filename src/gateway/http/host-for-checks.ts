import type { RequestListener } from 'node:http';
import { PATHS } from '../../api/http.ts';

const CHECKS: ReadonlySet<string | undefined> = new Set([PATHS.health, PATHS.ready]);

/**
 * Lets a load balancer ask for the health of the gateway in HTTP/1.0 without a Host header, as
 * HAProxy's `option httpchk GET /readyz` does. Any other request without one stays refused.
 */
export function hostForChecks(listener: RequestListener): RequestListener {
  return (request, response) => {
    if (request.headers.host === undefined && CHECKS.has(request.url)) {
      request.headers.host = 'localhost';
    }
    return listener(request, response);
  };
}
