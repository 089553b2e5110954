/**
 * Requests for temporary access: what the policy in force lets this person ask for becomes a
 * request that waits for approvers, and an approved one a temporary grant. The request is bound to
 * what it gives: when a commit changes that, it is void, whoever has approved it by then.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { AccessReply, AccessRequest } from '../../api/access.ts';
import { API_VERSION } from '../../api/http.ts';
import { HoopError } from '../../errors.ts';
import type { PolicyDocument } from '../../policy/policy.ts';
import { describeDocument, type Requestable, requestable } from '../../policy/requestable.ts';
import type { Principal } from '../../policy/types.ts';
import { type ApprovalNeed, type ApprovalRecord, isOwnWord } from '../approvals/approval-record.ts';
import type { Approvals } from '../approvals/approvals.ts';
import type { GatewayPolicy } from '../base/gateway-policy.ts';
import { errorFields, type Log } from '../base/log.ts';
import { isBlank } from '../base/plain-text.ts';
import { eventParty } from '../events/event-party.ts';
import { personMarks } from '../identity/same-person.ts';
import type { AccessGrant, AccessGrants } from './access-grants.ts';

export interface AccessRequestsOptions {
  readonly policy: Pick<GatewayPolicy, 'current' | 'inForce' | 'onChange'>;
  readonly access: AccessGrants;
  readonly approvals: Approvals;
  /** Wall clock, ms. */
  readonly clock: () => number;
  readonly log: Log;
}

/** An approved request becomes a grant in the same instant; one that could not is soon over. */
const USABLE_SECONDS = 60;
/** A grant for less time than this is over before anybody has connected. */
const MIN_SECONDS = 10;

/** What the approvers are shown, and what the request is bound to. */
const Details = z.object({
  policy: z.string(),
  durationSeconds: z.number(),
  rules: z.array(z.string()),
  definition: z.string(),
  email: z.string().optional(),
  groups: z.array(z.string()),
});
type Details = z.infer<typeof Details>;

export class AccessRequests {
  readonly #options: AccessRequestsOptions;

  private constructor(options: AccessRequestsOptions) {
    this.#options = options;
  }

  /** What was approved when the gateway stopped is given now, if it still is to be had. */
  static async open(options: AccessRequestsOptions): Promise<AccessRequests> {
    const requests = new AccessRequests(options);
    const { approvals, policy } = options;
    // Before anything is awaited, or a commit could come unnoticed.
    policy.onChange(() => requests.#policyChanged());
    await approvals.handle('access', {
      readsDetails: true,
      needs: (record, details) => requests.#needs(record, detailsOf(details)),
      onDecided: (record, details) => requests.#decided(record, detailsOf(details)),
    });
    if (policy.current() !== undefined) {
      await requests.#voidChanged();
    }
    return requests;
  }

  /** @throws HOOP_ACCESS_DENIED, HOOP_USAGE, HOOP_LIMIT, HOOP_POLICY_MISSING */
  async request(who: Principal, asked: AccessRequest): Promise<ApprovalRecord> {
    const { policy, approvals } = this.#options;
    const { commit } = policy.inForce();
    if (who.kind !== 'person') {
      throw new HoopError('HOOP_ACCESS_DENIED', 'only a person can ask for temporary access');
    }
    if (isBlank(asked.reason)) {
      throw new HoopError('HOOP_USAGE', 'a request for access needs a reason', {
        hint: 'Give it with --reason TEXT.',
      });
    }
    const { document, terms, target } = this.#find(who, asked);
    checkDuration(asked.durationSeconds, terms.maxDurationSeconds);
    const details: Details = {
      policy: document.name,
      durationSeconds: asked.durationSeconds,
      rules: describeDocument(document),
      definition: document.definition,
      ...(who.email === undefined ? {} : { email: who.email }),
      groups: [...who.groups],
    };
    const binding = bindingOf(who, target, details);
    return approvals.create({
      kind: 'access',
      requester: { ...personMarks(who), name: who.name },
      target,
      reason: asked.reason.trim(),
      session: undefined,
      diesWithConnection: false,
      needs: [needOf(document)],
      waitsSeconds: terms.timeoutSeconds,
      usableSeconds: USABLE_SECONDS,
      policyCommit: commit,
      binding,
      details,
      checkNew: (before) => checkNotWaiting(before, document, target),
    });
  }

  async reply(who: Principal): Promise<AccessReply> {
    const { access } = this.#options;
    const seesAll = who.roles.includes('approver') || who.roles.includes('auditor');
    return {
      v: API_VERSION,
      requestable: this.requestable(who),
      grants: (await access.list(seesAll ? undefined : who)).map((grant) => grantReply(grant, who)),
    };
  }

  requestable(who: Principal): AccessReply['requestable'] {
    const { policy } = this.#options.policy.inForce();
    return requestable(policy, who).map(({ target, document, terms }) => ({
      target,
      policy: document.name,
      ...(document.description === undefined ? {} : { description: document.description }),
      maxDurationSeconds: terms.maxDurationSeconds,
      approvers: [...terms.approvers],
      count: terms.count,
      rules: describeDocument(document),
    }));
  }

  /**
   * Ends a grant, or withdraws one's own request for one. Whose it is may, and who could approve it.
   * @throws HOOP_APPROVAL_UNKNOWN, HOOP_APPROVAL_ENDED
   */
  async revoke(who: Principal, id: string): Promise<void> {
    const { access, approvals } = this.#options;
    const grant = await access.find(id);
    if (grant !== undefined && this.#mayRevoke(who, grant)) {
      if (!(await access.revoke(id, who.name, eventParty(who)))) {
        throw new HoopError('HOOP_APPROVAL_ENDED', 'the grant has ended already');
      }
      return;
    }
    const record = await approvals.visible(who, id);
    if (record.kind !== 'access' || !isSame(record.requester, who)) {
      throw new HoopError('HOOP_ACCESS_DENIED', 'only the requester can withdraw a request', {
        hint: 'Deny it instead: `hoop approvals deny ID --reason TEXT`.',
      });
    }
    if (record.state !== 'waiting') {
      throw new HoopError('HOOP_APPROVAL_ENDED', 'the request is no longer waiting');
    }
    await approvals.end(id, 'withdrawn', 'withdrawn by the requester');
  }

  #mayRevoke(who: Principal, grant: AccessGrant): boolean {
    const approvers = this.#document(grant.policy)?.request?.approvers ?? [];
    return (
      isSame(grant.holder, who) ||
      who.roles.includes('approver') ||
      (isOwnWord(who) && approvers.some((group) => who.groups.includes(group)))
    );
  }

  #document(name: string): PolicyDocument | undefined {
    return this.#options.policy.current()?.policy.documents.find((one) => one.name === name);
  }

  #find(who: Principal, asked: AccessRequest): Requestable {
    const { policy, commit } = this.#options.policy.inForce();
    const found = requestable(policy, who).filter(({ target }) => target === asked.target);
    const named = found.filter(
      ({ document }) => asked.policy === undefined || document.name === asked.policy,
    );
    const [only, second] = named;
    if (only !== undefined && second === undefined) {
      return only;
    }
    if (only === undefined) {
      const what = asked.policy === undefined ? 'anything' : `"${asked.policy}"`;
      throw new HoopError(
        'HOOP_ACCESS_DENIED',
        `you cannot request ${what} on target "${asked.target}"`,
        {
          detail: `Policy commit ${commit.slice(0, 12)} lists no such grant for you, or there is no such target.`,
          hint: 'See what you can request with `hoop access list`.',
        },
      );
    }
    throw new HoopError(
      'HOOP_USAGE',
      `target "${asked.target}" has several grants that you can request`,
      {
        detail: `They are ${named.map(({ document }) => document.name).join(', ')}.`,
        hint: 'Name one with --grant NAME.',
      },
    );
  }

  /** As the commit in force has it; undefined: it no longer gives what was asked for. */
  #needs(
    record: ApprovalRecord,
    details: Details | undefined,
  ): readonly ApprovalNeed[] | undefined {
    const { policy } = this.#options;
    const inForce = policy.current();
    if (details === undefined || inForce === undefined) {
      return undefined;
    }
    const { requester, target } = record;
    const asked = requestable(inForce.policy, principalOf(requester, details)).find(
      (one) => one.target === target && one.document.name === details.policy,
    );
    return asked !== undefined &&
      asked.document.definition === details.definition &&
      details.durationSeconds <= asked.terms.maxDurationSeconds
      ? [needOf(asked.document)]
      : undefined;
  }

  async #decided(record: ApprovalRecord, details: Details | undefined): Promise<void> {
    const { access, approvals, clock, policy } = this.#options;
    if (record.state !== 'approved') {
      return;
    }
    // After a restart an approved request comes again, and what counted then may not count now.
    const isSatisfied = await approvals.isSatisfied(record);
    const commit = policy.current()?.commit;
    // By the commit of now: another may have come into force meanwhile.
    const isToBeHad = this.#needs(record, details) !== undefined;
    if (details === undefined || commit === undefined || !isSatisfied || !isToBeHad) {
      return;
    }
    const { id, requester, target, reason = '' } = record;
    const grantedMs = clock();
    const grant = {
      id,
      policy: details.policy,
      definition: details.definition,
      target,
      holder: {
        issuer: requester.issuer,
        sub: requester.sub,
        name: requester.name,
        email: details.email,
        groups: details.groups,
      },
      reason,
      approvedBy: record.votes
        .filter(({ decision }) => decision === 'approve')
        .map(({ by }) => by.name),
      policyCommit: commit,
      grantedMs,
      expiresMs: grantedMs + details.durationSeconds * 1000,
    };
    // Both or neither, also after a crash: it may be withdrawn now, or whose word counted may not count any more.
    await access.give(grant, (add) => approvals.use(id, add));
    // A commit that came while it was written has ended those that were there.
    const inForce = policy.current();
    if (inForce !== undefined) access.policyChanged(inForce.policy);
  }

  #policyChanged(): void {
    this.#voidChanged().catch((error: unknown) =>
      this.#options.log.error('approval.void_failed', errorFields(error)),
    );
  }

  async #voidChanged(): Promise<void> {
    await this.#options.approvals.voidOpen(
      'access',
      'the policy in force no longer gives what was requested',
      (record, details) => this.#needs(record, detailsOf(details)) === undefined,
    );
  }
}

function detailsOf(details: unknown): Details | undefined {
  return Details.safeParse(details).data;
}

function needOf({ name, request }: PolicyDocument): ApprovalNeed {
  return { rule: name, groups: request?.approvers ?? [], count: request?.count ?? 1 };
}

/**
 * One request for one thing: approvers should not have to guess which of ten is meant.
 * @throws HOOP_LIMIT
 */
function checkNotWaiting(
  before: readonly ApprovalRecord[],
  { name }: PolicyDocument,
  target: string,
): void {
  const waiting = before.find(({ state }) => state === 'waiting');
  if (waiting === undefined) return;
  throw new HoopError('HOOP_LIMIT', `you have already requested "${name}" on "${target}"`, {
    detail: `Request ${waiting.id} is waiting.`,
    hint: `Withdraw it with \`hoop access revoke ${waiting.id}\` to make a new request.`,
  });
}

function checkDuration(seconds: number, maxSeconds: number): void {
  if (seconds < MIN_SECONDS || seconds > maxSeconds) {
    const isLong = seconds > maxSeconds;
    throw new HoopError('HOOP_ACCESS_DENIED', `the time is too ${isLong ? 'long' : 'short'}`, {
      detail: isLong
        ? `The policy gives this for at most ${shortest(maxSeconds)}; you requested ${shortest(seconds)}.`
        : `It would end before you could use it; the minimum is ${MIN_SECONDS} s.`,
      hint: 'Choose another time with --for.',
    });
  }
}

/** As it is typed after --for: `2h`, `90m`, `45s`. */
function shortest(seconds: number): string {
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
  ] as const) {
    if (seconds >= size && seconds % size === 0) {
      return `${seconds / size}${unit}`;
    }
  }
  return `${seconds}s`;
}

/** The person of the request, as far as policies match people. */
function principalOf(requester: ApprovalRecord['requester'], details: Details): Principal {
  const { issuer, sub, name } = requester;
  const { email, groups } = details;
  return { kind: 'person', issuer, sub, name, email, groups, roles: [] };
}

/** Not the time that was asked for: two requests that differ in it alone are one too many. */
function bindingOf(who: Principal, target: string, { policy, definition }: Details): string {
  const bound = JSON.stringify(['access', who.issuer, who.sub, target, policy, definition]);
  return createHash('sha256').update(bound).digest('hex');
}

function grantReply(grant: AccessGrant, who: Principal): AccessReply['grants'][number] {
  const { ended } = grant;
  return {
    id: grant.id,
    target: grant.target,
    policy: grant.policy,
    holder: grant.holder.name,
    mine: isSame(grant.holder, who),
    reason: grant.reason,
    approvedBy: [...grant.approvedBy],
    grantedAt: new Date(grant.grantedMs).toISOString(),
    expiresAt: new Date(grant.expiresMs).toISOString(),
    state: ended?.how ?? 'active',
    ...(ended === undefined ? {} : { endedAt: new Date(ended.ms).toISOString() }),
    ...(ended?.by === undefined ? {} : { endedBy: ended.by }),
  };
}

function isSame(
  a: { readonly issuer: string; readonly sub: string },
  b: { readonly issuer: string; readonly sub: string },
): boolean {
  return a.issuer === b.issuer && a.sub === b.sub;
}
