/** Requests to an identity provider, whose certificate may come from a private CA that the policy names. */
import { HoopError } from './errors.ts';
import { proxyFor } from './proxy.ts';
import { type Connect, connectorThrough } from './proxy-connection.ts';

/** Documents of providers have some 10 KiB; key sets of the largest a few more. */
const MAX_ANSWER_BYTES = 1024 * 1024;

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the host name cannot be resolved now',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  UND_ERR_CONNECT_TIMEOUT: 'the connection timed out',
  UND_ERR_SOCKET: 'the connection was closed',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
};
const UNKNOWN_CA =
  'its certificate is signed by an unknown CA; name a private one as `ca` of the provider in hoop.yaml';
const UNKNOWN_CA_CODES: ReadonlySet<string> = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
]);

type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

/** @param ca PEM; in its place the public ones are not believed */
export function providerFetch(ca: string | undefined): Fetch {
  return async (url, init = {}) => {
    const proxy = proxyFor(url, process.env);
    const tls = ca === undefined ? {} : { ca };
    if (proxy === undefined && ca === undefined) {
      return fetch(url, init);
    }
    return ask(url, init, proxy === undefined ? tls : connectorThrough(proxy, tls));
  };
}

async function ask(
  url: string,
  init: RequestInit,
  connect: Connect | { readonly ca?: string },
): Promise<Response> {
  const { default: undici } = await import('undici');
  const agent = new undici.Agent({ connect });
  try {
    const { method = 'GET', body, redirect, signal } = init;
    const response = await undici.fetch(url, {
      method,
      headers: Object.fromEntries(new Headers(init.headers)),
      // URLSearchParams and text are all that is sent; undici knows its own type of the first alone.
      ...(body === undefined || body === null ? {} : { body: String(body) }),
      ...(redirect === undefined ? {} : { redirect }),
      ...(signal === undefined ? {} : { signal }),
      dispatcher: agent,
    });
    const { status } = response;
    const bytes = await readBounded(response.body);
    const headers = new Headers([...response.headers]);
    return new Response(status === 204 || status === 304 ? null : bytes, { status, headers });
  } finally {
    await agent.destroy();
  }
}

async function readBounded(
  body: AsyncIterable<Uint8Array> | null,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) {
      throw new Error(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** What says nothing but that it is tried again: too many requests, no time, a fault of the provider. */
export function isForNow(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429;
}

/** Why a request failed, in words; `fetch` itself says "fetch failed" and hides the cause. */
export function fetchFailure(error: unknown): string {
  let found = '';
  for (let one: unknown = error; one instanceof Error; one = causeOf(one)) {
    if (one.name === 'TimeoutError') {
      return 'it did not answer in time';
    }
    if (one instanceof HoopError) {
      return one.hint === undefined
        ? one.message
        : `${one.message}. ${one.hint.replace(/\.$/, '')}`;
    }
    const code = 'code' in one && typeof one.code === 'string' ? one.code : '';
    if (UNKNOWN_CA_CODES.has(code)) {
      return UNKNOWN_CA;
    }
    const known = REASONS[code];
    if (known !== undefined) {
      return known;
    }
    found = one.message === 'unexpected redirect' ? 'it redirects elsewhere' : one.message;
  }
  return found === '' ? 'the request failed' : found.replace(/\.$/, '');
}

/** Of several addresses that were tried the first counts. */
function causeOf(error: Error): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error.cause;
}
