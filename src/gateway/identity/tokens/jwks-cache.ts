/**
 * The signing keys of each identity provider. Where they are is read from the discovery document
 * of an issuer that the policy names; a token can never say where to look.
 */
import { createLocalJWKSet, errors, type FlattenedJWSInput, type JWSHeaderParameters } from 'jose';
import * as z from 'zod';
import { HoopError } from '../../../errors.ts';
import { isSafeProviderUrl } from '../../../policy/provider-url.ts';
import { fetchFailure } from '../../../provider-fetch.ts';

/** jose's defaults for remote key sets: https://github.com/panva/jose/blob/main/src/jwks/remote.ts */
const JWKS_COOLDOWN_MS = 30_000;
/**
 * Readings for a key id that is not known, in a row; one more for each cooldown. A provider that has
 * just rotated its keys is asked at once, and who forges key ids makes it no load.
 */
const UNKNOWN_KEY_READINGS = 4;
const JWKS_MAX_AGE_MS = 10 * 60_000;
const JWKS_TIMEOUT_MS = 5_000;
/** How long keys serve on when the provider does not answer. */
const JWKS_LAST_KNOWN_GOOD_MS = 24 * 60 * 60_000;
/** Large providers publish some 10 KiB. */
const MAX_DOCUMENT_BYTES = 256 * 1024;

export type KeyLookup = ReturnType<typeof createLocalJWKSet>;
type VerifyKey = Awaited<ReturnType<KeyLookup>>;

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.string() });
const KeySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(1000) });

interface CachedKeys {
  lookup: KeyLookup | undefined;
  fetchedAtMs: number;
  attemptedAtMs: number;
  /** Readings for unknown key ids that are left, as of `readingsAtMs`. */
  readings: number;
  readingsAtMs: number;
  pending: Promise<void> | undefined;
}

export interface JwksCacheOptions {
  /** Milliseconds. */
  readonly clock: () => number;
  readonly fetch: (issuer: string) => (url: string, init: RequestInit) => Promise<Response>;
}

export class JwksCache {
  readonly #options: JwksCacheOptions;
  readonly #issuers = new Map<string, CachedKeys>();
  #lastMs: number;
  #elapsedMs = 0;

  constructor(options: JwksCacheOptions) {
    this.#options = options;
    this.#lastMs = options.clock();
  }

  /** Stands still where the clock is set back: keys would be new, and no key id be looked for, until it is there again. */
  #now(): number {
    const ms = this.#options.clock();
    this.#elapsedMs += Math.max(0, ms - this.#lastMs);
    this.#lastMs = ms;
    return this.#elapsedMs;
  }

  /**
   * @param issuer from the policy, never from a token
   * @throws HoopError HOOP_TOKEN_KEY: no such key; HOOP_IDP_UNREACHABLE: no keys to look in
   */
  async key(
    issuer: string,
    header: JWSHeaderParameters,
    token: FlattenedJWSInput,
  ): Promise<VerifyKey> {
    const cached = this.#cached(issuer);
    if (this.#age(cached.fetchedAtMs) >= JWKS_MAX_AGE_MS) {
      await this.#refresh(issuer, cached);
    }
    try {
      return await find(this.#usable(issuer, cached), header, token);
    } catch (error) {
      if (!isNoSuchKey(error) || (cached.pending === undefined && !this.#takeReading(cached))) {
        throw error;
      }
      await this.#loadOnce(issuer, cached);
      return find(this.#usable(issuer, cached), header, token);
    }
  }

  #cached(issuer: string): CachedKeys {
    const known = this.#issuers.get(issuer);
    if (known !== undefined) {
      return known;
    }
    const fresh: CachedKeys = {
      lookup: undefined,
      fetchedAtMs: Number.NEGATIVE_INFINITY,
      attemptedAtMs: Number.NEGATIVE_INFINITY,
      readings: UNKNOWN_KEY_READINGS,
      readingsAtMs: this.#now(),
      pending: undefined,
    };
    // Bounded: issuers come from the policy.
    this.#issuers.set(issuer, fresh);
    return fresh;
  }

  #age(atMs: number): number {
    return this.#now() - atMs;
  }

  #isUsable(cached: CachedKeys): boolean {
    return cached.lookup !== undefined && this.#age(cached.fetchedAtMs) < JWKS_LAST_KNOWN_GOOD_MS;
  }

  #usable(issuer: string, cached: CachedKeys): KeyLookup {
    if (cached.lookup === undefined || !this.#isUsable(cached)) {
      throw unreachable(issuer, undefined);
    }
    return cached.lookup;
  }

  /** A failure is an error only when no older keys may serve. */
  async #refresh(issuer: string, cached: CachedKeys): Promise<void> {
    const tooSoon = this.#age(cached.attemptedAtMs) < JWKS_COOLDOWN_MS;
    if (tooSoon && cached.pending === undefined && this.#isUsable(cached)) {
      return;
    }
    await this.#loadOnce(issuer, cached);
  }

  #takeReading(cached: CachedKeys): boolean {
    const earned = Math.floor(this.#age(cached.readingsAtMs) / JWKS_COOLDOWN_MS);
    if (earned > 0) {
      cached.readings = Math.min(UNKNOWN_KEY_READINGS, cached.readings + earned);
      cached.readingsAtMs += earned * JWKS_COOLDOWN_MS;
    }
    if (cached.readings === 0) {
      return false;
    }
    cached.readings -= 1;
    return true;
  }

  /** One at a time. */
  async #loadOnce(issuer: string, cached: CachedKeys): Promise<void> {
    cached.pending ??= this.#load(issuer, cached).finally(() => {
      cached.pending = undefined;
    });
    await cached.pending;
  }

  async #load(issuer: string, cached: CachedKeys): Promise<void> {
    cached.attemptedAtMs = this.#now();
    try {
      const signal = AbortSignal.timeout(JWKS_TIMEOUT_MS);
      const document = await this.#fetchJson(
        issuer,
        `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
        signal,
      );
      const discovery = Discovery.parse(document);
      if (discovery.issuer !== issuer) {
        throw new Error('the discovery document names another issuer');
      }
      const keys = KeySet.parse(await this.#fetchJson(issuer, discovery.jwks_uri, signal));
      if (!keys.keys.some(isSigningKey)) {
        // A fault at the provider: were it believed, the keys from before could not serve on.
        throw new Error('the key set has no signature key');
      }
      cached.lookup = createLocalJWKSet(keys);
      cached.fetchedAtMs = this.#now();
    } catch (cause) {
      if (cached.lookup === undefined || this.#age(cached.fetchedAtMs) >= JWKS_LAST_KNOWN_GOOD_MS) {
        throw unreachable(issuer, cause);
      }
    }
  }

  async #fetchJson(issuer: string, url: string, signal: AbortSignal): Promise<unknown> {
    if (!isSafeProviderUrl(url)) {
      throw new Error('the address is neither https nor on the loopback interface');
    }
    const response = await this.#options.fetch(issuer)(url, {
      signal,
      redirect: 'error',
      headers: { accept: 'application/json' },
    });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new Error(`it answers with status ${response.status}`);
    }
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body) {
      length += chunk.length;
      if (length > MAX_DOCUMENT_BYTES) {
        throw new Error(`the document is larger than ${MAX_DOCUMENT_BYTES} bytes`);
      }
      chunks.push(chunk);
    }
    return parseJson(Buffer.concat(chunks).toString('utf8'));
  }
}

/** What JSON.parse says quotes the answer. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it answers with something else than JSON, such as a web page');
  }
}

/** https://www.rfc-editor.org/rfc/rfc7517#section-4 */
function isSigningKey(key: z.infer<typeof KeySet>['keys'][number]): boolean {
  return ['RSA', 'EC', 'OKP'].includes(key.kty) && (key['use'] ?? 'sig') === 'sig';
}

async function find(
  lookup: KeyLookup,
  header: JWSHeaderParameters,
  token: FlattenedJWSInput,
): Promise<VerifyKey> {
  try {
    return await lookup(header, token);
  } catch (cause) {
    throw new HoopError('HOOP_TOKEN_KEY', 'the ID token is not signed with a key of its issuer', {
      detail: 'The key set of the identity provider has no single key for this token.',
      hint: 'Log in again with `hoop login`.',
      cause,
    });
  }
}

function isNoSuchKey(error: unknown): boolean {
  return (
    error instanceof HoopError &&
    error.code === 'HOOP_TOKEN_KEY' &&
    error.cause instanceof errors.JWKSNoMatchingKey
  );
}

function unreachable(issuer: string, cause: unknown): HoopError {
  return new HoopError(
    'HOOP_IDP_UNREACHABLE',
    `the gateway cannot read the keys of the identity provider "${issuer}"`,
    {
      detail: cause === undefined ? undefined : `The last attempt failed: ${fetchFailure(cause)}.`,
      hint: 'Try again in a minute; the gateway must be able to reach the identity provider.',
      cause,
    },
  );
}
