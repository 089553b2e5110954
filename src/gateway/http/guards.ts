import { HoopError } from '../../errors.ts';
import { errorFields } from '../base/log.ts';
import type { Authenticated, Identity } from '../identity/identity.ts';
import { runRefused } from '../identity/run-rights.ts';
import { type Guards, type Handler, identityRequest } from './api-context.ts';
import { reply } from './http-replies.ts';

/** Who asks comes before what is asked; refusals of the login itself have their own headers. */
export function createGuards(identity: Identity): Guards {
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
