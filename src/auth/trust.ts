/**
 * What this machine believes about each gateway: its root key, how new its keyring must be at
 * least, and who may sign policy. Learned at the first login, with the fingerprint shown, and
 * never changed silently afterwards.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { InfoReply } from '../api/login.ts';
import { HoopError } from '../errors.ts';
import { type Home, isMissing, writeFileAtomic } from '../home.ts';
import { fromBase64 } from '../recording/formats/encoding.ts';
import { fingerprintOf } from '../recording/keys/ed25519.ts';
import { openKeyring } from '../recording/keys/keyring.ts';
import { withStateLock } from './state-lock.ts';

const GatewayPin = z.object({
  /** Name of the gateway, as its keyring gives it. */
  gateway: z.string(),
  /** base64 of the raw Ed25519 public key. */
  rootKey: z.string(),
  keyringVersion: z.number().int().nonnegative(),
  /** Text of the OpenSSH allowed-signers file. */
  allowedSigners: z.string(),
  /** Where the client may fetch the policy itself. */
  policyRepository: z.string().optional(),
  policyBranch: z.string(),
  /** RFC 3339. */
  pinnedAt: z.string(),
});
export type GatewayPin = z.infer<typeof GatewayPin>;

const TrustFile = z.object({ v: z.literal(1), gateways: z.record(z.string(), GatewayPin) });

/** @returns pins by the gateway's base URL */
export function readTrust(home: Home): Map<string, GatewayPin> {
  const path = trustPath(home);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return new Map();
    }
    throw error;
  }
  try {
    return new Map(Object.entries(TrustFile.parse(JSON.parse(text)).gateways));
  } catch (cause) {
    throw new HoopError('HOOP_LOCAL_STATE', `"${path}" is damaged`, {
      detail: 'It holds the pinned keys of your gateways.',
      hint: 'Restore it, or remove it and compare the fingerprint at the next `hoop login`.',
      cause,
    });
  }
}

/** @throws HoopError HOOP_NOT_LOGGED_IN when this gateway was never logged in to */
export function pinnedGateway(home: Home, gatewayUrl: string): GatewayPin {
  const pin = readTrust(home).get(gatewayUrl);
  if (pin === undefined) {
    throw new HoopError('HOOP_NOT_LOGGED_IN', `not logged in to "${gatewayUrl}"`, {
      detail: 'The keys of this gateway are not known yet; a login pins them.',
      hint: `Log in with \`hoop login --gateway ${gatewayUrl}\`.`,
    });
  }
  return pin;
}

export interface CheckedPin {
  readonly pin: GatewayPin;
  readonly firstUse: boolean;
}

/**
 * Compares what a gateway says of itself with what is pinned.
 * @param pinned undefined: trust on first use
 * @throws HoopError HOOP_GATEWAY_KEY
 */
export function checkGatewayKeys(
  pinned: GatewayPin | undefined,
  gatewayUrl: string,
  info: InfoReply,
  nowMs: number,
): CheckedPin {
  if (pinned !== undefined && pinned.rootKey !== info.rootKey) {
    throw changed(gatewayUrl, 'the root key of the gateway has changed', [
      `Known: ${rootKeyFingerprint(pinned.rootKey)}, since ${pinned.pinnedAt}.`,
      `Now: ${rootKeyFingerprint(info.rootKey)}.`,
      'The gateway was set up again, or something else answers in its place.',
    ]);
  }
  const keyring = readKeyring(gatewayUrl, info);
  if (pinned !== undefined && keyring.version < pinned.keyringVersion) {
    throw changed(gatewayUrl, 'the gateway shows an older keyring than before', [
      `Version ${keyring.version} is older than ${pinned.keyringVersion}, which this machine has seen.`,
      'Keys that have been replaced since may be in the wrong hands.',
    ]);
  }
  if (keyring.expiresMs <= nowMs) {
    throw new HoopError('HOOP_GATEWAY_KEY', 'the keyring of the gateway has expired', {
      hint: 'Whoever runs the gateway must renew it; also check the clock of this machine.',
    });
  }
  const pin: GatewayPin = {
    gateway: keyring.gateway,
    rootKey: info.rootKey,
    keyringVersion: keyring.version,
    // What the policy is verified with stays, whatever the gateway says now: see checkSigners.
    allowedSigners: pinned?.allowedSigners ?? info.policy.allowedSigners,
    ...(info.policy.repository === undefined ? {} : { policyRepository: info.policy.repository }),
    policyBranch: info.policy.branch,
    pinnedAt: pinned?.pinnedAt ?? new Date(nowMs).toISOString(),
  };
  return { pin, firstUse: pinned === undefined };
}

/**
 * At login, where somebody looks on: later the pinned signers are used, and a change at the
 * gateway alone does no harm.
 * @throws HoopError HOOP_GATEWAY_KEY
 */
export function checkSigners(
  pinned: GatewayPin | undefined,
  gatewayUrl: string,
  info: InfoReply,
): void {
  if (pinned !== undefined && pinned.allowedSigners !== info.policy.allowedSigners) {
    throw changed(gatewayUrl, 'the gateway’s policy signers have changed', [
      'Whoever signs the policy decides who may do what, so this must not change unnoticed.',
    ]);
  }
}

/** One process at a time: each writes the file with the pins of all gateways in it. */
export function writePin(
  home: Home,
  gatewayUrl: string,
  pin: GatewayPin,
  signal: AbortSignal,
): Promise<void> {
  return withTrustLock(home, signal, () => replacePin(home, gatewayUrl, pin));
}

/** For a new home, which nobody else knows of yet. */
export function seedTrust(home: Home, gatewayUrl: string, pin: GatewayPin): void {
  replacePin(home, gatewayUrl, pin);
}

function withTrustLock<T>(home: Home, signal: AbortSignal, act: () => T): Promise<T> {
  return withStateLock(join(home.state, 'trust.lock'), signal, async () => act());
}

function replacePin(home: Home, gatewayUrl: string, pin: GatewayPin): void {
  const pins = readTrust(home);
  if (isSamePin(pins.get(gatewayUrl), pin)) {
    return;
  }
  pins.set(gatewayUrl, pin);
  mkdirSync(home.state, { recursive: true, mode: 0o700 });
  const file = { v: 1, gateways: Object.fromEntries(pins) };
  writeFileAtomic(trustPath(home), `${JSON.stringify(file, null, 2)}\n`);
}

function isSamePin(a: GatewayPin | undefined, b: GatewayPin): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** `checkGatewayKeys` against the file, and the file brought up to date. */
export async function checkAndPin(
  home: Home,
  gatewayUrl: string,
  info: InfoReply,
  options: { readonly nowMs: number; readonly signal: AbortSignal },
): Promise<CheckedPin> {
  const check = (): CheckedPin =>
    checkGatewayKeys(readTrust(home).get(gatewayUrl), gatewayUrl, info, options.nowMs);
  const checked = check();
  if (isSamePin(readTrust(home).get(gatewayUrl), checked.pin)) {
    return checked;
  }
  // Checked again under the lock: a newer keyring that another process has just pinned must not
  // give way to the older one that was seen here.
  return withTrustLock(home, options.signal, () => {
    const current = check();
    replacePin(home, gatewayUrl, current.pin);
    return current;
  });
}

/** @param rootKey base64 */
export function rootKeyFingerprint(rootKey: string): string {
  return fingerprintOf(Buffer.from(rootKey, 'base64'));
}

function readKeyring(gatewayUrl: string, info: InfoReply): ReturnType<typeof openKeyring> {
  try {
    return openKeyring(info.keyring, fromBase64(info.rootKey, 'root key', 32));
  } catch (cause) {
    throw new HoopError(
      'HOOP_GATEWAY_KEY',
      'the keyring of the gateway is not signed by its root',
      {
        detail: cause instanceof Error ? `${cause.message}.` : undefined,
        hint: `Tell whoever runs "${gatewayUrl}"; do not use it until the cause is known.`,
        cause,
      },
    );
  }
}

function changed(gatewayUrl: string, message: string, detail: readonly string[]): HoopError {
  return new HoopError('HOOP_GATEWAY_KEY', message, {
    detail: detail.join(' '),
    hint: `Ask whoever runs the gateway. If it is right, run \`hoop login --gateway ${gatewayUrl} --trust\`.`,
  });
}

function trustPath(home: Home): string {
  return join(home.state, 'trust.json');
}
