/** One request to the gateway over HTTPS: deadlines, size limits, nonce, error bodies. No tokens. */
import { Readable } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import * as z from 'zod';
import { ErrorBody } from '../api/http.ts';
import { errorCode } from '../error-code.ts';
import { ERROR_CODES, type ErrorCode, HoopError } from '../errors.ts';
import { proxyFor } from '../proxy.ts';
import { connectorThrough } from '../proxy-connection.ts';
import { describeNetworkError } from './network-error.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** Between two pieces of a long download. */
const STALL_TIMEOUT_MS = 45_000;
/** Lists of sessions and targets; downloads have limits of their own. */
export const MAX_REPLY_BYTES = 8 * 1024 * 1024;

export interface GatewayRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly type: string; readonly content: string | Uint8Array };
  readonly maxReplyBytes?: number;
}

export interface GatewayTransportOptions {
  /** From `normalizeGatewayUrl`. */
  readonly baseUrl: string;
  /** PEM. The only CA that is believed, when there is one. */
  readonly ca?: string | undefined;
  readonly userAgent: string;
  /** To begin with. */
  readonly nonce?: string | undefined;
}

export class GatewayTransport implements AsyncDisposable {
  readonly baseUrl: string;
  /** The last `DPoP-Nonce` of the gateway. */
  nonce: string | undefined;
  /** The gateway's clock (in whole seconds, since 1970, ms), as of its last answer. */
  lastDateMs: number | undefined;
  readonly #agent: Agent;
  readonly #userAgent: string;

  constructor(options: GatewayTransportOptions) {
    this.baseUrl = options.baseUrl;
    this.#userAgent = options.userAgent;
    this.nonce = options.nonce;
    const tls = options.ca === undefined ? {} : { ca: options.ca };
    const proxy = proxyFor(options.baseUrl, process.env);
    this.#agent = new Agent({
      connect:
        proxy === undefined
          ? { timeout: CONNECT_TIMEOUT_MS, ...tls }
          : connectorThrough(proxy, tls),
      headersTimeout: REQUEST_TIMEOUT_MS,
      bodyTimeout: STALL_TIMEOUT_MS,
      connections: 8,
    });
  }

  /**
   * @returns the body of a 2xx reply
   * @throws HoopError of the gateway, HOOP_UNREACHABLE, HOOP_GATEWAY_TLS, HOOP_GATEWAY_BAD_REPLY
   */
  async send(request: GatewayRequest, signal: AbortSignal): Promise<Uint8Array> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
    try {
      const reply = await this.#open(request, deadline);
      return await readBounded(reply, request.maxReplyBytes ?? MAX_REPLY_BYTES);
    } catch (error) {
      throw this.#explain(error, signal);
    } finally {
      // In this turn the connection is still that of the answer, and the next request would make one.
      await nextTurn();
    }
  }

  /** Like `send`, for a body that is read piece by piece. It fails when the gateway stalls. */
  async download(request: GatewayRequest, signal: AbortSignal): Promise<Readable> {
    try {
      const body = await this.#open(request, signal);
      return Readable.from(this.#whole(body, signal), { objectMode: false });
    } catch (error) {
      throw this.#explain(error, signal);
    }
  }

  /** @throws HOOP_UNREACHABLE where the gateway does not send all of it */
  async *#whole(body: Readable, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      const known = this.#explain(error, signal);
      if (!(known instanceof HoopError) || known.code !== 'HOOP_UNREACHABLE') throw known;
      const { host } = new URL(this.baseUrl);
      throw new HoopError('HOOP_UNREACHABLE', `gateway "${host}" broke off the download`, {
        hint: 'Run it again. If it breaks off again, the log of the gateway says why.',
        cause: error,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #open(request: GatewayRequest, signal: AbortSignal): Promise<Readable> {
    const { origin, pathname, search } = new URL(`${this.baseUrl}${request.path}`);
    const options = {
      origin,
      path: `${pathname}${search}`,
      method: request.method,
      headers: {
        'user-agent': this.#userAgent,
        accept: 'application/json, application/octet-stream, application/x-tar',
        ...(request.body === undefined ? {} : { 'content-type': request.body.type }),
        ...request.headers,
      },
      ...(request.body === undefined ? {} : { body: request.body.content }),
      signal,
    };
    const reply = await connectAgain(() => this.#agent.request(options), signal);
    const nonce = reply.headers['dpop-nonce'];
    if (typeof nonce === 'string') {
      this.nonce = nonce;
    }
    const { date } = reply.headers;
    if (typeof date === 'string' && !Number.isNaN(Date.parse(date))) {
      this.lastDateMs = Date.parse(date);
    }
    if (reply.statusCode < 200 || reply.statusCode >= 300) {
      throw parseRefusal(reply.statusCode, await readBounded(reply.body, MAX_REPLY_BYTES));
    }
    return reply.body;
  }

  #explain(error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) {
      return signal.reason;
    }
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      const seconds = REQUEST_TIMEOUT_MS / 1000;
      return new HoopError(
        'HOOP_UNREACHABLE',
        `cannot reach gateway "${new URL(this.baseUrl).host}": no answer in ${seconds} s`,
        { hint: 'Check the address and that the gateway is running.', cause: error },
      );
    }
    return describeNetworkError(this.baseUrl, error);
  }
}

async function readBounded(body: Readable, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > limit) {
      throw new HoopError('HOOP_TOO_LARGE', `the gateway’s reply is larger than ${limit} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** The body of a refusal, also of an upgrade, as the error that it tells. */
const StreamRefusal = z.object({ status: z.number(), body: z.unknown() });

/** What the gateway says to a stream that it does not open: the reply to a request, as JSON. */
export function parseStreamRefusal(why: Uint8Array): HoopError {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(why).toString('utf8'));
  } catch {
    // Not from a hoop gateway; said below.
  }
  const { status, body } = StreamRefusal.safeParse(value).data ?? { status: 0, body: undefined };
  return parseRefusal(status, Buffer.from(JSON.stringify(body ?? null)));
}

export function parseRefusal(status: number, body: Uint8Array): HoopError {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    // Not from a hoop gateway: a proxy's page, or nothing at all. Said below.
  }
  const parsed = ErrorBody.safeParse(value);
  if (!parsed.success) {
    return new HoopError('HOOP_GATEWAY_BAD_REPLY', `the gateway answered with status ${status}`, {
      detail: 'A hoop gateway does not send this; it may come from a proxy.',
      hint: 'Check the address of the gateway.',
    });
  }
  const { code, message, detail, hint } = parsed.data.error;
  if (isErrorCode(code)) {
    return new HoopError(code, message, { detail, hint });
  }
  return new HoopError('HOOP_GATEWAY_REFUSED', message, {
    detail: detail ?? `The gateway calls this "${code}".`,
    hint,
  });
}

function isErrorCode(code: string): code is ErrorCode {
  return ERROR_CODES.some((known) => known === code);
}

/** A gateway that starts anew, or a machine that is busy, is there again a moment later. */

/** ms before each further attempt. A wrong address is told about a second later by these. */
const PAUSES_MS = [200, 800];

/**
 * Nothing of the request has been sent in these cases, so that it may be sent whatever it does.
 * The time until a connection stands includes its TLS handshake.
 */
const NOT_SENT: ReadonlySet<string> = new Set(['ECONNREFUSED', 'UND_ERR_CONNECT_TIMEOUT']);

/** @throws what `attempt` throws, at last */
export async function connectAgain<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (const pause of PAUSES_MS) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || !isNotSent(error)) {
        throw error;
      }
      await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
  return attempt();
}

function isNotSent(error: unknown): boolean {
  return NOT_SENT.has(errorCode(error) ?? '');
}
