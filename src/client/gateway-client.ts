/** The gateway's HTTP API as functions; what comes back is parsed with the schemas of src/api. */
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { CutAckSchema, CutsReply, SealReply } from '../api/control.ts';
import { API_VERSION, PATHS } from '../api/http.ts';
import { InfoReply, TokenReply, WhoamiReply } from '../api/login.ts';
import {
  EndRunReply,
  RUN_PATHS,
  RunReply,
  type RunRequest,
  RunShown,
  RunsReply,
  type RunView,
} from '../api/runs.ts';
import {
  EndSessionReply,
  SessionReply,
  type SessionRequest,
  SessionShown,
  type SessionSummary,
  SessionsReply,
} from '../api/sessions.ts';
import { PolicyReply, TargetsReply } from '../api/targets.ts';
import { HoopError } from '../errors.ts';
import type { CutAck, CutProposal } from '../recording/formats/types.ts';
import { AuthorizedRequests, type TokenSource } from './authorized-requests.ts';
import { type DpopKey, thumbprintOf } from './dpop-key.ts';
import { type GatewayRequest, GatewayTransport } from './gateway-transport.ts';

/** A policy repository with its history. */
const MAX_POLICY_BUNDLE_BYTES = 64 * 1024 * 1024;

export interface GatewayClientOptions {
  /** `https://host:port`, from `normalizeGatewayUrl`. */
  readonly baseUrl: string;
  /** PEM text of the gateway's private CA. */
  readonly ca?: string | undefined;
  /** Absent: only what needs no login. */
  readonly tokens?: TokenSource | undefined;
  readonly userAgent?: string | undefined;
  /** Of an earlier answer; a wrong one costs a round trip. */
  readonly nonce?: string | undefined;
  /** Somebody else's connections, who also closes them. */
  readonly transport?: GatewayTransport | undefined;
  /** Milliseconds; for tests. */
  readonly clock?: (() => number) | undefined;
}

export class GatewayClient implements AsyncDisposable {
  readonly baseUrl: string;
  readonly ca: string | undefined;
  readonly userAgent: string;
  readonly #transport: GatewayTransport;
  readonly #requests: AuthorizedRequests;

  constructor(options: GatewayClientOptions) {
    this.baseUrl = options.baseUrl;
    this.ca = options.ca;
    this.userAgent = options.userAgent ?? 'hoop';
    this.#transport =
      options.transport ??
      new GatewayTransport({
        baseUrl: options.baseUrl,
        ca: options.ca,
        userAgent: this.userAgent,
        nonce: options.nonce,
      });
    this.#requests = new AuthorizedRequests({
      transport: this.#transport,
      tokens: options.tokens,
      clock: options.clock ?? Date.now,
    });
  }

  /** The same connections with another login; they are closed with this one. */
  as(tokens: TokenSource): GatewayClient {
    const { baseUrl, ca, userAgent } = this;
    return new GatewayClient({ baseUrl, ca, userAgent, tokens, transport: this.#transport });
  }

  /** The gateway's clock as of its last answer, ms; undefined: it has not said it. */
  get lastDateMs(): number | undefined {
    return this.#transport.lastDateMs;
  }

  /** For the next request's proof, also of another process. */
  get nonce(): string | undefined {
    return this.#transport.nonce;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }

  // ── without a login ──────────────────────────────────────────────────────────────────────────

  async info(signal: AbortSignal): Promise<InfoReply> {
    const reply = await this.#transport.send({ method: 'GET', path: PATHS.info }, signal);
    return this.#parse(InfoReply, reply);
  }

  /**
   * An ID token for a session token, bound to `key`.
   * @param loginNonce what its nonce was made from; a login by device code has none
   */
  exchange(
    idToken: string,
    key: DpopKey,
    signal: AbortSignal,
    loginNonce?: string,
  ): Promise<TokenReply> {
    return this.#postToken(
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: idToken,
        subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
        ...(loginNonce === undefined ? {} : { login_nonce: loginNonce }),
      },
      key,
      signal,
    );
  }

  /** A token of a workload's platform for a session token, bound to `key`. */
  exchangeWorkload(token: string, key: DpopKey, signal: AbortSignal): Promise<TokenReply> {
    return this.#postToken(
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      },
      key,
      signal,
    );
  }

  /**
   * The refresh handle is spent by this; the reply holds the next one.
   * @param idToken a new one, where the provider must confirm the login
   */
  refresh(
    refreshToken: string,
    key: DpopKey,
    signal: AbortSignal,
    idToken?: string,
  ): Promise<TokenReply> {
    return this.#postToken(
      {
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
        ...(idToken === undefined ? {} : { id_token: idToken }),
      },
      key,
      signal,
    );
  }

  /** Ends the login at the gateway, and with it the sessions that it opened. */
  async logout(
    refreshToken: string,
    key: DpopKey,
    signal: AbortSignal,
    options: { readonly all?: boolean } = {},
  ): Promise<void> {
    const form = { token: refreshToken, ...(options.all === true ? { all: 'true' } : {}) };
    await this.#requests.postForm(PATHS.logout, form, key, signal);
  }

  // ── with a login ─────────────────────────────────────────────────────────────────────────────

  whoami(signal: AbortSignal): Promise<WhoamiReply> {
    return this.json(WhoamiReply, { method: 'GET', path: PATHS.whoami }, signal);
  }

  /**
   * Resolves after so many seconds; rejects as soon as the login has ended, with why.
   * @param seconds at most 25
   */
  async untilLoginEnds(seconds: number, signal: AbortSignal): Promise<void> {
    const path = `${PATHS.whoami}?wait=${seconds}`;
    await this.json(WhoamiReply, { method: 'GET', path }, signal);
  }

  /** A login for a run, bound to `key`, that ends with the one of this client. */
  async startRun(
    key: DpopKey,
    run: Pick<RunRequest, 'agent' | 'command' | 'reason' | 'targets'>,
    signal: AbortSignal,
  ): Promise<RunReply> {
    const jkt = thumbprintOf(key);
    const body = (proof: string) => jsonBody({ v: API_VERSION, jkt, proof, ...run });
    const request = { method: 'POST', path: PATHS.runs } as const;
    return this.#parse(RunReply, await this.#requests.sendWithProofOf(key, body, request, signal));
  }

  runs(signal: AbortSignal): Promise<RunsReply> {
    return this.json(RunsReply, { method: 'GET', path: PATHS.runs }, signal);
  }

  async run(id: string, signal: AbortSignal): Promise<RunView> {
    const path = RUN_PATHS.run(encodeURIComponent(id));
    return (await this.json(RunShown, { method: 'GET', path }, signal)).run;
  }

  /** With all that was started in it. */
  endRun(id: string, reason: string | undefined, signal: AbortSignal): Promise<EndRunReply> {
    const body = jsonBody({ v: API_VERSION, ...(reason === undefined ? {} : { reason }) });
    const path = RUN_PATHS.end(encodeURIComponent(id));
    return this.json(EndRunReply, { method: 'POST', path, body }, signal);
  }

  policy(signal: AbortSignal): Promise<PolicyReply> {
    return this.json(PolicyReply, { method: 'GET', path: PATHS.policy }, signal);
  }

  /** A git bundle of the policy in force. */
  policyBundle(signal: AbortSignal): Promise<Uint8Array> {
    return this.#requests.send(
      { method: 'GET', path: PATHS.policyBundle, maxReplyBytes: MAX_POLICY_BUNDLE_BYTES },
      signal,
    );
  }

  targets(signal: AbortSignal): Promise<z.infer<typeof TargetsReply>> {
    return this.json(TargetsReply, { method: 'GET', path: PATHS.targets }, signal);
  }

  startSession(request: SessionRequest, signal: AbortSignal): Promise<SessionReply> {
    const body = jsonBody(request);
    return this.json(SessionReply, { method: 'POST', path: PATHS.sessions, body }, signal);
  }

  sessions(
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<z.infer<typeof SessionsReply>> {
    const search = new URLSearchParams(query).toString();
    const path = search === '' ? PATHS.sessions : `${PATHS.sessions}?${search}`;
    return this.json(SessionsReply, { method: 'GET', path }, signal);
  }

  async session(id: string, signal: AbortSignal): Promise<SessionSummary> {
    const request = { method: 'GET', path: PATHS.session(id) } as const;
    return (await this.json(SessionShown, request, signal)).session;
  }

  /** Ends a live session: one's own, or anybody's for an approver. Resolves when it is closed. */
  endSession(
    id: string,
    signal: AbortSignal,
    asked: { readonly reason?: string; readonly login?: boolean } = {},
  ): Promise<EndSessionReply> {
    const body = jsonBody({ v: API_VERSION, ...asked });
    return this.json(EndSessionReply, { method: 'POST', path: PATHS.end(id), body }, signal);
  }

  position(id: string, signal: AbortSignal): Promise<CutsReply> {
    return this.json(CutsReply, { method: 'GET', path: PATHS.cuts(id) }, signal);
  }

  proposeCut(id: string, cut: CutProposal, signal: AbortSignal): Promise<CutAck> {
    const body = jsonBody(cut);
    return this.json(CutAckSchema, { method: 'POST', path: PATHS.cuts(id), body }, signal);
  }

  /** @param pieces what the gateway has lost, as `encodeRepair` makes it */
  repair(id: string, pieces: Uint8Array, signal: AbortSignal): Promise<CutsReply> {
    const body = { type: 'application/octet-stream', content: pieces };
    return this.json(CutsReply, { method: 'POST', path: PATHS.repair(id), body }, signal);
  }

  /** No cuts after this. */
  seal(id: string, signal: AbortSignal): Promise<SealReply> {
    return this.json(SealReply, { method: 'POST', path: PATHS.seal(id) }, signal);
  }

  /**
   * @param envelope DSSE, JSON text, signed by the session key
   * @returns the same with the gateway's signature beside it
   */
  async putManifest(id: string, envelope: string, signal: AbortSignal): Promise<string> {
    const body = { type: 'application/json', content: envelope };
    const reply = await this.#requests.send(
      { method: 'POST', path: PATHS.manifest(id), body },
      signal,
    );
    return Buffer.from(reply).toString('utf8');
  }

  /** The recording as one tar file. A gateway that has to read it first is waited for. */
  async bundle(id: string, signal: AbortSignal): Promise<Readable> {
    for (;;) {
      try {
        return await this.#requests.download({ method: 'GET', path: PATHS.bundle(id) }, signal);
      } catch (error) {
        const isReading = error instanceof HoopError && error.code === 'HOOP_RECORDING_READING';
        if (!isReading) throw error;
        await sleep(1000, undefined, { signal }).catch(() => signal.throwIfAborted());
      }
    }
  }

  // ── upgrades, which others send ──────────────────────────────────────────────────────────────

  /** `/v1/…` → `wss://host:port/v1/…` */
  webSocketUrl(path: string): string {
    return `${this.baseUrl.replace(/^https:/, 'wss:')}${path}`;
  }

  /** @param url `wss:` or `https:` */
  authHeaders(
    method: string,
    url: string,
    signal: AbortSignal,
  ): Promise<{ authorization: string; dpop: string }> {
    return this.#requests.headers(method, url, signal);
  }

  /**
   * To be told of a refused upgrade.
   * @returns whether it is worth asking for headers again and trying once more
   */
  upgradeRefused(
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): boolean {
    const nonce = headers['dpop-nonce'];
    if (typeof nonce === 'string') {
      this.#transport.nonce = nonce;
    }
    const challenge = headers['www-authenticate'];
    return status === 401 && typeof challenge === 'string' && challenge.includes('use_dpop_nonce');
  }

  /** An authorized request whose reply fits the schema. @throws HoopError, also the gateway's own. */
  async json<T>(schema: z.ZodType<T>, request: GatewayRequest, signal: AbortSignal): Promise<T> {
    return this.#parse(schema, await this.#requests.send(request, signal));
  }

  /** An authorized request whose reply says nothing more. */
  async send(request: GatewayRequest, signal: AbortSignal): Promise<void> {
    await this.#requests.send(request, signal);
  }

  async #postToken(
    form: Record<string, string>,
    key: DpopKey,
    signal: AbortSignal,
  ): Promise<TokenReply> {
    return this.#parse(TokenReply, await this.#requests.postForm(PATHS.token, form, key, signal));
  }

  #parse<T>(schema: z.ZodType<T>, bytes: Uint8Array): T {
    try {
      return schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    } catch (cause) {
      throw new HoopError('HOOP_GATEWAY_BAD_REPLY', 'the gateway’s reply cannot be understood', {
        detail: `"${new URL(this.baseUrl).host}" may be another version, or not a hoop gateway.`,
        hint: 'Check the address, and update hoop if the gateway is newer.',
        cause,
      });
    }
  }
}

export function jsonBody(value: object): NonNullable<GatewayRequest['body']> {
  return { type: 'application/json', content: JSON.stringify(value) };
}
