/**
 * Requests that carry the session token and a fresh proof of the key that it is bound to. A nonce
 * or a token that has run out is replaced and the request sent once more.
 */
import type { Readable } from 'node:stream';
import { HoopError } from '../errors.ts';
import { createDpopProof, type DpopKey } from './dpop-key.ts';
import type { GatewayRequest, GatewayTransport } from './gateway-transport.ts';

export interface Credential {
  readonly accessToken: string;
  readonly key: DpopKey;
}

export interface TokenSource {
  /** A token that is good for a while; renewed first when it is not. */
  current(signal: AbortSignal): Promise<Credential>;
  /** The gateway refused `stale`: one that is newer. */
  renewed(stale: string, signal: AbortSignal): Promise<Credential>;
}

export interface AuthorizedRequestsOptions {
  readonly transport: GatewayTransport;
  readonly tokens: TokenSource | undefined;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

export class AuthorizedRequests {
  readonly #transport: GatewayTransport;
  readonly #tokens: TokenSource | undefined;
  readonly #clock: () => number;

  constructor(options: AuthorizedRequestsOptions) {
    this.#transport = options.transport;
    this.#tokens = options.tokens;
    this.#clock = options.clock;
  }

  send(request: GatewayRequest, signal: AbortSignal): Promise<Uint8Array> {
    return this.#repeat(request, signal, (signed) => this.#transport.send(signed, signal));
  }

  download(request: GatewayRequest, signal: AbortSignal): Promise<Readable> {
    return this.#repeat(request, signal, (signed) => this.#transport.download(signed, signal));
  }

  /**
   * With a second proof in its body, by another key for the same request and token.
   * @param body of a proof that is made anew for each attempt
   */
  sendWithProofOf(
    other: DpopKey,
    body: (proof: string) => NonNullable<GatewayRequest['body']>,
    request: GatewayRequest,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const url = `${this.#transport.baseUrl}${request.path}`;
    return this.#repeat(request, signal, (signed, { accessToken }) => {
      const proof = this.#sign(request.method, url, { accessToken, key: other }).dpop;
      return this.#transport.send({ ...signed, body: body(proof) }, signal);
    });
  }

  /** Where there is no session token yet or no more: the proof goes alone. */
  async postForm(
    path: string,
    form: Readonly<Record<string, string>>,
    key: DpopKey,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const send = () =>
      this.#transport.send(
        {
          method: 'POST',
          path,
          headers: {
            dpop: createDpopProof(key, {
              method: 'POST',
              url: `${this.#transport.baseUrl}${path}`,
              nonce: this.#transport.nonce,
              accessToken: undefined,
              nowMs: this.#clock(),
            }),
          },
          body: {
            type: 'application/x-www-form-urlencoded',
            content: new URLSearchParams(form).toString(),
          },
        },
        signal,
      );
    try {
      return await send();
    } catch (error) {
      if (isCode(error, 'HOOP_PROOF_NONCE')) {
        return send();
      }
      throw error;
    }
  }

  /** @param url `wss:` or `https:` */
  async headers(
    method: string,
    url: string,
    signal: AbortSignal,
  ): Promise<{ authorization: string; dpop: string }> {
    return this.#sign(method, url, await this.#requireTokens().current(signal));
  }

  /** Two things may have run out since the last request, the nonce and the token: each once. */
  async #repeat<T>(
    request: GatewayRequest,
    signal: AbortSignal,
    send: (request: GatewayRequest, credential: Credential) => Promise<T>,
  ): Promise<T> {
    const tokens = this.#requireTokens();
    const url = `${this.#transport.baseUrl}${request.path}`;
    let credential = await tokens.current(signal);
    let mayRenew = true;
    let mayFetchNonce = true;
    while (true) {
      try {
        const headers = { ...request.headers, ...this.#sign(request.method, url, credential) };
        return await send({ ...request, headers }, credential);
      } catch (error) {
        if (mayFetchNonce && isCode(error, 'HOOP_PROOF_NONCE')) {
          mayFetchNonce = false;
        } else if (mayRenew && isStaleToken(error)) {
          mayRenew = false;
          credential = await tokens.renewed(credential.accessToken, signal);
        } else {
          throw error;
        }
      }
    }
  }

  #sign(
    method: string,
    url: string,
    { accessToken, key }: Credential,
  ): { authorization: string; dpop: string } {
    return {
      authorization: `DPoP ${accessToken}`,
      dpop: createDpopProof(key, {
        method,
        url,
        nonce: this.#transport.nonce,
        accessToken,
        nowMs: this.#clock(),
      }),
    };
  }

  #requireTokens(): TokenSource {
    if (this.#tokens === undefined) {
      throw new HoopError('HOOP_NOT_LOGGED_IN', 'not logged in', {
        hint: 'Log in with `hoop login --gateway URL`.',
      });
    }
    return this.#tokens;
  }
}

function isCode(error: unknown, code: HoopError['code']): boolean {
  return error instanceof HoopError && error.code === code;
}

/** Its time is up, or the gateway has got another name or key since. */
function isStaleToken(error: unknown): boolean {
  return (
    isCode(error, 'HOOP_TOKEN_EXPIRED') ||
    isCode(error, 'HOOP_TOKEN_AUDIENCE') ||
    isCode(error, 'HOOP_TOKEN_SIGNATURE')
  );
}
