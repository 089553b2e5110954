/** The HTTP API of temporary access: api/access.ts. */
import type { Hono } from 'hono';
import { ACCESS_PATHS, AccessRequest } from '../../api/access.ts';
import { APPROVAL_ID, type ApprovalReply } from '../../api/approvals.ts';
import { API_VERSION } from '../../api/http.ts';
import type { AccessRequests } from '../access/access-requests.ts';
import { approvalView } from '../approvals/approval-view.ts';
import type { Approvals } from '../approvals/approvals.ts';
import type { Env, Guards } from '../http/api-context.ts';
import { readJson } from '../http/http-body.ts';
import { json } from '../http/http-replies.ts';
import type { Identity } from '../identity/identity.ts';

export interface AccessRoutesOptions {
  readonly access: AccessRequests;
  readonly approvals: Approvals;
  readonly identity: Pick<Identity, 'requireLive'>;
}

const MAX_BODY_BYTES = 16 * 1024;

export function addAccessRoutes(
  app: Hono<Env>,
  { alsoRuns, authenticated }: Guards,
  options: AccessRoutesOptions,
): void {
  const { access, approvals, identity } = options;

  app.get(
    ACCESS_PATHS.access,
    // `hoop targets` says what can be asked for. Why somebody had more, and who agreed, is not for
    // a program: it learns nothing that the policy does not tell.
    alsoRuns(async (_c, { principal, run }) => {
      const all = await access.reply(principal);
      return json(run === undefined ? all : { ...all, grants: [] });
    }),
  );
  app.post(
    ACCESS_PATHS.access,
    authenticated(async (c, who) => {
      const { principal } = who;
      const asked = await readJson(c.req.raw, AccessRequest, MAX_BODY_BYTES);
      await identity.requireLive(who);
      const record = await access.request(principal, asked);
      const approval = await approvalView(approvals, record, principal, false);
      return json({ v: API_VERSION, approval } satisfies ApprovalReply, 201);
    }),
  );
  app.delete(
    ACCESS_PATHS.grant(':id'),
    authenticated(async (c, { principal }) => {
      const id = c.req.param('id') ?? '';
      await access.revoke(principal, APPROVAL_ID.test(id) ? id : '');
      return new Response(null, { status: 204 });
    }),
  );
}
