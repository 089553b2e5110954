/** A small identity provider on loopback, that can be told to misbehave in each way that matters. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import {
  CompactSign,
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
} from 'jose';

export interface TestKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export class TestIssuer implements AsyncDisposable {
  readonly issuer: string;
  readonly #server: Server;
  key: TestKey;
  /** What the JWKS endpoint shows. */
  published: JWK[];
  /** How often the key set was read. */
  fetches = 0;
  /** What to do instead of answering. */
  fault:
    | 'none'
    | 'down'
    | 'silent'
    | 'wrong-issuer'
    | 'huge'
    | 'not-json'
    | 'redirect'
    | 'empty'
    | 'secrets-only'
    | 'no-set' = 'none';

  private constructor(server: Server, issuer: string, key: TestKey) {
    this.#server = server;
    this.issuer = issuer;
    this.key = key;
    this.published = [key.publicJwk];
  }

  static async start(): Promise<TestIssuer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') {
      throw new TypeError('no port');
    }
    const issuer = `http://127.0.0.1:${address.port}`;
    const self = new TestIssuer(server, issuer, await makeKey('key-1', 'ES256'));
    server.on('request', (request, response) => {
      const isKeys = request.url === '/keys';
      self.fetches += isKeys ? 1 : 0;
      if (self.fault === 'down') {
        response.destroy();
      } else if (self.fault === 'silent') {
        // The socket stays open and nothing comes.
      } else if (self.fault === 'redirect') {
        response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
      } else if (self.fault === 'not-json') {
        response.end('<html>captive portal</html>');
      } else if (isKeys) {
        const filler = self.fault === 'huge' ? 'x'.repeat(300 * 1024) : '';
        response.end(JSON.stringify({ ...self.#keySet(), filler }));
      } else {
        const named = self.fault === 'wrong-issuer' ? 'https://evil.example' : issuer;
        response.end(JSON.stringify({ issuer: named, jwks_uri: `${issuer}/keys` }));
      }
    });
    return self;
  }

  #keySet(): object {
    switch (this.fault) {
      case 'empty':
        return { keys: [] };
      case 'secrets-only':
        return { keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'key-1' }] };
      case 'no-set':
        return { error: 'try again later' };
      default:
        return { keys: this.published };
    }
  }

  async rotate(kid: string, alg = 'ES256'): Promise<void> {
    this.key = await makeKey(kid, alg);
    this.published = [this.key.publicJwk];
  }

  /** Signs whatever it is given. */
  async mint(
    claims: JWTPayload,
    options: { readonly key?: TestKey; readonly header?: Record<string, unknown> } = {},
  ): Promise<string> {
    const key = options.key ?? this.key;
    return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: key.alg, kid: key.kid, ...options.header })
      .sign(key.privateKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

export async function makeKey(kid: string, alg: string): Promise<TestKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    kid,
    alg,
    privateKey,
    publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' },
  };
}
