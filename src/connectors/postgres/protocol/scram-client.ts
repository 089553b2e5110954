/**
 * The client's half of SCRAM-SHA-256(-PLUS): values in, values out. The server
 * has proved that it knows the password only when `verifyScramServerFinal` has returned.
 */
import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { ProtocolError } from '../../../errors.ts';
import { type ChannelBinding, channelBindingInput, gs2Header } from './channel-binding.ts';
import { KnownScramKeys } from './known-scram-keys.ts';
import { preparePassword } from './saslprep.ts';
import {
  decodeBase64,
  encodeBase64,
  equalKeys,
  hmac,
  isNonce,
  MAX_SCRAM_ITERATIONS,
  MIN_SCRAM_ITERATIONS,
  SCRAM_KEY_LENGTH,
  scramKeys,
  takeAttribute,
  xor,
} from './scram-sha-256.ts';

export interface ScramClientState {
  readonly nonce: string;
  readonly clientFirstBare: string;
  readonly binding: ChannelBinding;
}

export interface ScramClientFinal {
  /** Goes into SASLResponse. */
  readonly message: string;
  readonly state: ScramClientFinalState;
}

export interface ScramClientFinalState {
  readonly serverSignature: Uint8Array;
}

// In the thread pool: a server may ask for a million rounds, and others are waiting.
const derive = promisify(pbkdf2);

/**
 * @param nonce printable ASCII without comma, from at least 18 random bytes, fresh.
 * @param user empty for PostgreSQL, which takes the name from StartupMessage.
 * @param binding with `p` the mechanism must be SCRAM-SHA-256-PLUS, otherwise SCRAM-SHA-256.
 */
export function scramClientFirst(
  nonce: string,
  user = '',
  binding: ChannelBinding = { flag: 'n' },
): { readonly message: string; readonly state: ScramClientState } {
  if (!isNonce(nonce)) {
    throw new TypeError('the client nonce must be printable ASCII without a comma');
  }
  const name = user.replaceAll('=', '=3D').replaceAll(',', '=2C');
  const clientFirstBare = `n=${name},r=${nonce}`;
  return {
    message: gs2Header(binding) + clientFirstBare,
    state: { nonce, clientFirstBare, binding },
  };
}

/**
 * Answers server-first.
 * @param known keys of this password and no other
 * @throws ProtocolError if it is malformed, does not extend our nonce, or asks for fewer than 4096
 *   rounds (a weak hash of the password for whoever listens) or more than a million.
 */
export async function scramClientFinal(
  state: ScramClientState,
  password: string,
  serverFirst: string,
  known = new KnownScramKeys(),
): Promise<ScramClientFinal> {
  const { nonce, salt, iterations } = parseServerFirst(serverFirst);
  if (!nonce.startsWith(state.nonce) || nonce.length === state.nonce.length) {
    throw new ProtocolError('SCRAM server-first message does not extend the nonce');
  }
  const prepared = preparePassword(password);
  const keys = await known.of(salt, iterations, async () =>
    scramKeys(await derive(prepared, salt, iterations, SCRAM_KEY_LENGTH, 'sha256')),
  );
  const withoutProof = `c=${encodeBase64(channelBindingInput(state.binding))},r=${nonce}`;
  const authMessage = `${state.clientFirstBare},${serverFirst},${withoutProof}`;
  const proof = xor(keys.clientKey, hmac(keys.storedKey, authMessage));
  return {
    message: `${withoutProof},p=${encodeBase64(proof)}`,
    state: { serverSignature: hmac(keys.serverKey, authMessage) },
  };
}

/** @throws ProtocolError unless the server proves that it knows the password. */
export function verifyScramServerFinal(state: ScramClientFinalState, serverFinal: string): void {
  const message = 'SCRAM server-final message';
  const attributes = serverFinal.split(',');
  if (serverFinal.startsWith('e=')) {
    throw new ProtocolError(`${message} reports an error`);
  }
  const signature = decodeBase64(takeAttribute(attributes, 'v', message), message);
  if (!equalKeys(signature, state.serverSignature)) {
    throw new ProtocolError(
      `${message} has a wrong signature: the server does not know the password`,
    );
  }
}

function parseServerFirst(serverFirst: string): {
  readonly nonce: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
} {
  const message = 'SCRAM server-first message';
  const attributes = serverFirst.split(',');
  const nonce = takeAttribute(attributes, 'r', message);
  const salt = decodeBase64(takeAttribute(attributes, 's', message), message);
  const count = takeAttribute(attributes, 'i', message);
  const iterations = Number(count);
  if (!isNonce(nonce) || salt.length === 0 || !/^[1-9][0-9]{0,9}$/.test(count)) {
    throw new ProtocolError(`${message} is malformed`);
  }
  if (iterations < MIN_SCRAM_ITERATIONS || iterations > MAX_SCRAM_ITERATIONS) {
    throw new ProtocolError(`${message} asks for ${iterations} rounds`, {
      detail: `Between ${MIN_SCRAM_ITERATIONS} and ${MAX_SCRAM_ITERATIONS} are accepted.`,
    });
  }
  return { nonce, salt, iterations };
}
