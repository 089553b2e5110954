/** Requests that wait for a person, and temporary access, as functions over the gateway's API. */
import { ACCESS_PATHS, AccessReply, type AccessRequest } from '../api/access.ts';
import {
  APPROVAL_PATHS,
  type Approval,
  ApprovalReply,
  ApprovalsReply,
  type DecisionRequest,
} from '../api/approvals.ts';
import { API_VERSION } from '../api/http.ts';
import { type GatewayClient, jsonBody } from './gateway-client.ts';

/** Less than the time after which a request is given up (gateway-transport.ts). */
const FOLLOW_SECONDS = 20;

export class ApprovalsClient {
  readonly #client: GatewayClient;

  constructor(client: GatewayClient) {
    this.#client = client;
  }

  /** @param query of ApprovalsQuery */
  list(query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<ApprovalsReply> {
    const path = `${APPROVAL_PATHS.approvals}?${new URLSearchParams(query)}`;
    return this.#client.json(ApprovalsReply, { method: 'GET', path }, signal);
  }

  /** The list now, and again whenever it may have changed, until the signal is aborted. */
  async *follow(
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncGenerator<ApprovalsReply> {
    let cursor: string | undefined;
    for (;;) {
      const wait: Record<string, string> =
        cursor === undefined ? {} : { after: cursor, wait: String(FOLLOW_SECONDS) };
      const reply = await this.list({ ...query, ...wait }, signal);
      yield reply;
      cursor = reply.cursor;
    }
  }

  async find(id: string, signal: AbortSignal): Promise<Approval> {
    const path = APPROVAL_PATHS.approval(encodeURIComponent(id));
    const reply = await this.#client.json(ApprovalReply, { method: 'GET', path }, signal);
    return reply.approval;
  }

  /** How it stands when it no longer waits. */
  async untilDecided(id: string, signal: AbortSignal): Promise<Approval> {
    // The list says when something has changed; the request itself is asked for, however old it is.
    for await (const _ of this.follow({ state: 'all', limit: '1' }, signal)) {
      const approval = await this.find(id, signal);
      if (approval.state !== 'waiting') return approval;
    }
    throw signal.reason;
  }

  /** By who asked. */
  async withdraw(id: string, signal: AbortSignal): Promise<void> {
    const path = APPROVAL_PATHS.approval(encodeURIComponent(id));
    await this.#client.send({ method: 'DELETE', path }, signal);
  }

  async decide(
    id: string,
    decision: Omit<DecisionRequest, 'v'>,
    signal: AbortSignal,
  ): Promise<Approval> {
    const body = jsonBody({ v: API_VERSION, ...decision });
    const path = APPROVAL_PATHS.decision(encodeURIComponent(id));
    const reply = await this.#client.json(ApprovalReply, { method: 'POST', path, body }, signal);
    return reply.approval;
  }

  async request(request: Omit<AccessRequest, 'v'>, signal: AbortSignal): Promise<Approval> {
    const body = jsonBody({ v: API_VERSION, ...request });
    const path = ACCESS_PATHS.access;
    const reply = await this.#client.json(ApprovalReply, { method: 'POST', path, body }, signal);
    return reply.approval;
  }

  access(signal: AbortSignal): Promise<AccessReply> {
    return this.#client.json(AccessReply, { method: 'GET', path: ACCESS_PATHS.access }, signal);
  }

  /** Ends a grant, or withdraws the request for one. */
  async revoke(id: string, signal: AbortSignal): Promise<void> {
    const path = ACCESS_PATHS.grant(encodeURIComponent(id));
    await this.#client.send({ method: 'DELETE', path }, signal);
  }
}
