/**
 * What a platform's token says of itself, unverified: enough to notice that it was not made for
 * the gateway before it is sent there. A token for somebody else, such as a cluster's API server,
 * is that somebody's credential and must not leave this process. Only the gateway verifies.
 */
import type { HoopErrorOptions } from '../../errors.ts';
import { type WorkloadProvider, workloadTokenError } from './workload-provider.ts';

/** As the gateway takes it; CI tokens have some 2 KiB. */
const MAX_TOKEN_LENGTH = 16 * 1024;
const COMPACT_JWT = /^[\w-]+\.([\w-]+)\.[\w-]+$/;

type Named = Pick<WorkloadProvider, 'title' | 'isGiven'>;

/** @returns undefined when the text is not a signed JWT */
export function readClaims(token: string): Readonly<Record<string, unknown>> | undefined {
  const payload = token.length > MAX_TOKEN_LENGTH ? undefined : COMPACT_JWT.exec(token)?.[1];
  if (payload === undefined) {
    return undefined;
  }
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return isRecord(claims) ? claims : undefined;
  } catch {
    // Not JSON, so not a JWT: the caller says so.
    return undefined;
  }
}

/**
 * @param otherwise what to add to the error
 * @returns the token, without the white space around it
 * @throws HoopError HOOP_WORKLOAD_TOKEN when it is no JWT, or not one for this audience
 */
export function requireTokenFor(
  provider: Named,
  text: string,
  audience: string,
  otherwise: Omit<HoopErrorOptions, 'cause'> = {},
): string {
  const token = text.trim();
  const claims = readClaims(token);
  if (claims === undefined) {
    const what = provider.isGiven ? 'it is not a signed JWT' : 'its answer is not a token';
    throw workloadTokenError(provider, what, otherwise);
  }
  const found = audiencesOf(claims);
  // One audience only: a token for two can be used by either at the other.
  if (found.length !== 1 || found[0] !== audience) {
    const what = provider.isGiven ? 'it is meant' : 'its token is meant';
    throw workloadTokenError(provider, `${what} for somebody else`, {
      detail: `Its audience is ${describe(found)}; the gateway takes tokens for "${audience}" only.`,
      ...otherwise,
    });
  }
  return token;
}

function audiencesOf(claims: Readonly<Record<string, unknown>>): readonly string[] {
  const audience = claims['aud'];
  const all: unknown[] = Array.isArray(audience) ? audience : [audience];
  return all.filter((name): name is string => typeof name === 'string');
}

/** @returns a claim that is a text */
export function textClaim(
  claims: Readonly<Record<string, unknown>>,
  name: string,
): string | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An answer that should be JSON. @returns undefined when it is not */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is not JSON has no token in it: the caller says so.
    return undefined;
  }
}

function describe(audiences: readonly string[]): string {
  return audiences.length === 0
    ? 'not given'
    : audiences
        .slice(0, 3)
        .map((audience) => `"${audience.slice(0, 200).replaceAll(/[^\x20-\x7e]/g, '?')}"`)
        .join(', ');
}
