/** A provider on loopback that gives a login by code, and misbehaves as a test tells it to. */
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { text } from 'node:stream/consumers';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { listen } from './listen.ts';

export const CLIENT_ID = 'hoop-cli';

export class AnsweringProvider implements AsyncDisposable {
  readonly issuer: string;
  /** Over its own metadata. */
  metadata: object = {};
  /** Over the claims of its ID tokens. */
  idToken: Record<string, unknown> = {};
  /** Beside the ID token. */
  tokens: object = {};
  /** Of the token endpoint, instead of tokens. */
  reply: { readonly status: number; readonly body: object } | undefined;
  /** Changes the query that the browser brings back. */
  answer: (query: URLSearchParams) => void = () => undefined;
  /** Path and form of each request but those for metadata and keys. */
  readonly asked: (readonly [string, Record<string, string>])[] = [];
  #nonce: string | undefined;
  readonly #jwk: JWK;
  readonly #key: CryptoKey;
  readonly #close: () => Promise<void>;

  private constructor(issuer: string, jwk: JWK, key: CryptoKey, close: () => Promise<void>) {
    this.issuer = issuer;
    this.#jwk = jwk;
    this.#key = key;
    this.#close = close;
  }

  /** @param tls PEM; without it the provider speaks plain HTTP */
  static async start(tls?: {
    readonly cert: string;
    readonly key: string;
  }): Promise<AnsweringProvider> {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const server = tls === undefined ? createServer() : createTlsServer(tls);
    const { port, close } = await listen(server);
    const issuer = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
    const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256' };
    const self = new AnsweringProvider(issuer, jwk, privateKey, close);
    server.on('request', (request, response) => {
      void self.#respond(request).then(([status, body]) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body));
      });
    });
    return self;
  }

  /** The browser's part: straight back to the listener. */
  async browse(url: string): Promise<boolean> {
    const asked = new URL(url).searchParams;
    this.#nonce = asked.get('nonce') ?? '';
    const back = new URL(asked.get('redirect_uri') ?? '');
    back.search = new URLSearchParams({
      code: 'the-code',
      state: asked.get('state') ?? '',
      iss: this.issuer,
    }).toString();
    this.answer(back.searchParams);
    await fetch(back).then((response) => response.text());
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #respond(request: IncomingMessage): Promise<[number, object]> {
    const { issuer } = this;
    switch (request.url) {
      case '/.well-known/openid-configuration':
        return [
          200,
          {
            issuer,
            authorization_endpoint: `${issuer}/auth`,
            token_endpoint: `${issuer}/token`,
            jwks_uri: `${issuer}/keys`,
            id_token_signing_alg_values_supported: ['ES256'],
            authorization_response_iss_parameter_supported: true,
            ...this.metadata,
          },
        ];
      case '/keys':
        return [200, { keys: [this.#jwk] }];
      default: {
        const form = Object.fromEntries(new URLSearchParams(await text(request)));
        this.asked.push([request.url ?? '', form]);
        if (request.url === '/revoke') return [200, {}];
        if (this.reply !== undefined) return [this.reply.status, this.reply.body];
        const idToken = await this.#mint();
        const tokens = { access_token: 'x', token_type: 'Bearer', ...this.tokens };
        return [200, { ...tokens, id_token: idToken }];
      }
    }
  }

  #mint(): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const nonce = this.#nonce === undefined ? {} : { nonce: this.#nonce };
    const claims = {
      iss: this.issuer,
      aud: CLIENT_ID,
      sub: 'u',
      iat: now,
      exp: now + 60,
      ...nonce,
    };
    return new SignJWT({ ...claims, ...this.idToken })
      .setProtectedHeader({ alg: 'ES256' })
      .sign(this.#key);
  }
}
