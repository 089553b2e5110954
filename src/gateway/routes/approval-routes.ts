/** The HTTP API of requests that wait for a person: api/approvals.ts. */
import type { Hono } from 'hono';
import {
  APPROVAL_ID,
  APPROVAL_PATHS,
  type Approval,
  type ApprovalReply,
  ApprovalsQuery,
  type ApprovalsReply,
  DecisionRequest,
} from '../../api/approvals.ts';
import { API_VERSION } from '../../api/http.ts';
import { HoopError } from '../../errors.ts';
import { type ApprovalRecord, isSameParty } from '../approvals/approval-record.ts';
import { approvalView } from '../approvals/approval-view.ts';
import { type Approvals, unknownApproval } from '../approvals/approvals.ts';
import { isBlank } from '../base/plain-text.ts';
import type { Ctx, Env, Guards } from '../http/api-context.ts';
import { readJson, readQuery } from '../http/http-body.ts';
import { json } from '../http/http-replies.ts';
import { LongPolls } from '../http/long-polls.ts';
import type { Authenticated, Identity } from '../identity/identity.ts';

export interface ApprovalRoutesOptions {
  readonly approvals: Approvals;
  readonly identity: Pick<Identity, 'requireLive'>;
  /** Aborted when the gateway stops. */
  readonly signal: AbortSignal;
}

const MAX_BODY_BYTES = 16 * 1024;
const POLLS = { what: 'changes', ofOne: 10, ofAll: 1000 };

export function addApprovalRoutes(
  app: Hono<Env>,
  { alsoRuns, authenticated }: Guards,
  options: ApprovalRoutesOptions,
): void {
  const { approvals, identity } = options;
  const polls = new LongPolls({ ...POLLS, signal: options.signal });

  const view = async (id: string, who: Authenticated): Promise<Response> => {
    const record = await approvals.visible(who.principal, id);
    if (!isOfCaller(record, who)) throw unknownApproval();
    return json({
      v: API_VERSION,
      approval: await approvalView(approvals, record, who.principal, false),
    } satisfies ApprovalReply);
  };

  app.get(
    APPROVAL_PATHS.approvals,
    alsoRuns(async (c, who) => {
      const { after, wait, state, kind, limit } = readQuery(c, ApprovalsQuery);
      if (after !== undefined && wait > 0) {
        const { issuer, sub } = who.principal;
        // All runs of somebody together: they leave the person's own alone.
        using _ = polls.take(JSON.stringify([issuer, sub, who.run !== undefined]));
        await approvals.changes.since(after, polls.over(c, wait));
      }
      // Before the list: what changes in between is told by the next poll.
      const { cursor } = approvals.changes;
      const listed = { isOpen: state === 'open', limit, run: who.run?.id };
      const found = (await approvals.list(who.principal, listed)).filter(
        (record) => kind === undefined || record.kind === kind,
      );
      const views: Approval[] = [];
      for (const record of found) {
        views.push(await approvalView(approvals, record, who.principal, true));
      }
      return json({
        v: API_VERSION,
        cursor,
        approvals: views,
      } satisfies ApprovalsReply);
    }),
  );
  app.get(
    APPROVAL_PATHS.approval(':id'),
    alsoRuns((c, who) => view(idOf(c), who)),
  );
  app.post(
    APPROVAL_PATHS.decision(':id'),
    authenticated(async (c, who) => {
      const { v: _, ...said } = await readJson(c.req.raw, DecisionRequest, MAX_BODY_BYTES);
      await identity.requireLive(who);
      if (said.decision === 'deny' && isBlank(said.reason)) {
        throw new HoopError('HOOP_USAGE', 'a denial needs a reason', {
          hint: 'The requester reads it: `hoop approvals deny ID --reason TEXT`.',
        });
      }
      const { id } = await approvals.decide(who.principal, idOf(c), said);
      return view(id, who);
    }),
  );
  app.delete(
    APPROVAL_PATHS.approval(':id'),
    authenticated(async (c, who) => {
      const record = await approvals.visible(who.principal, idOf(c));
      if (!isSameParty(record.requester, who.principal)) {
        throw new HoopError('HOOP_ACCESS_DENIED', 'only the requester can withdraw a request');
      }
      await approvals.end(record.id, 'withdrawn', 'withdrawn by the requester');
      return new Response(null, { status: 204 });
    }),
  );
}

/** A run sees what it has asked for itself, and nothing else of its person's. */
function isOfCaller({ run }: Pick<ApprovalRecord, 'run'>, who: Authenticated): boolean {
  return who.run === undefined || run === who.run.id;
}

/** An id that cannot be one is not looked up, and not echoed. */
function idOf(c: Ctx): string {
  const id = c.req.param('id') ?? '';
  return APPROVAL_ID.test(id) ? id : '';
}
