/** An Identity with its issuer, a clock that tests move, and a client that makes honest requests. */
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { decodeJwt, type JWTPayload } from 'jose';
import { ErrorBody } from '../../../src/api/http.ts';
import { TokenReply } from '../../../src/api/login.ts';
import { tokenNonce } from '../../../src/api/login-nonce.ts';
import {
  createDpopProof,
  type DpopKey,
  generateDpopKey,
  type ProofFields,
  thumbprintOf,
} from '../../../src/client/dpop-key.ts';
import type { HttpReply } from '../../../src/gateway/identity/http-reply.ts';
import { Identity } from '../../../src/gateway/identity/identity.ts';
import type { IdentityProvider } from '../../../src/gateway/identity/identity-provider.ts';
import type { IdentityStore } from '../../../src/gateway/identity/identity-store.ts';
import type { WorkloadRule } from '../../../src/policy/workloads/workload-rule.ts';
import { Secret } from '../../../src/secret.ts';
import { MemoryIdentityStore } from './memory-identity-store.ts';
import { TestIssuer } from './test-issuer.ts';

export const GATEWAY = 'https://gw.example.com:8443';
export const CLIENT_ID = 'hoop-cli';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

export class IdentityBench implements AsyncDisposable {
  readonly issuer: TestIssuer;
  readonly store: IdentityStore;
  readonly signingKey = generateKeyPairSync('ed25519').privateKey;
  readonly handleKey = new Secret<Uint8Array>(randomBytes(32));
  readonly key = generateDpopKey();
  providers: IdentityProvider[];
  workloads: readonly WorkloadRule[] = [];
  roles: Record<string, readonly string[]> = { auditor: ['auditors'], approver: ['approvers'] };
  identity: Identity;
  /** What `onRefused` told. */
  readonly refused: object[] = [];
  /** What the gateway gave for the `nonce` in an ID token. */
  readonly #loginNonces = new Map<unknown, string>();
  /** Stands still but for `pass`. */
  #nowMs = Date.now();

  private constructor(issuer: TestIssuer, store: IdentityStore) {
    this.issuer = issuer;
    this.store = store;
    this.providers = [{ issuer: issuer.issuer, clientId: CLIENT_ID }];
    this.identity = this.#create();
  }

  static async start(store: IdentityStore = new MemoryIdentityStore()): Promise<IdentityBench> {
    return new IdentityBench(await TestIssuer.start(), store);
  }

  /** A new process on the same store and key. */
  restart(): void {
    this.identity = this.#create();
  }

  now(): number {
    return this.#nowMs;
  }

  nowSeconds(): number {
    return Math.floor(this.now() / 1000);
  }

  pass(ms: number): void {
    this.#nowMs += ms;
  }

  claims(changes: Record<string, unknown> = {}): JWTPayload {
    const now = this.nowSeconds();
    return {
      iss: this.issuer.issuer,
      aud: CLIENT_ID,
      sub: 'u-1',
      email: 'dana@example.com',
      groups: ['engineering', 'approvers'],
      iat: now,
      exp: now + 300,
      auth_time: now - 5,
      nonce: this.nonce(),
      // Two tokens of one second must differ, as real ones do.
      jti: randomUUID(),
      ...changes,
    };
  }

  /** For an ID token of `key`'s login. */
  nonce(key: DpopKey = this.key): string {
    const given = this.identity.loginNonce();
    const nonce = tokenNonce(given, thumbprintOf(key));
    this.#loginNonces.set(nonce, given);
    return nonce;
  }

  idToken(changes: Record<string, unknown> = {}): Promise<string> {
    return this.issuer.mint(this.claims(changes));
  }

  proof(changes: Partial<ProofFields> = {}, key: DpopKey = this.key): string {
    return createDpopProof(key, {
      method: 'POST',
      url: `${GATEWAY}/v1/token`,
      nonce: this.identity.nonceHeader(),
      accessToken: undefined,
      nowMs: this.now(),
      ...changes,
    });
  }

  post(form: Record<string, string>, dpop: string | undefined = this.proof()): Promise<HttpReply> {
    return this.identity.token({
      method: 'POST',
      url: '/v1/token',
      dpop,
      body: new URLSearchParams(form).toString(),
    });
  }

  /** As `hoop login` does it: with the nonce that the token was asked for with. */
  exchange(
    idToken: string,
    dpop: string = this.proof(),
    loginNonce: string | undefined = this.#loginNonces.get(nonceOf(idToken)),
  ): Promise<HttpReply> {
    return this.post(
      {
        grant_type: EXCHANGE,
        subject_token: idToken,
        subject_token_type: ID_TOKEN,
        ...(loginNonce === undefined ? {} : { login_nonce: loginNonce }),
      },
      dpop,
    );
  }

  exchangeWorkload(token: string, key: DpopKey = this.key): Promise<HttpReply> {
    return this.post(
      { grant_type: EXCHANGE, subject_token: token, subject_token_type: JWT },
      this.proof({}, key),
    );
  }

  refresh(handle: string, dpop: string = this.proof()): Promise<HttpReply> {
    return this.post({ grant_type: 'refresh_token', refresh_token: handle }, dpop);
  }

  /** With a new ID token, as a provider gives for a refresh token. */
  async confirm(handle: string, changes: Record<string, unknown> = {}): Promise<HttpReply> {
    const idToken = await this.idToken({ nonce: undefined, ...changes });
    return this.post({ grant_type: 'refresh_token', refresh_token: handle, id_token: idToken });
  }

  async login(changes: Record<string, unknown> = {}): Promise<TokenReply> {
    return tokens(await this.exchange(await this.idToken(changes)));
  }

  /** `GET /v1/whoami` with the token. */
  request(
    accessToken: string,
    changes: Partial<ProofFields> = {},
    key: DpopKey = this.key,
  ): { method: string; url: string; authorization: string; dpop: string } {
    const url = `${GATEWAY}/v1/whoami`;
    return {
      method: 'GET',
      url,
      authorization: `DPoP ${accessToken}`,
      dpop: this.proof({ method: 'GET', url, accessToken, ...changes }, key),
    };
  }

  #create(): Identity {
    return new Identity({
      origins: () => [GATEWAY],
      providers: () => this.providers,
      roles: () => this.roles,
      workloads: () => this.workloads,
      onRefused: ({ code }, login) => this.refused.push({ code, ...login }),
      signingKey: this.signingKey,
      handleKey: this.handleKey,
      store: this.store,
      clock: () => this.now(),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.issuer[Symbol.asyncDispose]();
  }
}

export function tokens(reply: HttpReply): TokenReply {
  if (reply.status !== 200) {
    throw new Error(`refused: ${JSON.stringify(reply.body)}`);
  }
  return TokenReply.parse(reply.body);
}

/** `401 HOOP_… message`: what a test compares. */
export function refusalOf(reply: HttpReply): string {
  const { code, message } = ErrorBody.parse(reply.body).error;
  return `${reply.status} ${code}: ${message}`;
}

function nonceOf(idToken: string): unknown {
  try {
    return decodeJwt(idToken)['nonce'];
  } catch {
    return undefined;
  }
}
