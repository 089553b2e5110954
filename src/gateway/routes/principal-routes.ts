/** Who am I, what may I: routes about the one who asks. */
import type { Hono } from 'hono';
import * as z from 'zod';
import { PATHS } from '../../api/http.ts';
import type { PolicyReply } from '../../api/targets.ts';
import type { ApproverGroup } from '../../policy/approver-groups.ts';
import type { MaskAlert } from '../../policy/mask-alert.ts';
import type { Principal } from '../../policy/types.ts';
import type { GatewayPolicy } from '../base/gateway-policy.ts';
import type { Env, Guards } from '../http/api-context.ts';
import { readQuery } from '../http/http-body.ts';
import { bytes, json } from '../http/http-replies.ts';
import type { Identity } from '../identity/identity.ts';
import { LoginWaits, MAX_WAIT_SECONDS } from '../identity/login-waits.ts';
import { whoamiReply } from '../identity/whoami-reply.ts';
import type { PolicyHistory } from '../index/policy-history.ts';
import type { SessionNonces } from '../sessions/session-nonces.ts';
import { targetsReply } from './targets-reply.ts';

export interface PrincipalRoutesOptions {
  readonly identity: Identity;
  readonly policy: GatewayPolicy;
  /** Those that this principal may know of. */
  readonly maskAlerts: (who: Principal) => readonly MaskAlert[];
  readonly approverGroups: () => readonly ApproverGroup[];
  readonly nonces: SessionNonces;
  readonly history: PolicyHistory;
  /** Aborted when the gateway stops. */
  readonly signal: AbortSignal;
}

/** Seconds to wait for the end of the login, which is the answer then. */
const WhoamiQuery = z.object({
  wait: z.coerce.number().int().min(0).max(MAX_WAIT_SECONDS).default(0),
});

export function addPrincipalRoutes(
  app: Hono<Env>,
  { alsoRuns }: Guards,
  options: PrincipalRoutesOptions,
): void {
  const { identity, policy, nonces } = options;
  const loginWaits = new LoginWaits(identity);
  app.get(
    PATHS.whoami,
    alsoRuns(async (c, who) => {
      const { wait } = readQuery(c, WhoamiQuery);
      if (wait > 0) {
        const over = AbortSignal.timeout(wait * 1000);
        const ended = loginWaits.until(
          who.family,
          AbortSignal.any([options.signal, c.req.raw.signal, over]),
        );
        // Whoever has ended it since the request was let in has told nobody who waits.
        await Promise.all([ended, identity.requireLive(who)]);
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
    alsoRuns(async (_c, who) => json(await targetsReply(options, who.principal))),
  );
}
