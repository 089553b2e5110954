/** Routes for whoever asks, before any login. */
import type { Hono } from 'hono';
import { PATHS } from '../../api/http.ts';
import type { InfoReply } from '../../api/login.ts';
import { type Env, identityRequest, sourceOf } from '../http/api-context.ts';
import { decodeText, readBody } from '../http/http-body.ts';
import { json, reply } from '../http/http-replies.ts';
import type { Identity } from '../identity/identity.ts';
import { MAX_LOGOUT_FORM_LENGTH } from '../identity/provider-logouts.ts';
import { MAX_FORM_LENGTH } from '../identity/tokens/token-form.ts';

export interface PublicRoutesOptions {
  readonly identity: Identity;
  readonly info: () => InfoReply;
  /** Why the gateway cannot do its work now; empty: it can. */
  readonly unready: () => Promise<readonly string[]>;
}

export function addPublicRoutes(app: Hono<Env>, options: PublicRoutesOptions): void {
  const { identity } = options;
  app.get(PATHS.health, () => json({ ok: true }));
  app.get(PATHS.ready, async () => {
    const reasons = await options.unready();
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
}
